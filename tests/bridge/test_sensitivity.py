"""Which biology the law depends on: known elasticities, and what is refused."""

import numpy as np
import pytest

import bridge
from astro_sim.common.errors import InputError
from bridge.exploration.runs import EXPLORED, parse_ranges
from bridge.exploration.sensitivity import Sensitivity, design, effects

RANGES = {"x": (1.0, 3.0), "y": (0.5, 4.0), "z": (1.0, 2.0)}
SMALL = {"ranges": {"tau_p_l": (50.0, 70.0), "beta": (1.8, 2.2)}, "size": 2, "cycles": 12, "dt": 0.05}


@pytest.fixture(scope="module")
def found():
    return bridge.sensitivity(**SMALL)


def test_elasticities_of_a_product_of_powers_are_the_powers():
    logs, rows = design(RANGES, "morris", 5, seed=1)
    assert logs.shape == (5 * rows, 3)
    told = effects(RANGES, "morris", logs, {"first": logs @ [2.0, -0.5, 0.0]})
    assert [each.parameter for each in told] == ["x", "y", "z"]  # largest first
    # Differences of logarithms over steps of 4/7 of a range: rounding alone.
    assert [each.mean for each in told] == pytest.approx([2.0, -0.5, 0.0], abs=1e-12)
    assert [each.size for each in told] == pytest.approx([2.0, 0.5, 0.0], abs=1e-12)
    assert [each.spread for each in told] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert {each.alone for each in told} == {None}


def test_shares_of_variance_of_a_sum_are_those_of_its_terms():
    logs, _ = design(RANGES, "sobol", 1024, seed=1)
    powers = np.array([2.0, -0.5, 0.0])
    told = {each.parameter: each for each in effects(RANGES, "sobol", logs, {"first": logs @ powers})}
    variance = (powers * np.array([np.log(high / low) for low, high in RANGES.values()])) ** 2
    for name, share in zip(RANGES, variance / variance.sum(), strict=True):
        # 1,024 points of a low-discrepancy sequence: about 1 %.
        assert told[name].alone == pytest.approx(share, abs=0.03)
        assert told[name].together == pytest.approx(share, abs=0.03)
        assert told[name].mean is None


def test_the_bounded_macro_law_follows_its_time_constant(found):
    """RetentionFactor(1, T) falls where the curve is slower; of the T before saturation nearly in proportion."""
    first = {each.parameter: each for each in found.effects if each.output == "first"}
    assert -1.0 < first["tau_p_l"].mean < -0.4
    assert abs(first["beta"].mean) < abs(first["tau_p_l"].mean)
    assert (found.runs, found.failed, found.failure) == (6, 0, "")
    assert found.settings["ltp_dynamics"] == "bounded"
    law = bridge.families.get(found.family)
    assert law.name in bridge.families.FAMILIES
    assert set(found.reference) == {"first", "last", "saturation"}


def test_another_seed_gives_other_effects(found):
    assert bridge.sensitivity(**SMALL, seed=1).effects != found.effects


def test_runs_without_a_law_take_their_trajectory_along():
    """A step of 0.06 s is refused by the solver where tau_s is below about 0.1 s."""
    found = bridge.sensitivity(ranges={"tau_s": (0.04, 4.0), "tau_p_l": (50.0, 70.0)}, size=20, cycles=6, dt=0.06)
    assert found.failed > 0
    assert found.runs <= 60 - found.failed
    assert found.runs % 3 == 0
    assert "dt" in found.failure


def test_the_file_is_read_back(found, tmp_path):
    found.save(tmp_path / "s.json")
    assert Sensitivity.load(tmp_path / "s.json") == found


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("[]", "not a sensitivity file"),
        ('{"kind": "astromorphic-laws"}', "not a sensitivity file"),
        ('{"kind": "astromorphic-sensitivity"}', "model: missing"),
        ("{", "not a sensitivity file"),
    ],
)
def test_other_files_are_refused(contents, message, tmp_path):
    (tmp_path / "s.json").write_text(contents)
    with pytest.raises(InputError, match=message):
        Sensitivity.load(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "micro"}, "unknown model 'micro' of ltp"),
        ({"method": "fast"}, "unknown method 'fast'"),
        ({"size": 1}, "size: expected a whole number from 2, got 1"),
        ({"method": "sobol", "size": 20}, "size: expected a power of 2"),
        ({"workers": 0}, "workers: expected a whole number from 1, got 0"),
        ({"total": 1}, "total: expected a whole number from 2, got 1"),
        ({"ltp_dynamics": "linear"}, r"tau = tau_p_l / \(gamma_l tau_cycle\) cycles in closed form.*expected bounded"),
        ({"ranges": {}}, "ranges: expected one parameter at least"),
        ({"ranges": {"tau_p": (1.0, 2.0)}}, "unknown parameter 'tau_p' to vary; did you mean"),
        ({"ranges": {"layout": (1.0, 2.0)}}, "unknown parameter 'layout' to vary"),
        ({"ranges": {"beta": (2.0, 1.0)}}, "beta: expected a range of positive numbers, low before high"),
        ({"ranges": {"beta": (0.0, 1.0)}}, "beta: expected a range of positive numbers"),
        ({"cycels": 3}, "unknown setting 'cycels'"),
        ({"family": "expo"}, "unknown law family 'expo'"),
        ({"cycles": 3}, "expected at least 5 cycles"),
        ({"ranges": {"tau_s": (0.01, 0.02)}, "size": 2, "dt": 0.1}, "too few runs gave a law"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_be_varied_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        bridge.sensitivity(**{"dt": 0.05, **arguments})


def test_every_usual_parameter_is_one_of_its_experiment():
    from astro_sim.simulation import describe_settings

    for model, (factor, names) in EXPLORED.items():
        assert factor > 1
        assert set(names) <= {row[0] for row in describe_settings("ltp", model)}


def test_ranges_are_read_from_words():
    assert parse_ranges(["tau_p_l=30:90", "beta = 1:4"]) == {"tau_p_l": (30.0, 90.0), "beta": (1.0, 4.0)}
    assert parse_ranges([]) is None


@pytest.mark.parametrize("word", ["beta", "beta=1", "beta=1:2:3", "beta=a:b"])
def test_other_words_are_refused(word):
    with pytest.raises(InputError, match="expected NAME=LOW:HIGH"):
        parse_ranges([word])
    with pytest.raises(InputError, match="--range beta: given twice"):
        parse_ranges(["beta=1:2", "beta=2:3"])


def test_a_cycle_with_a_unit_is_a_cycle_and_the_same_seed_gives_the_same_effects(found):
    assert bridge.sensitivity(**SMALL, tau_cycle="10000 ms").effects == found.effects
    with pytest.raises(InputError, match="tau_cycle: "):
        bridge.sensitivity(**SMALL, tau_cycle="long")
