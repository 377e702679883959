"""The numbers beside the retention law: decay in space, exponent of the rate, short-term time constants."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import astro_sim
from astro_sim.common.errors import InputError
from astro_sim.dataset import describe
from bridge.short_term import _driven, presynaptic_exponent, short_term, spatial_decay


def macro_stp(s, p_s, duty=0.5):
    dims = ("layout", "time", "post", "pre")
    time = np.linspace(0.0, 10.0, 201)
    content = {name: (dims, f(time)[None, :, None, None]) for name, f in (("s", s), ("p_s", p_s))}
    content["position"] = (("layout", "post", "pre", "axis"), np.zeros((1, 1, 1, 2)))
    dataset = xr.Dataset(content, {"time": time, "layout": ["grid"]})
    return describe(dataset, "stp", "macro", 0, {"tau_cycle": 10.0, "duty": duty})


def pairs(release, interval, U=0.6, **settings):
    times = np.stack([np.zeros_like(interval), interval], axis=1)
    content = {
        "r_S": (("modulation", "train", "spike"), np.stack([np.full_like(interval, U), release], 1)[None]),
        "spike_time": (("train", "spike"), times),
        "paired_pulse_ratio": (("modulation", "train"), (release / U)[None]),
        "Gamma_S_test": (("modulation", "train"), np.zeros((1, len(interval)))),
    }
    dataset = xr.Dataset(content, {"modulation": ["none"]})
    return describe(dataset, "stp", "biophysical", 0, {"protocol": "paired_pulse", **settings})


def test_macro_time_constants_are_those_of_the_decay():
    found = short_term(macro_stp(lambda t: np.exp(-(t - 5.0) / 0.7), lambda t: 2.0 * np.exp(-(t - 5.0) / 1.3)))
    # Logarithms are interpolated, and those of an exponential are straight.
    assert {name: number.value for name, number in found.items()} == pytest.approx({"s": 0.7, "p_s": 1.3}, rel=1e-12)
    assert {number.unit for number in found.values()} == {"s"}


def test_what_does_not_decay_has_no_time_constant():
    with pytest.raises(InputError, match="^s: expected a decay to 1/e within the cycle, after the stimulus at 5 s$"):
        short_term(macro_stp(np.ones_like, lambda t: np.exp(-t)))


def test_paired_pulses_give_the_constants_that_went_in():
    """The second release by the rules of the model, spike by spike (science: u, x between two spikes)."""
    interval, U, omega_f, omega_d = np.array([0.01, 0.05, 0.1, 0.5, 1.0]), 0.6, 3.33, 2.0
    u, x = U * np.exp(-omega_f * interval), 1.0 - U * np.exp(-omega_d * interval)
    found = short_term(pairs((u + U * (1.0 - u)) * x, interval))
    assert found["facilitation"].value == pytest.approx(1 / omega_f, rel=1e-6)
    assert found["depression"].value == pytest.approx(1 / omega_d, rel=1e-6)


@pytest.mark.biology
def test_the_biophysical_synapse_gives_its_rates_back():
    run = astro_sim.simulate("stp", "biophysical", start=0.1, target="numpy")
    found = short_term(run)
    stored = {key: 1.0 / value for key, value in (("facilitation", 3.33), ("depression", 2.0))}
    # Linear decays are integrated exactly between spikes on the grid.
    assert {name: number.value for name, number in found.items()} == pytest.approx(stored, rel=1e-6)


def test_other_protocols_and_too_few_intervals_are_refused():
    interval = np.array([0.01, 0.05])
    with pytest.raises(InputError, match="^intervals: expected three different ones at least"):
        short_term(pairs(0.5 + interval, interval))
    with pytest.raises(InputError, match="^protocol: expected an stp dataset of paired pulses"):
        short_term(pairs(0.5 + interval, interval, protocol="tetanus"))


def rates(rows, rate):
    values = (("rate", "repetition"), np.asarray(rows).T)
    content = xr.Dataset({"calcium": values, "calcium_peak": values}, {"rate": rate})
    return describe(content, "frequency", "biophysical", 0, {})


def test_the_exponent_over_repetitions_has_an_interval_from_their_spread():
    rate = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 50.0])
    slopes = np.array([0.2, 0.25, 0.33])
    rows = [np.where((rate >= 1) & (rate <= 10), 0.1 * rate**slope, 9.0) for slope in slopes]  # 1 to 10 Hz alone count
    found = presynaptic_exponent(rates(rows, rate))
    half = stats.t.ppf(0.975, 2) * slopes.std(ddof=1) / np.sqrt(3)
    assert found.value == pytest.approx(slopes.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((slopes.mean() - half, slopes.mean() + half), rel=1e-12)
    assert "1 to 10 Hz; mean of 3 repetitions" in found.origin


def test_units_that_do_not_match_are_refused():
    dataset = rates([[0.1, 0.2, 0.3]] * 3, np.array([1.0, 2.0, 5.0]))
    dataset["rate"].attrs["units"] = "1/min"
    with pytest.raises(InputError, match="^rate: expected the unit Hz, got '1/min'$"):
        presynaptic_exponent(dataset)


def test_two_rates_are_too_few():
    with pytest.raises(InputError, match="^rate: expected three rates at least to fit an exponent to, got 2$"):
        presynaptic_exponent(rates([[0.1, 0.2]] * 3, np.array([1.0, 2.0])))


def test_decay_with_distance_is_the_slope_of_the_logarithm(spatial_dataset, rng):
    distance = np.hypot(*np.meshgrid(np.arange(4.0), np.arange(4.0)))
    peak = 0.3 * np.exp(-0.7 * distance)
    peak[0, 0] = 5.0  # the active process is driven, not reached: its value must not matter
    number = spatial_decay(spatial_dataset(distance, peak))
    assert number.value == pytest.approx(0.7, rel=1e-12)
    assert number.unit == "1/spacing"
    assert number.low <= 0.7 * (1 + 1e-9)
    assert number.high >= 0.7 * (1 - 1e-9)
    noisy = spatial_decay(spatial_dataset(distance, peak * np.exp(0.05 * rng.standard_normal((4, 4)))))
    assert noisy.low < noisy.value < noisy.high  # the interval is not upside down
    assert noisy.high - noisy.value == pytest.approx(noisy.value - noisy.low, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.25, 1.0, 1.7])
def test_presynaptic_exponent_is_the_slope_of_logarithms(frequency_dataset, alpha):
    rate = np.arange(1.0, 11.0)
    assert presynaptic_exponent(frequency_dataset(rate, 0.1 * rate**alpha)).value == pytest.approx(alpha, rel=1e-12)


def test_a_driven_decay_is_told_from_its_driver():
    """tau dx/dt = -x + 7 u, tau = 40 s, solved exactly over steps in which u is constant."""
    time = 0.1 * np.arange(2001)
    u = np.where((time > 50) & (time < 90), 1.0, 0.2)
    x = np.zeros_like(time)
    for k in range(len(time) - 1):
        x[k + 1] = 7 * u[k] + (x[k] - 7 * u[k]) * np.exp(-0.1 / 40)
    dataset = xr.Dataset({"x": (("unit", "time"), x[None]), "u": (("unit", "time"), u[None])}, {"time": time})
    assert _driven(dataset, "x", "u").value == pytest.approx(40.0, rel=0.02)  # u jumps between two samples
    with pytest.raises(InputError, match="^x: expected u that comes and goes, to fit a time constant to$"):
        _driven(dataset.assign(u=0.0 * dataset["u"]), "x", "u")


@pytest.mark.biology
def test_the_slower_biophysical_processes_give_their_rates_back():
    """2-AG 10 s and e-SP 40 s (De Pitta and Brunel's script), receptors 1/Omega_G = 120 s."""
    run = astro_sim.simulate(
        "an", duration=60.0, failure_time=30.0, healthy_window=10.0, failed_window=10.0, target="numpy"
    )
    found = short_term(run)
    assert found["AG"].value == pytest.approx(10.0, rel=1e-3)
    assert found["eSP"].low < 40.0 < found["eSP"].high or found["eSP"].value == pytest.approx(40.0, rel=0.02)
    run = astro_sim.simulate(
        "gliotransmission", rates=(0.5, 2.0), modulations=("open",), repetitions=1, window=60.0, target="numpy"
    )
    assert short_term(run)["Gamma_S"].value == pytest.approx(120.0, rel=0.01)
