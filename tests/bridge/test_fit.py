"""From datasets to laws: the curve is read off, families are tried, the evidence decides; the rest is refused."""

from functools import partial

import numpy as np
import pytest
import xarray as xr

import astro_sim
import bridge
from astro_sim.common.errors import InputError
from astro_sim.dataset import describe
from bridge.curves import read_curve
from bridge.families import FAMILIES
from bridge.families.parametric import EXPONENTIAL, STRETCHED

# Resampling and noise in the other place take most of the time, and have tests of their own.
fit_laws = partial(bridge.fit_laws, draws=0, noise="levels")
RISING = 1 - np.exp(-np.arange(13) / 6)


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


def test_laws_of_simulated_data_in_any_order(simulated):
    laws, other = (
        bridge.fit_laws(datasets, draws=0) for datasets in ([*simulated.values()], [*simulated.values()][::-1])
    )
    assert laws.document.retention == other.document.retention
    assert laws.document.spatial_decay == other.document.spatial_decay
    assert laws.family is EXPONENTIAL
    # After burn-in the macro law is exactly exponential with tau_p_l / (gamma_l tau_cycle) = 6 cycles
    assert laws.parameters["tau"] == pytest.approx(6.0, rel=1e-6)
    assert laws.spatial_decay > 0
    assert laws.presynaptic_exponent > 0
    assert [source.experiment for source in laws.document.sources] == ["ltp", "spatial", "frequency"]
    assert [source.digest for source in laws.document.sources] == [d.attrs["digest"] for d in simulated.values()]
    assert laws.document.sources[0].settings["burn_in"] == 20


def test_the_bounded_variant_gives_a_faster_law():
    run = astro_sim.simulate("ltp", cycles=24, burn_in=20, ltp_dynamics="bounded")
    assert fit_laws([run], family="exponential").parameters["tau"] < 5.0


def refused(datasets, **options):
    with pytest.raises(InputError) as caught:
        bridge.fit_laws(datasets, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TOO_FEW = "p_l_cycle: expected at least 5 cycles to fit a law to, got"
NO_RISE = "p_l_cycle: expected a curve that rises from cycle 0 to the last; this one is flat or falls"
NO_UNIT = "p_l_cycle: expected values up to 1e+100, the largest above 1e-100, got"


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (RISING[:2], f"{TOO_FEW} 1"),
        (RISING[:5], f"{TOO_FEW} 4"),
        (np.zeros(13), NO_RISE),
        (np.ones(13), NO_RISE),
        (RISING[::-1], NO_RISE),
        (-RISING, NO_RISE),
        (RISING * (RISING < 0.8), NO_RISE),
        (
            np.append(0.0, np.ones(12)),
            "p_l_cycle: expected a rise over several cycles; this curve is flat after the first",
        ),
        *((RISING * scale, f"{NO_UNIT} {RISING.max() * scale:g}") for scale in (1e-160, 1e150, 1e300)),
    ],
    ids=[
        "1 cycle",
        "4 cycles",
        "zero",
        "constant",
        "falling",
        "negative",
        "back to zero",
        "flat",
        "tiny",
        "large",
        "huge",
    ],
)
def test_curves_that_no_law_can_be_fitted_to(ltp_dataset, curve, message):
    assert refused([ltp_dataset(curve)]).startswith(message)


def test_five_cycles_are_enough_in_any_unit(ltp_dataset):
    usual, small, large = (fit_laws(ltp_dataset(RISING[:6] * scale)) for scale in (1.0, 1e-90, 1e90))
    assert usual.parameters["tau"] == pytest.approx(6.0, rel=1e-6)
    for other in (small, large):
        assert other.family.name == usual.family.name
        assert other.parameters == pytest.approx(usual.parameters, rel=1e-6)  # where the search ends


@pytest.mark.parametrize(("given", "got"), [("ltp.nc", "'ltp.nc'"), (["ltp.nc"], "'ltp.nc'"), (3, "int")])
def test_what_is_no_dataset(given, got):
    assert refused(given) == f"dataset: expected an xarray.Dataset, as of astro_sim.read or simulate, got {got}"


def of_another_model():
    values = (("post", "pre"), np.array([[0.0, 1.0, 2.0]]))
    content = xr.Dataset(dict.fromkeys(("distance", "p_s_peak", "C_peak"), values))
    return describe(content, "spatial", "biophysical", 0, {})


