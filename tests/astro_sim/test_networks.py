"""Networks on Brian2 do, step by step, what `evaluator` makes of the same equations and codes."""

from itertools import pairwise

import numpy as np
import pytest

from astro_sim.biophysical import astrocytes, calcium, gliotransmission, plasticity, process, synapse
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.errors import InputError
from astro_sim.experiments.ltp import LtpParameters
from tests.astro_sim.evaluator import UM, Model, cell, junctions, unit

pytestmark = pytest.mark.biology


def test_a_unit_with_spikes_and_releases(rng):
    """Every state, through three releases of the astrocyte, which a drive sets off."""
    p, start = process.ProcessParameters(target="numpy", alpha=0.2), {"I": 0.8, "I_bias": 1.25}
    times = np.unique(np.round(rng.uniform(0, 4.0, 30), 3))
    names = ["C", "I", "h", "Gamma_A", "u_S", "x_S", "Y_S", "Gamma_S", "x_A", "G_A"]
    with Session(p, 0) as session:
        units = process.build_units(session, p, 1)
        process.set_states(units, **start)
        process.connect_spikes(session, session.spikes("stimulus", 1, np.zeros(len(times)), times), units)
        traces = session.record(units, names, p.dt)
        releases = session.record_spikes(units)
        session.run(4.0, [units])
        found, released = {name: values(traces, name, "1")[:, 0] for name in names}, releases.t_[:]
    at = [(time, synapse.ON_SPIKE) for time in times]
    run = unit(p, **start).run(4.0, p.dt, names, at, crossing=("C > C_Theta", gliotransmission.ON_RELEASE))
    np.testing.assert_allclose(run["crossings"], released, rtol=1e-9)
    assert len(released) >= 1
    for name in names:
        # Rounding, which calcium amplifies where it rises; what has decayed is left of large numbers
        np.testing.assert_allclose(found[name], run[name], rtol=1e-8, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("knockouts", [(), ("gap_junctions",), ("calcium",)])
def test_coupled_astrocytes_with_the_sum_of_a_step_held(knockouts):
    p = astrocytes.AstrocyteNetworkParameters(kinetics="chi", F_ex=0.09, dt=0.02, target="numpy", knockouts=knockouts)
    graph, start = astrocytes.decaying(np.array([[0.0], [0.3], [1.0]]), 1.0), np.array([1.5, 0.1, 0.6])
    with Session(p, 0) as session:
        cells = astrocytes.build_astrocytes(session, p, graph)
        process.set_states(cells, C=0.05, I=start)
        traces = session.record(cells, ["C", "I"], p.dt)
        session.run(4.0, [cells])
        found = {name: values(traces, name, "uM") for name in ("C", "I")}
    model, wanted = cell(p, coupled=True, C=np.full(3, 0.05), h=np.full(3, 0.9), I=start), {"C": [], "I": []}
    for _ in range(201):
        for name, kept in wanted.items():
            kept.append(model[name] / UM)
        model.set(J_coupling=junctions(graph, model["I"] / UM, p) * UM)
        model.step(p.dt)
    for name, kept in wanted.items():
        np.testing.assert_allclose(found[name], kept, rtol=1e-9, err_msg=name)


def test_the_held_sum_converges_with_order_one():
    ends = []
    for dt in (0.04, 0.02, 0.01, 0.005):
        p = astrocytes.AstrocyteNetworkParameters(kinetics="chi", F_ex=0.09, dt=dt, target="numpy")
        with Session(p, 0) as session:
            cells = astrocytes.build_astrocytes(session, p, astrocytes.ring(2))
            process.set_states(cells, C=0.05, I=[1.5, 0.1])
            session.run(10.0, [cells])
            ends.append(np.asarray(cells.C_[:]) / UM)
    moves = [np.abs(one - other).max() for one, other in pairwise(ends)]
    # The next order shows at these steps: 10 % of the order
    np.testing.assert_allclose(np.log2(np.divide(moves[:-1], moves[1:])), 1.0, atol=0.15)


def test_the_noisy_gate_draws_a_number_a_cell_and_step():
    p = process.ProcessParameters(**process.LI_RINZEL, noise=0.3, dt=0.04, target="numpy")
    with Session(p, 7) as session:
        cells = process.build_cells(session, p, 20)
        process.set_states(cells, C=0.1, I=0.4, h=0.2)
        session.run(2.0, [cells])
        found = {"C": cells.C_[:], "h": cells.h_[:]}
    model, drawn = cell(p, C=np.full(20, 0.1), I=0.4, h=np.full(20, 0.2)), np.random.RandomState(7)
    for _ in range(51):  # a step more, for the samples
        model.step(p.dt)
        model.act(calcium.NOISE, dt=p.dt, randn=lambda: drawn.standard_normal(20))
    for name, state in found.items():
        np.testing.assert_allclose(state, model[name], rtol=1e-9, err_msg=name)


def test_efficacy_under_postsynaptic_spikes(rng):
    p = LtpParameters(sigma=0.0, tau_rho=20.0, rho_start=0.4, target="numpy")
    times = np.unique(np.round(rng.uniform(0, 2.0, 40), 3))
    with Session(p, 0) as session:
        group = plasticity.build_plasticity(session, p, 1, noisy=False)
        plasticity.connect_post(session, session.spikes("postsynaptic", 1, np.zeros(len(times)), times), group)
        traces = session.record(group, ["rho", "c"], p.dt)
        session.run(2.0, [group])
        found = {name: values(traces, name, "1")[:, 0] for name in ("rho", "c")}
    model = Model(plasticity.EQUATIONS.format(noise=""), plasticity._namespace(p), rho=p.rho_start)
    at = [(time, "c_post += jump_post") for time in times]
    run = model.run(2.0, p.dt, ["rho", "c"], at, before=plasticity.CALCIUM, method="euler")
    for name, course in found.items():
        np.testing.assert_allclose(course, run[name], rtol=1e-10, atol=1e-14, err_msg=name)


def test_a_step_beyond_the_stability_of_the_junctions_is_refused():
    p = astrocytes.AstrocyteNetworkParameters(kinetics="chi", F_ex=0.09, dt=0.05, F=10.0, target="numpy")
    with Session(p, 0) as session, pytest.raises(InputError) as caught:
        astrocytes.build_astrocytes(session, p, astrocytes.ring(3))
    assert str(caught.value).startswith("dt: expected at most 0.005 s, where the solver turns unstable (gap junctions)")
