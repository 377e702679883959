"""From datasets to laws: the curve is read off, families are tried, the evidence decides."""

from functools import partial

import numpy as np
import pytest

import astro_sim
import bridge
from bridge.families import FAMILIES
from bridge.families.parametric import EXPONENTIAL, STRETCHED

fit_laws = partial(bridge.fit_laws, draws=0)  # resampling takes half of the time, and has tests of its own


def rise(family, cycles=24, **values):
    return np.append(0.0, family.level(np.arange(1, cycles + 1), values))


def test_exact_exponential_data_pick_the_exponential(ltp_dataset):
    laws = fit_laws([ltp_dataset(0.24 * rise(EXPONENTIAL, tau=6.0))])
    assert laws.family is EXPONENTIAL
    assert laws.parameters == pytest.approx({"tau": 6.0}, rel=1e-9)
    law = laws.document.retention
    assert law.amplitude.value == pytest.approx(0.24, rel=1e-9)
    assert {each.family for each in law.candidates} == set(FAMILIES)
    assert (law.concave, law.peak_cycle, law.converged) == (True, 1, True)


def test_exact_stretched_data_pick_the_stretched_exponential(ltp_dataset):
    laws = fit_laws([ltp_dataset(0.24 * rise(STRETCHED, tau=6.0, b=0.6))])
    assert laws.family is STRETCHED
    assert laws.parameters == pytest.approx({"tau": 6.0, "b": 0.6}, rel=1e-7)
    assert laws.document.retention.concave
    aicc = [each.aicc for each in laws.document.retention.candidates]
    assert aicc == sorted(aicc)


def test_a_single_dataset_needs_no_list(ltp_dataset):
    one = ltp_dataset(rise(EXPONENTIAL, tau=6.0))
    assert fit_laws(one, draws=2).digest == fit_laws([one], draws=2).digest


def test_families_that_the_evidence_does_not_tell_apart(ltp_dataset, simulated, rng):
    """Of an exact exponential those that hold it as a special case, whatever the weights; of a noisy one none."""
    quiet = fit_laws([ltp_dataset(rise(EXPONENTIAL, tau=6.0))]).document.retention
    assert quiet.spread is None
    assert {"exponential", "stretched_exponential", "double_exponential"} <= set(quiet.indistinct)
    assert "hill" not in quiet.indistinct
    weighted = fit_laws([simulated["ltp"]]).document.retention
    assert weighted.spread is not None
    assert weighted.indistinct[0] == "exponential"
    assert "stretched_exponential" in weighted.indistinct
    noise = np.append(0.0, 0.01 * rng.standard_normal(24))
    assert fit_laws([ltp_dataset(rise(EXPONENTIAL, tau=6.0) + noise)]).document.retention.indistinct == []


def test_a_convex_curve_is_marked_and_not_repaired(ltp_dataset):
    law = fit_laws([ltp_dataset(rise(STRETCHED, tau=10.0, b=3.0))]).document.retention
    assert (law.concave, law.peak_cycle) == (False, 9)  # see test_families


@pytest.mark.parametrize("family", ["exponential", "stretched_exponential"])
def test_a_family_can_be_asked_for(ltp_dataset, family):
    laws = fit_laws([ltp_dataset(rise(STRETCHED, tau=6.0, b=0.6))], family=family)
    assert laws.family.name == family
    tried = [each.family for each in laws.document.retention.candidates]
    assert tried[0] == family
    assert set(tried) == set(FAMILIES)  # the others stand beside it


def test_samples_start_and_residuals_are_kept(ltp_dataset, rng):
    curve = 0.1 + rise(EXPONENTIAL, tau=6.0) + np.append(0.0, 0.01 * rng.standard_normal(24))
    laws = fit_laws([ltp_dataset(curve)], family="exponential")
    law = laws.document.retention
    assert law.start == pytest.approx(0.1, abs=1e-15)
    np.testing.assert_allclose(law.samples, curve[1:], rtol=1e-14)
    fitted = law.start + law.amplitude.value * laws.family.level(np.arange(1, 25), laws.parameters)
    np.testing.assert_allclose(np.array(law.samples) - fitted, law.residuals, atol=1e-14)
    assert laws.fitted_cycles == 24
    assert law.tau_cycle == 10.0


def test_an_offset_of_the_curve_does_not_matter(ltp_dataset, rng):
    curve = rise(EXPONENTIAL, tau=6.0) + np.append(0.0, 0.01 * rng.standard_normal(24))
    one, other = (fit_laws([ltp_dataset(offset + curve)]).parameters["tau"] for offset in (0.0, 5.0))
    assert other == pytest.approx(one, rel=1e-9)


