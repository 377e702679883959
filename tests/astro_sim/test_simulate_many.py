"""Many points at once: to the bit the datasets of the points one by one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import astro_sim
from astro_sim import experiments, simulation
from astro_sim.common.errors import InputError, NumericalError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.macro.model import LatchingWarning
from astro_sim.simulation import simulate_many

SETS = [{}, {"beta": 2.5}, {"gamma_s": 2.2, "tau_s": 0.4}, {"coupling": 0.2}, {"coupling": 0.0}, {"method": "euler"}]
SETS += [{"n": 2}, {"dt": 0.01}, {"psi": "softsign"}, {"knockouts": ["receptors"]}, {"ltp_dynamics": "bounded"}]
SMALL = {
    "stp": {"layouts": ["grid", "random"], "drive_cv": 0.2, "interval": 0.5},
    "ltp": {"cycles": 2, "layout": "random", "interval": 1.0},
    "spatial": {"n": 3, "interval": 0.5},
    "frequency": {"rates": [1.0, 2.0, 5.0], "transient": 1.0, "window": 2.0},
}


def check(experiment, points, seeds):
    together = simulate_many(experiment, points, seed=seeds)
    for point, seed, got in zip(points, seeds, together, strict=True):
        xr.testing.assert_identical(got, astro_sim.simulate(experiment, seed=seed, **point))


@pytest.mark.parametrize("experiment", SMALL)
def test_every_point_is_identical_to_its_own_simulation(experiment):
    check(experiment, [{**SMALL[experiment], **each} for each in SETS], range(len(SETS)))


def test_the_macro_experiments_are_all_covered_or_plain():
    assert {name for name in experiments.NAMES if "macro" in experiments.find(name).promised} == {*SMALL, "associative"}


def test_points_may_take_different_numbers_of_requests():
    points = [{"cycles": "saturation", "saturation_tolerance": t, "interval": 10.0} for t in (0.1, 0.001, 0.01)]
    points += [{"cycles": 3, "burn_in": 2}, {"cycles": 1}]
    check("ltp", points, [0] * 5)


def test_small_batches_change_nothing(monkeypatch):
    points = [{"cycles": 1, "burn_in": k % 2, "beta": 2.0 + k / 10} for k in range(12)]
    whole = simulate_many("ltp", points)
    for name, value in (("BATCH_BYTES", 1.0), ("BATCH_REQUESTS", 5)):
        monkeypatch.setattr(simulation, name, value)
        for got, expected in zip(simulate_many("ltp", points), whole, strict=True):
            xr.testing.assert_identical(got, expected)


def test_a_point_that_fails_gives_its_exception_and_the_others_go_on():
    linear = dict.fromkeys(("phi", "g", "theta", "psi", "kappa"), "linear")
    unstable = {**linear, "coupling": 42.0, "tau_cycle": 100.0, "b": 1.0}
    points = [{"cycles": 1}, {"cycles": 0}, {"cycels": 1}, {**unstable, "cycles": 1}, {"cycles": 1, "dt": 1.0}]
    points += [{"cycles": "saturation", "tau_p_l": 1e5, "dt": 0.05, "n": 1, "interval": 10.0}, {"cycles": 1}]
    with pytest.warns(LatchingWarning):
        results = simulate_many("ltp", points)
    kinds = [xr.Dataset, InputError, InputError, NumericalError, InputError, InputError, xr.Dataset]
    assert [type(result) for result in results] == kinds
    assert "cycles: no saturation within 1024 cycles" in str(results[5])
    xr.testing.assert_identical(results[0], astro_sim.simulate("ltp", cycles=1))
    xr.testing.assert_identical(results[6], results[0])


def test_seeds_are_one_for_all_or_one_a_point():
    one = simulate_many("ltp", [{"cycles": 1}] * 2, seed=3)
    xr.testing.assert_identical(one[0], one[1])
    two = simulate_many("ltp", [{"cycles": 1}] * 2, seed=[3, np.int64(4)])
    xr.testing.assert_identical(two[0], one[0])
    assert (two[1]["p_l"] != two[0]["p_l"]).any()
    with pytest.raises(InputError, match=r"^seed: expected one, or 2 \(one a point\), got 3$"):
        simulate_many("ltp", [{}, {}], seed=[1, 2, 3])
    with pytest.raises(InputError, match="^seed: expected a whole number from 0, got -1$"):
        simulate_many("ltp", [{}, {}], seed=[1, -1])


def test_unknown_experiments_and_models_are_refused_at_once():
    with pytest.raises(InputError, match="unknown experiment 'ltq'"):
        simulate_many("ltq", [{}])
    with pytest.raises(InputError, match="unknown model 'makro'"):
        simulate_many("ltp", [{}], model="makro")
    assert simulate_many("ltp", []) == []


class Protocol(Settings):
    rounds: int = quantity(1, "1", "requests", "test")


class Constants(Settings):
    gain: float = quantity(1.0, "1", "factor", "test")


@dataclass(frozen=True)
class Ask:
    value: float
    size = 8.0
    asked = []  # noqa: RUF012

    @staticmethod
    def together(requests):
        Ask.asked.append(len(requests))
        return [ValueError("thirteen") if each.value == 13 else 10 * each.value for each in requests]


def dataset(value):
    zeros = np.zeros((1, 1))
    return xr.Dataset({"p_s_peak": (("post", "pre"), zeros + value), "distance": (("post", "pre"), zeros)})


def with_run(monkeypatch, run):
    experiment = Experiment("made by a test", {"macro": Variant(Protocol, Constants, run)})
    named = replace(experiments.find("spatial"), experiment=experiment)
    monkeypatch.setattr(experiments, "find", lambda name: named)


def test_plain_run_functions_are_looped(monkeypatch):
    def run(settings: Any, parameters: Any, generator: np.random.Generator) -> xr.Dataset:
        if settings.rounds == 7:
            raise ZeroDivisionError("seven")
        return dataset(parameters.gain + generator.integers(10))

    with_run(monkeypatch, run)
    results = simulate_many("spatial", [{"gain": 2.0}, {"rounds": 7}, {"gain": 3.0}], seed=[1, 2, 3])
    assert isinstance(results[1], ZeroDivisionError)
    for k, gain in ((0, 2.0), (2, 3.0)):
        xr.testing.assert_identical(results[k], astro_sim.simulate("spatial", seed=k + 1, gain=gain))
    with pytest.raises(ZeroDivisionError, match="seven"):
        astro_sim.simulate("spatial", rounds=7)


def test_generators_advance_in_lockstep(monkeypatch):
    def run(settings: Any, parameters: Any, generator: np.random.Generator):
        total = 0.0
        for _ in range(settings.rounds):
            try:
                total += yield Ask(parameters.gain)
            except ValueError:
                total = -1.0
        return dataset(total)

    with_run(monkeypatch, run)
    Ask.asked.clear()
    points = [{"rounds": k, "gain": g} for k, g in ((0, 1.0), (1, 1.0), (3, 2.0), (3, 3.0), (1, 13.0))]
    results = simulate_many("spatial", points)
    assert [float(each["p_s_peak"].item()) for each in results] == [0.0, 10.0, 60.0, 90.0, -1.0]
    assert Ask.asked == [4, 2, 2]