def with_holes(dataset):
    holed = dataset.copy(deep=True)
    holed["p_l_cycle"][5] = np.nan
    return holed


NO_LTP = "expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law"
NO_DISTANCES = "distance: expected processes at three distances at least, to fit a decay to"
# What is given, from ltp, spatial and frequency datasets, and the one line that refuses it.
REFUSED = [
    (lambda ltp, spatial, frequency: [], NO_LTP),
    (lambda ltp, spatial, frequency: [spatial, frequency], NO_LTP),
    (lambda ltp, spatial, frequency: [ltp, ltp], "two datasets of the experiment 'ltp'; expected one"),
    (lambda ltp, spatial, frequency: [spatial, spatial], "two datasets of the experiment 'spatial'; expected one"),
    (
        lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("associative", n=4, cues=1, duration=1.0)],
        "cannot fit a law to the experiment 'associative'; expected ltp, spatial, frequency, stp, an, gliotransmission"
        ", or one of your own that stands for one of them",
    ),
    (
        lambda ltp, spatial, frequency: [ltp, of_another_model()],
        "datasets of different models (ltp macro, spatial biophysical); expected one for all but the short-term ones",
    ),
    (lambda ltp, spatial, frequency: [astro_sim.simulate("ltp", amplitude=0.0)], NO_RISE),
    (
        lambda ltp, spatial, frequency: [ltp.drop_vars("p_l_cycle")],
        "dataset: variable 'p_l_cycle' is missing; a dataset of 'ltp' needs it",
    ),
    (
        lambda ltp, spatial, frequency: [ltp.drop_attrs()],
        "dataset: not a dataset of astro_sim (attribute 'experiment' is missing)",
    ),
    (lambda ltp, spatial, frequency: [with_holes(ltp)], "dataset: variable 'p_l_cycle' holds NaN or infinite values"),
    (
        lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("spatial", coupling=0.0)],
        "p_s_peak: expected positive responses; with no coupling there is no decay to fit",
    ),
    (
        lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("spatial", n=3, layout="equidistant")],
        NO_DISTANCES,
    ),
    (lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("spatial", n=1)], NO_DISTANCES),
    (lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("spatial", n=2, layout="grid")], NO_DISTANCES),
    (
        lambda ltp, spatial, frequency: [ltp, astro_sim.simulate("frequency", n=1, amplitude=0.0)],
        "calcium: expected positive values to fit an exponent to",
    ),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[message.split(";")[0] for _, message in REFUSED])
def test_datasets_that_no_laws_can_be_fitted_to(simulated, given, message):
    assert refused(given(*simulated.values())).startswith(message)


def test_an_unknown_family(simulated):
    expected = "unknown law family 'stretched_exponental'; did you mean 'stretched_exponential'?"
    assert refused([simulated["ltp"]], family="stretched_exponental") == expected


@pytest.mark.parametrize(
    ("name", "variable", "unit"),
    [("ltp", "p_l_cycle", "mV"), ("spatial", "distance", "um"), ("frequency", "rate", "1/s")],
)
def test_units_that_do_not_match(simulated, name, variable, unit):
    changed = simulated[name].copy()
    changed[variable].attrs["units"] = unit
    message = refused([changed] if name == "ltp" else [simulated["ltp"], changed])
    assert variable in message
    assert f"unit {unit!r}" in message or f"got {unit!r}" in message


def repeated(rise, deviation, rng):
    """What `read_curve` asks for, of 20 repetitions around a curve."""
    levels = rise[:, None] + deviation * rng.standard_normal((len(rise), 20))
    levels[0] = 0.0
    p_l = xr.Variable(("cycle", "repetition"), levels, {"units": "1"})
    return xr.Dataset({"p_l_cycle": p_l, "tau_cycle": 10.0})


def test_a_rise_within_its_noise_is_none(rng):
    """The mean of a rise of 0.02 is known to 0.11."""
    with pytest.raises(InputError, match="flat or falls"):
        read_curve(repeated(0.02 * RISING, 0.5, rng))


def test_falling_steps_within_the_noise_are_data(rng):
    curve = read_curve(repeated(RISING, 0.2, rng))
    assert (np.diff(curve.levels) < 0).any()
    assert curve.averaged == {"repetition": 20}