def test_noise_that_makes_late_increments_negative_is_accepted(ltp_dataset, rng):
    curve = rise(EXPONENTIAL, tau=3.0) + np.append(0.0, 0.02 * rng.standard_normal(24))
    assert (np.diff(curve) < 0).any()
    assert fit_laws([ltp_dataset(curve)], family="exponential").parameters["tau"] == pytest.approx(3.0, rel=0.2)


def test_a_fit_that_did_not_converge_is_a_result_without_intervals(ltp_dataset, tmp_path):
    laws = fit_laws([ltp_dataset(np.arange(25.0))], family="exponential")
    law = laws.document.retention
    assert not law.converged
    for number in law.parameters.values():
        assert (number.stderr, number.low, number.high) == (None, None, None)
    laws.save(tmp_path / "laws.json")
    assert bridge.Laws.load(tmp_path / "laws.json").digest == laws.digest


def test_a_converged_fit_goes_before_one_that_did_not(ltp_dataset):
    # Bent upwards to the end: the exponential runs into its bound, the stretched law finds its minimum.
    law = fit_laws([ltp_dataset(rise(STRETCHED, tau=20.0, b=3.0))]).document.retention
    converged = {each.family: each.converged for each in law.candidates}
    assert converged["stretched_exponential"]
    assert not converged["exponential"]
    order = [each.converged for each in law.candidates]
    assert order == sorted(order, reverse=True)


def test_decay_with_distance_is_the_slope_of_the_logarithm(ltp_dataset, spatial_dataset):
    distance = np.hypot(*np.meshgrid(np.arange(4.0), np.arange(4.0)))
    peak = 0.3 * np.exp(-0.7 * distance)
    peak[0, 0] = 5.0  # the active process is driven, not reached: its value must not matter
    laws = fit_laws([ltp_dataset(rise(EXPONENTIAL, tau=6.0)), spatial_dataset(distance, peak)])
    number = laws.document.spatial_decay
    assert laws.spatial_decay == number.value == pytest.approx(0.7, rel=1e-12)
    assert number.unit == "1/spacing"
    assert number.low <= 0.7 * (1 + 1e-9)
    assert number.high >= 0.7 * (1 - 1e-9)
    assert laws.presynaptic_exponent is None


def test_the_interval_of_the_decay_is_not_upside_down(ltp_dataset, spatial_dataset, rng):
    distance = np.hypot(*np.meshgrid(np.arange(4.0), np.arange(4.0)))
    peak = np.exp(-0.7 * distance + 0.05 * rng.standard_normal((4, 4)))
    number = fit_laws([ltp_dataset(rise(EXPONENTIAL, tau=6.0)), spatial_dataset(distance, peak)])
    number = number.document.spatial_decay
    assert number.low < number.value < number.high
    assert number.high - number.value == pytest.approx(number.value - number.low, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.25, 1.0, 1.7])
def test_presynaptic_exponent_is_the_slope_of_logarithms(ltp_dataset, frequency_dataset, alpha):
    rate = np.arange(1.0, 11.0)
    laws = fit_laws([ltp_dataset(rise(EXPONENTIAL, tau=6.0)), frequency_dataset(rate, 0.1 * rate**alpha)])
    assert laws.presynaptic_exponent == pytest.approx(alpha, rel=1e-12)
    assert laws.spatial_decay is None


def test_laws_of_simulated_data(simulated):
    laws = fit_laws(list(simulated.values()))
    assert laws.family is EXPONENTIAL
    # After burn-in the macro law is exactly exponential with tau_p_l / (gamma_l tau_cycle) = 6 cycles
    assert laws.parameters["tau"] == pytest.approx(6.0, rel=1e-6)
    assert laws.spatial_decay > 0
    assert laws.presynaptic_exponent > 0
    assert [source.experiment for source in laws.document.sources] == ["ltp", "spatial", "frequency"]
    assert [source.digest for source in laws.document.sources] == [d.attrs["digest"] for d in simulated.values()]
    assert laws.document.sources[0].settings["burn_in"] == 20


def test_the_order_of_datasets_does_not_change_the_law(simulated):
    one = fit_laws(list(simulated.values()))
    other = fit_laws(list(simulated.values())[::-1])
    assert one.document.retention == other.document.retention
    assert one.document.spatial_decay == other.document.spatial_decay


def test_the_bounded_variant_gives_a_faster_law():
    run = astro_sim.simulate("ltp", cycles=24, burn_in=20, ltp_dynamics="bounded")
    assert fit_laws([run], family="exponential").parameters["tau"] < 5.0
