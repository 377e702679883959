"""The numbers beside the retention law: decay in space, exponent of the rate, short-term time constants."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import optimize, stats

from astro_sim.common.errors import InputError
from astro_sim.dataset import settings_of
from bridge.fitting import CONFIDENCE, fit_slope
from bridge.schema import Estimate, Number

Array = NDArray[np.float64]

MISFIT = "the interval is the line's misfit, not noise"
RATES = (1.0, 10.0)  # Hz, the range of AT (arXiv 2312.10925), Fig. 3
FEWEST_REPETITIONS = 3  # from which slopes of single repetitions give an interval (chosen)


def spatial_decay(dataset: xr.Dataset) -> Number:
    """Slope of log peak p^s against distance, per process spacing; the active process left out (it is driven directly).

    A model reads one spacing as one token position (`rmaat.RMAATConfig.spatial_decay`).
    """
    _require_unit(dataset, "distance", "spacing")
    distance, peak = dataset["distance"].values.ravel(), dataset["p_s_peak"].values.ravel()
    reached = distance > 0
    distance, peak = distance[reached], peak[reached]
    if len(np.unique(np.round(distance, 9))) < 3:
        raise InputError("distance: expected processes at three distances at least, to fit a decay to")
    if (peak <= 0).any():
        raise InputError("p_s_peak: expected positive responses; with no coupling there is no decay to fit")
    slope, r_squared = fit_slope(distance, np.log(peak))
    decay = Estimate(-slope.value, slope.stderr, -slope.high, -slope.low)
    return Number.of(decay, "1/spacing", f"line through log p_s_peak against distance, R^2 = {r_squared:.4f}; {MISFIT}")


def presynaptic_exponent(dataset: xr.Dataset) -> Number:
    """Slope of log calcium against log rate, within 1 to 10 Hz where there are three rates at least."""
    _require_unit(dataset, "rate", "Hz")
    rate = dataset["rate"].values
    within = (rate >= RATES[0]) & (rate <= RATES[1])
    if within.sum() < 3:
        within = np.ones_like(within)
    calcium = dataset["calcium"].isel(rate=np.flatnonzero(within))
    if (calcium.values <= 0).any():
        raise InputError("calcium: expected positive values to fit an exponent to")
    x = np.log(rate[within])
    if len(x) < 3:
        raise InputError(f"rate: expected three rates at least to fit an exponent to, got {len(x)}")
    averaged = calcium.mean([dim for dim in calcium.dims if dim not in ("rate", "repetition")])
    where = f"line through log calcium against log rate, {rate[within].min():g} to {rate[within].max():g} Hz"
    if "repetition" in averaged.dims and averaged.sizes["repetition"] >= FEWEST_REPETITIONS:
        rows = averaged.transpose("repetition", "rate").values
        slopes = np.array([fit_slope(x, np.log(row))[0].value for row in rows])
        error = float(slopes.std(ddof=1) / np.sqrt(len(slopes)))
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(slopes) - 1)) * error
        mean = float(slopes.mean())
        origin = f"{where}; mean of {len(slopes)} repetitions, interval with Student's t from their spread"
        return Number.of(Estimate(mean, error, mean - half, mean + half), "1", origin)
    slope, r_squared = fit_slope(x, np.log(averaged.mean([d for d in averaged.dims if d != "rate"]).values))
    return Number.of(slope, "1", f"{where}, R^2 = {r_squared:.4f}; {MISFIT}")


def short_term(dataset: xr.Dataset) -> dict[str, Number]:
    """Time constants of short-term plasticity, s, by name.

    - ``stp`` of the macro model: how long facilitation ``s`` and fast calcium ``p_s`` take to fall to 1/e after the
      stimulus, in the mean over synapses.
    - ``stp`` of the biophysical model: ``facilitation`` (1/Omega_f) and ``depression`` (1/Omega_d), from the release of
      the second of two spikes without gliotransmission, against their distance.
    - ``an``: ``AG``, the decay of 2-AG, and ``eSP``, that of the potentiation by glutamate.
    - ``gliotransmission``: ``Gamma_S``, the unbinding of presynaptic receptors.

    Raises
    ------
    InputError
        A dataset from which they cannot be told.
    """
    experiment, model = str(dataset.attrs["experiment"]), str(dataset.attrs["model"])
    if experiment == "an":
        found = {"AG": _fall(dataset, "AG_fall"), "eSP": _driven(dataset, "eSP", "Glu")}
    elif experiment == "gliotransmission":
        found = {"Gamma_S": _fall(dataset, "Gamma_S_fall")}
    elif model == "macro":
        found = {name: _relaxation(dataset, name) for name in ("s", "p_s")}
    else:
        found = _paired_pulses(dataset)
    told = f"{experiment}, {model}: "
    return {name: number.model_copy(update={"origin": told + number.origin}) for name, number in found.items()}


def _fall(dataset: xr.Dataset, name: str) -> Number:
    """The shortest of the fall times in a dataset: what was driven meanwhile falls more slowly."""
    _require_unit(dataset, name, "s")
    times = dataset[name].values.ravel()
    times = times[np.isfinite(times)]
    if not len(times):
        raise InputError(f"{name}: expected something that rises and falls, to fit a time constant to")
    origin = f"steepest relative fall between two samples, the least of {len(times)}; no noise, no interval"
    return Number(value=float(times.min()), stderr=None, low=None, high=None, unit="s", origin=origin)


def _driven(dataset: xr.Dataset, name: str, driver: str) -> Number:
    """tau of tau dx/dt = -x + m u, from the steps between samples: a line through them in x and u."""
    time = dataset["time"].values
    step = time[1] - time[0]
    x, u = (dataset[each].transpose("time", ...).values.reshape(len(time), -1) for each in (name, driver))
    change, sums = np.diff(x, axis=0).ravel(), [(part[1:] + part[:-1]).ravel() * step / 2 for part in (x, u)]
    columns = np.stack(sums, axis=1)
    if not np.linalg.matrix_rank(columns / np.maximum(np.abs(columns).max(0), 1e-300)) == 2:
        raise InputError(f"{name}: expected {driver} that comes and goes, to fit a time constant to")
    (rate, _), residuals, *_ = np.linalg.lstsq(columns, change, rcond=None)
    if not rate < 0:
        raise InputError(f"{name}: expected a decay, to fit a time constant to")
    freedom = len(change) - 2
    variance = float(residuals[0]) / freedom if len(residuals) else 0.0
    error = float(np.sqrt(variance * np.linalg.inv(columns.T @ columns)[0, 0])) / rate**2
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    value = -1.0 / float(rate)
    origin = f"line through the steps of {name} between {len(change)} samples, in {name} and {driver}; {MISFIT}"
    return Number.of(Estimate(value, error, value - half, value + half), "s", origin)


def _relaxation(dataset: xr.Dataset, name: str) -> Number:
    settings = settings_of(dataset)
    end = float(settings["duty"]) * float(settings["tau_cycle"])
    time = dataset["time"].values
    mean = dataset[name].mean([dim for dim in dataset[name].dims if dim != "time"]).values
    start = int(np.searchsorted(time, end))
    later = mean[start:]
    fallen = np.flatnonzero(later <= later[0] / np.e) if len(later) else np.array([], int)
    if not len(fallen) or not later[0] > 0 or fallen[0] == 0:
        raise InputError(f"{name}: expected a decay to 1/e within the cycle, after the stimulus at {end:g} s")
    k = int(fallen[0])
    above, below = np.log(later[k - 1]), np.log(later[k])
    share = (above - (np.log(later[0]) - 1.0)) / (above - below)
    span = time[start + k - 1] - time[start] + share * (time[start + k] - time[start + k - 1])
    origin = f"time in which the mean {name} falls to 1/e after the stimulus; no noise, no interval"
    return Number(value=float(span), stderr=None, low=None, high=None, unit="s", origin=origin)


def paired_release(interval: Array, U: float, tau_f: float, tau_d: float) -> Array:
    """Release of the second of two spikes, of a terminal at rest (Tsodyks and Markram)."""
    u = U + U * (1.0 - U) * np.exp(-interval / tau_f)
    return u * (1.0 - U * np.exp(-interval / tau_d))


def _paired_pulses(dataset: xr.Dataset) -> dict[str, Number]:
    if settings_of(dataset).get("protocol") != "paired_pulse":
        raise InputError("protocol: expected an stp dataset of paired pulses to fit time constants to")
    quiet = dataset.sel(modulation="none") if "none" in dataset["modulation"].values.tolist() else None
    if quiet is None:
        raise InputError("modulation: expected 'none' among them, to fit time constants to")
    times, release = quiet["spike_time"].values, quiet["r_S"].values
    interval, U = times[:, 1] - times[:, 0], float(release[:, 0].mean())
    if len(np.unique(interval)) < 3:
        raise InputError("intervals: expected three different ones at least, to fit two time constants to")
    found = optimize.least_squares(
        lambda z: paired_release(interval, U, *np.exp(z)) - release[:, 1],
        np.log([0.3, 0.5]),
        bounds=(np.log(1e-3), np.log(1e3)),
        xtol=1e-13, ftol=1e-13, gtol=1e-13,
    )  # fmt: skip
    worst = float(np.abs(found.fun).max())
    origin = f"closed form of the second release at {len(interval)} intervals, largest misfit {worst:.1e}; no noise"
    return {
        name: Number(value=float(np.exp(z)), stderr=None, low=None, high=None, unit="s", origin=origin)
        for name, z in zip(("facilitation", "depression"), found.x, strict=True)
    }


def _require_unit(dataset: xr.Dataset, name: str, unit: str) -> None:
    found = dataset[name].attrs.get("units")
    if found != unit:
        raise InputError(f"{name}: expected the unit {unit}, got {found!r}")
