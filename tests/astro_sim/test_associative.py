"""The associative memory: its energy, its quartic form, and recall."""

import numpy as np
import pytest

import astro_sim
from astro_sim.common.errors import InputError
from astro_sim.experiments.associative import AssociativeSettings, cues_for
from astro_sim.macro.equations import NON_LINEARITIES
from astro_sim.macro.naam import Coupling, NaamModel, NaamParameters, NaamState, _lagrangian, stored

N = 5


def symmetric(rng, *lead):
    half = rng.normal(size=(*lead, N, N))
    return half + np.swapaxes(half, -1, -2)


def random_model(rng, rank=6, **parameters):
    """T with weights of both signs: T_ijkl = T_klij and T_jikl, not positive definite."""
    coupling = Coupling(symmetric(rng, rank), rng.normal(size=rank) / 20)
    return NaamModel(NaamParameters(n=N, **{"dt": 0.01, **parameters}), coupling)


def random_state(rng):
    return NaamState(rng.normal(size=N), symmetric(rng), symmetric(rng))


def test_derivative_is_the_system_written_out_index_by_index(rng):
    q = {"lambda_": 0.9, "beta": 1.1, "gamma": 1.2, "b": 0.1, "c": -0.2, "d": 0.3, "psi_gain": 1.7}
    model = random_model(rng, phi="softsign", g="tanh", psi="tanh", **q)
    x, s, p = state = random_state(rng)
    T = model.coupling.dense()
    got = model.derivative(state)
    phi, g, psi = x / (1 + np.abs(x)), np.tanh(s), 1.7 * np.tanh(p)
    for i in range(N):
        synaptic = sum(g[i, j] * phi[j] for j in range(N))
        # 1e-12: sums of up to 25 terms of order one in another order
        assert got.x[i] == pytest.approx((-0.9 * x[i] + synaptic + 0.1) / 1.0, rel=1e-12, abs=1e-12)
        for j in range(N):
            assert got.s[i, j] == pytest.approx((-1.1 * s[i, j] + phi[i] * phi[j] + psi[i, j] - 0.2) / 0.1, rel=1e-12)
            spread = sum(T[i, j, k, m] * psi[k, m] for k in range(N) for m in range(N))
            dp = (-1.2 * p[i, j] + spread + g[i, j] + 0.3) / 0.2
            assert got.p[i, j] == pytest.approx(dp, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", NON_LINEARITIES)
def test_lagrangians_are_convex_with_the_non_linearity_for_slope(name):
    x, h = np.linspace(-3.0, 3.0, 121) + 0.0125, 1e-5  # no point lies on the kink at 0
    slope = (_lagrangian(name, x + h) - _lagrangian(name, x - h)) / (2 * h)
    # central differences: h^2 / 6 of a third derivative of order 2, and rounding 1e-16 / h
    np.testing.assert_allclose(slope, NON_LINEARITIES[name](x), rtol=0, atol=1e-9)
    assert (np.diff(slope) > -1e-9).all()


@pytest.mark.parametrize("shapes", [{}, {"phi": "softsign", "g": "linear", "psi": "softsign"}])
def test_energy_falls_at_the_rate_that_the_lagrangians_give(shapes, rng):
    """dE/dt = -tau_n sum phi' x'^2 - tau_s/2 sum g' s'^2 - tau_p/2 sum psi' p'^2."""
    model = random_model(rng, b=0.2, c=-0.1, d=0.3, lambda_=1.3, beta=0.8, gamma=1.5, **shapes)
    q, state, h = model.parameters, random_state(rng), 1e-6
    rates = model.derivative(state)
    slopes = []
    for name, part in zip((q.phi, q.g, q.psi), state, strict=True):
        f = NON_LINEARITIES[name]
        slopes.append((f(part + h) - f(part - h)) / (2 * h))
    x, s, p = (np.sum(slope * rate**2) for slope, rate in zip(slopes, rates, strict=True))
    expected = -q.tau_n * x - 0.5 * q.tau_s * s - 0.5 * q.tau_p * q.psi_gain * p
    got = (model.energy(state.plus(h, rates)) - model.energy(state.plus(-h, rates))) / (2 * h)
    assert got == pytest.approx(expected, rel=1e-6)  # rounding of E, 1e-15 of 100, over h
    assert expected < 0


def fall(model, start, steps=400):
    _, states = model.run(start, steps * model.parameters.dt, model.parameters.dt)
    energy = np.array([float(model.energy(state)) for state in states])
    return energy, states


@pytest.mark.parametrize("shapes", [{}, {"phi": "softsign", "g": "softsign"}, {"phi": "rectified", "g": "linear"}])
def test_energy_never_rises(shapes, rng):
    """By no more than 1e-12 |E| in any step; T symmetric, s and p symmetric at the start, constant input."""
    model = random_model(rng, b=0.3, c=0.1, d=-0.2, **shapes)
    energy, states = fall(model, random_state(rng))
    assert (np.diff(energy) <= 1e-12 * np.abs(energy[:-1])).all()
    assert energy[-1] < energy[0] - 1.0
    for part in states[-1][1:]:
        np.testing.assert_allclose(part, part.T, rtol=0, atol=1e-12)  # symmetric they stay


def test_energy_may_rise_where_the_coupling_is_not_symmetric(rng, monkeypatch):
    """The condition T_ijkl = T_klij matters: processes that chase each other do not come to rest."""
    model = random_model(rng)
    lopsided = rng.normal(size=(N * N, N * N))
    lopsided -= lopsided.T

    class Lopsided(Coupling):
        def spread(self, psi):
            return (lopsided @ psi.ravel()).reshape(psi.shape)

    monkeypatch.setattr(model, "coupling", Lopsided(*model.coupling))
    energy, _ = fall(model, random_state(rng))
    assert (np.diff(energy) > 1e-12 * np.abs(energy[:-1])).any()


def test_the_neurons_obey_the_quartic_form_where_synapses_and_processes_are_at_its_conditions(rng):
    """tau_n dx_i/dt = -x_i + sum T_ijkl phi_j phi_k phi_l at psi(p) = -phi phi and g(s) = sum T phi phi.

    These zero the right-hand sides without leaks: dp/dt = sum T psi + g and ds/dt = phi phi + psi.
    """
    x = 0.1 * rng.normal(size=N)
    model = random_model(rng, psi="linear", psi_gain=1.0, g="linear", beta=0.0, gamma=0.0)
    phi, T = np.tanh(x), model.coupling.dense()
    g = np.einsum("ijkl,k,l->ij", T, phi, phi)
    rates = model.derivative(NaamState(x, g, -np.outer(phi, phi)))
    quartic = -x + np.einsum("ijkl,j,k,l->i", T, phi, phi, phi)
    np.testing.assert_allclose(rates.x, quartic, rtol=0, atol=1e-14)  # sums of 125 products, in another order
    np.testing.assert_allclose(rates.s, 0.0, atol=1e-13)
    np.testing.assert_allclose(rates.p, 0.0, atol=1e-13)


def test_stored_patterns_are_products_of_four_signs(rng):
    xi = rng.choice([-1.0, 1.0], size=(3, N))
    expected = 0.7 / N**2 * np.einsum("mi,mj,mk,ml->ijkl", xi, xi, xi, xi)
    np.testing.assert_allclose(stored(xi, 0.7).dense(), expected, rtol=0, atol=1e-15)
    psi = rng.normal(size=(2, N, N))
    spread = np.einsum("ijkl,tkl->tij", expected, psi)
    np.testing.assert_allclose(stored(xi, 0.7).spread(psi), spread, rtol=0, atol=1e-13)


@pytest.fixture(scope="module")
def recall():
    return astro_sim.simulate("associative", cues=10, seed=1)


def test_cues_with_a_quarter_of_the_signs_flipped_are_mended(recall):
    mean = recall["overlap"].mean("cue")
    assert (mean.sel(corruption=0.0) == 1.0).all()
    assert (mean.sel(corruption=0.125) > 0.9).all()  # from 0.75; measured 0.97 to 1
    assert recall["overlap_cue"].values.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert (mean.sel(corruption=0.25, patterns=1) == 1.0).all()
    assert (mean.sel(corruption=0.25) > 0.6).all()


def test_recall_falls_with_corruption(recall):
    assert (recall["overlap"].mean("cue").diff("corruption") <= 0).all()


def test_energy_falls_in_the_experiment_too():
    run = astro_sim.simulate("associative", interval=0.04, duration=6.0, cues=2)
    energy = run["energy"].values
    assert (np.diff(energy) <= 1e-12 * np.abs(energy[..., :-1])).all()
    assert (energy[..., -1] < energy[..., 0] - 100.0).all()


def test_without_coupling_nothing_is_mended():
    run = astro_sim.simulate("associative", strength=0.0, patterns=[2], corruption=[0.25], duration=6.0)
    assert (run["overlap"] == 0.5).all()  # each neuron's own product keeps the cue


def test_cues_flip_as_many_signs_as_asked_and_nest(rng):
    patterns = rng.choice([-1.0, 1.0], size=(3, 24))
    asked, cue = cues_for(patterns, AssociativeSettings(corruption=(0.0, 0.25, 0.5, 1.0)), rng)
    assert ((asked != cue).sum(axis=-1) == np.array([0, 6, 12, 24])[:, None]).all()
    assert ((asked != cue)[1:3] <= (asked != cue)[2:4]).all()
    assert all((patterns == one).all(axis=1).any() for one in asked.reshape(-1, 24))


def test_a_coupling_of_another_size_is_refused(rng):
    with pytest.raises(InputError, match=r"coupling: expected factors of the shape \(r, 4, 4\), got \(6, 5, 5\)"):
        NaamModel(NaamParameters(n=4), random_model(rng).coupling)


def test_the_spectral_radius_is_that_of_the_dense_coupling(rng):
    coupling = random_model(rng).coupling
    dense = np.linalg.eigvalsh(coupling.dense().reshape(N * N, N * N))
    assert coupling.radius == pytest.approx(np.abs(dense).max(), rel=1e-10)  # eigenvalues of 25 x 25


def test_no_mode_is_faster_than_the_bound_on_the_step_allows(rng):
    model, h = random_model(rng), 1e-6
    for _ in range(5):
        state = random_state(rng)
        flat = np.concatenate([part.ravel() for part in state])

        def slope(y):
            parts = np.split(y, [N, N + N * N])
            rates = model.derivative(NaamState(parts[0], parts[1].reshape(N, N), parts[2].reshape(N, N)))
            return np.concatenate([part.ravel() for part in rates])

        columns = [(slope(flat + h * e) - slope(flat - h * e)) / (2 * h) for e in np.eye(len(flat))]
        assert np.abs(np.linalg.eigvals(np.column_stack(columns))).max() <= model.fastest_rate
