"""From datasets to laws: read the curves off, fit every family, choose on evidence."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.files import versions
from astro_sim.dataset import check, require_single, settings_of
from bridge import families
from bridge.fitting import CurveFit, Estimate, fit_curve, fit_slope
from bridge.laws import Candidate, Laws, LawsDocument, Number, RetentionLaw, Source

Array = NDArray[np.float64]

INTERVAL = "least squares on cycle ends; interval in the log parameter with Student's t"
NO_INTERVAL = "least squares on cycle ends; no interval: a curve without noise"
MISFIT = "the interval is the line's misfit, not noise"
FEWEST_CYCLES = 5  # amplitude, time constant and variance leave AICc finite from 5 samples on


def fit_laws(datasets: Sequence[xr.Dataset], family: str | None = None) -> Laws:
    """Distil the laws from simulated datasets.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        One ``ltp`` dataset; optionally one ``spatial`` and one ``frequency`` dataset. Others (``stp``) teach the
        laws nothing and are refused, so that a mix-up is noticed.
    family : str, optional
        Use this family for the retention law; by default the one with the lowest AICc.

    Returns
    -------
    Laws

    Raises
    ------
    InputError
        A dataset that is missing, doubled or of another kind; too few cycles; a curve that does not rise.
    """
    given: dict[str, xr.Dataset] = {}
    for dataset in datasets:
        name = str(require_single(check(dataset)).attrs["experiment"])
        if name not in ("ltp", "spatial", "frequency"):
            raise InputError(f"cannot fit a law to the experiment {name!r}; expected ltp, spatial or frequency")
        if name in given:
            raise InputError(f"two datasets of the experiment {name!r}; expected one")
        given[name] = dataset
    if "ltp" not in given:
        raise InputError("expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none")
    return Laws(
        LawsDocument(
            retention=retention_law(given["ltp"], family),
            spatial_decay=spatial_decay(given["spatial"]) if "spatial" in given else None,
            presynaptic_exponent=presynaptic_exponent(given["frequency"]) if "frequency" in given else None,
            sources=[_source(dataset) for dataset in given.values()],
            versions=versions("rmaat", "numpy", "scipy", "lmfit"),
        )
    )


def retention_law(dataset: xr.Dataset, family: str | None = None) -> RetentionLaw:
    """Fit the LTP curve, averaged over synapses and sampled at the ends of the cycles."""
    if "p_l_cycle" not in dataset:
        raise InputError("p_l_cycle: missing; expected an ltp dataset of cycles, not of STDP pairs")
    curve = _over_all_but(dataset["p_l_cycle"], "cycle")
    rise = curve[1:] - curve[0]
    if not float(dataset["tau_cycle"]) > 0:
        raise InputError(f"tau_cycle: expected a length above 0 s, got {float(dataset['tau_cycle']):g}")
    if len(rise) < FEWEST_CYCLES:
        raise InputError(f"p_l_cycle: expected at least {FEWEST_CYCLES} cycles to fit a law to, got {len(rise)}")
    if not (rise[-1] > 0 and np.abs(rise).max() < 2 * rise[-1]):
        raise InputError("p_l_cycle: expected a curve that rises from cycle 0 to the last; this one is flat or falls")
    if np.ptp(rise) <= 1e-9 * rise[-1]:
        raise InputError("p_l_cycle: expected a rise over several cycles; this curve is flat after the first")
    tried = families.FAMILIES.values() if family is None else [families.get(family)]
    fits = sorted((fit_curve(rise, each) for each in tried), key=lambda fit: (not fit.converged, fit.aicc))
    best = fits[0]
    origin = INTERVAL if np.isfinite(best.amplitude.low) else NO_INTERVAL
    return RetentionLaw(
        family=best.family.name,
        parameters={p.name: _number(best.parameters[p.name], p.unit, origin) for p in best.family.parameters},
        amplitude=_number(best.amplitude, "a.u.", "fitted together with the parameters"),
        tau_cycle=float(dataset["tau_cycle"]),
        start=float(curve[0]),
        samples=[float(value) for value in curve[1:]],
        residuals=[float(value) for value in best.residuals],
        r_squared=best.r_squared,
        converged=best.converged,
        fitted_cycles=len(rise),
        concave=bool(best.family.concave(best.values)),
        peak_cycle=best.family.peak_cycle(best.values, horizon=100 * len(rise)),
        candidates=[_candidate(fit) for fit in fits],
    )


def spatial_decay(dataset: xr.Dataset) -> Number:
    """Slope of log peak p^s against distance, the active process left out (it is driven directly)."""
    distance, peak = dataset["distance"].values.ravel(), dataset["p_s_peak"].values.ravel()
    reached = distance > 0
    distance, peak = distance[reached], peak[reached]
    if len(np.unique(np.round(distance, 9))) < 3:
        raise InputError("distance: expected processes at three distances at least, to fit a decay to")
    if (peak <= 0).any():
        raise InputError("p_s_peak: expected positive responses; with no coupling there is no decay to fit")
    slope, r_squared = fit_slope(distance, np.log(peak))
    decay = Estimate(-slope.value, slope.stderr, -slope.high, -slope.low)
    return _number(decay, "1/spacing", f"line through log p_s_peak against distance, R^2 = {r_squared:.4f}; {MISFIT}")


def presynaptic_exponent(dataset: xr.Dataset) -> Number:
    """Slope of log calcium against log rate."""
    calcium = _over_all_but(dataset["calcium"], "rate")
    if (calcium <= 0).any():
        raise InputError("calcium: expected positive values to fit an exponent to")
    slope, r_squared = fit_slope(np.log(dataset["rate"].values), np.log(calcium))
    return _number(slope, "1", f"line through log calcium against log rate, R^2 = {r_squared:.4f}; {MISFIT}")


def _over_all_but(variable: xr.DataArray, kept: str) -> Array:
    """Mean over synapses, repetitions and whatever else there is."""
    return variable.mean([dim for dim in variable.dims if dim != kept]).values


def _number(estimate: Estimate, unit: str, origin: str) -> Number:
    value, *rest = (float(part) for part in (estimate.value, estimate.stderr, estimate.low, estimate.high))
    stderr, low, high = (part if np.isfinite(part) else None for part in rest)
    return Number(value=value, stderr=stderr, low=low, high=high, unit=unit, origin=origin)


def _candidate(fit: CurveFit) -> Candidate:
    return Candidate(
        family=fit.family.name,
        parameters=fit.values,
        r_squared=fit.r_squared,
        aicc=fit.aicc if np.isfinite(fit.aicc) else None,
        converged=fit.converged,
    )


def _source(dataset: xr.Dataset) -> Source:
    attributes = dataset.attrs
    return Source(
        experiment=str(attributes["experiment"]),
        model=str(attributes["model"]),
        seed=int(attributes["seed"]),
        digest=str(attributes["digest"]),
        settings=settings_of(dataset),
    )
