"""From datasets to laws: read the curves off, fit every family, choose on evidence."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, require_whole
from astro_sim.common.files import versions
from astro_sim.dataset import check, content_digest, require_single, settings_of, stands_for
from bridge.curves import Curve, read_curve
from bridge.fitting import AMPLITUDE, CurveFit, Noise
from bridge.intervals import bootstrap, profile_interval
from bridge.laws import Laws
from bridge.schema import (
    Candidate,
    Estimate,
    LawsDocument,
    Number,
    RetentionLaw,
    Source,
    finite,
    residual_autocorrelation,
)
from bridge.selection import Attempt, compare
from bridge.short_term import presynaptic_exponent, short_term, spatial_decay

Array = NDArray[np.float64]

SHORT = ("stp", "an", "gliotransmission")  # hold time constants of short-term plasticity
EXPERIMENTS = ("ltp", "spatial", "frequency", *SHORT)
METHOD = {"levels": "least squares on cycle ends", "dynamics": "least squares on the steps between cycle ends"}


def fit_laws(
    datasets: xr.Dataset | Iterable[xr.Dataset],
    family: str | None = None,
    noise: Noise | None = None,
    draws: int = 400,
    seed: int = 0,
) -> Laws:
    """Distil the laws from simulated datasets.

    Parameters
    ----------
    datasets : xarray.Dataset or several of them
        One ``ltp`` dataset: a run, or a sweep over ``seed`` or ``layout``, whose points count as repetitions.
        Optionally one each of ``spatial`` and ``frequency``, of the same model; and of ``an``, ``gliotransmission`` and
        ``stp`` of each model, whose time constants have names of their own. Datasets of experiments of your own that
        stand for ``ltp``, ``spatial`` or ``frequency`` are taken in its place.
    family : str, optional
        Use this family for the retention law; by default the one with the lowest AICc.
    noise : {"levels", "dynamics"}, optional
        Where noise enters the curve; by default as replicates show it, or without them where the lowest AICc has it.
    draws : int
        Bootstrap samples to keep, for the band of the law; 0 for none.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Laws

    Raises
    ------
    InputError
        A dataset that is missing, doubled, of another kind or of another model; too few cycles; a curve that does not
        rise beyond its noise; units that do not match.
    """
    seed = require_whole("seed", seed, 0)
    draws = require_whole("draws", draws, 0, 100_000)
    given: dict[str, xr.Dataset] = {}
    short: dict[tuple[str, str], xr.Dataset] = {}
    # A single dataset gets a list around it; so does what is no dataset, and it is refused as such.
    single = isinstance(datasets, xr.Dataset | str) or not isinstance(datasets, Iterable)
    several: Any = [datasets] if single else datasets
    for dataset in several:
        name = stands_for(check(dataset))
        if name not in EXPERIMENTS:
            raise InputError(
                f"cannot fit a law to the experiment {name!r}; expected {', '.join(EXPERIMENTS)}, or one of your own "
                "that stands for one of them"
            )
        model = str(dataset.attrs["model"])
        if name in given or (name, model) in short:
            of = f", {model} model" if name in SHORT else ""
            raise InputError(f"two datasets of the experiment {name!r}{of}; expected one")
        if name in SHORT:
            short[name, model] = require_single(dataset)
        else:
            given[name] = dataset if name == "ltp" else require_single(dataset)
    if "ltp" not in given:
        raise InputError("expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none")
    models = {name: str(dataset.attrs["model"]) for name, dataset in given.items()}
    if len(set(models.values())) > 1:
        told = ", ".join(f"{name} {model}" for name, model in models.items())
        raise InputError(f"datasets of different models ({told}); expected one for all but the short-term ones")
    decay, alpha = given.get("spatial"), given.get("frequency")
    # What takes no time is read first, so that what is wrong with it is told at once.
    spatial = None if decay is None else spatial_decay(decay)
    exponent = None if alpha is None else presynaptic_exponent(alpha)
    fast = {name: number for dataset in short.values() for name, number in short_term(dataset).items()}
    return Laws(
        LawsDocument(
            retention=retention_law(given["ltp"], family, noise, draws, seed),
            spatial_decay=spatial,
            presynaptic_exponent=exponent,
            short_term=fast,
            perturbation=None,
            sources=[_source(dataset) for dataset in (*given.values(), *short.values())],
            versions=versions("rmaat", "numpy", "scipy", "lmfit"),
        )
    )


def retention_law(
    dataset: xr.Dataset, family: str | None = None, noise: Noise | None = None, draws: int = 400, seed: int = 0
) -> RetentionLaw:
    """Fit the LTP curve, averaged over synapses and repetitions and sampled at the ends of the cycles."""
    curve = read_curve(dataset)
    compared = compare(curve, family, noise)
    best = compared.attempts[0].fit
    spread = curve.spread(best.noise == "dynamics")
    numbers = _numbers(best, curve, spread)
    return RetentionLaw(
        family=best.family.name,
        parameters={p.name: numbers[p.name] for p in best.family.parameters},
        knots=list(best.family.knots),
        amplitude=numbers[AMPLITUDE.name],
        tau_cycle=curve.tau_cycle,
        unit=curve.unit,
        start=float(curve.levels[0]),
        samples=[float(value) for value in curve.levels[1:]],
        averaged=curve.averaged,
        spread=None if spread is None else [float(value) for value in spread],
        noise=best.noise,
        noise_origin=compared.noise_origin,
        residuals=[float(value) for value in best.residuals],
        deviation=finite(best.deviation),
        autocorrelation=residual_autocorrelation(best.residuals),
        r_squared=best.r_squared,
        converged=best.converged,
        reached=best.reached,
        identifiable=best.identifiable,
        concave=bool(best.family.concave(best.values)),
        fitted_cycles=best.cycles,
        peak_cycle=best.family.peak_cycle(best.values, horizon=100 * best.cycles),
        candidates=[_candidate(each) for each in compared.attempts],
        draws=bootstrap(curve, best, draws, seed) if draws else None,
    )


def _numbers(fit: CurveFit, curve: Curve, spread: Array | None) -> dict[str, Number]:
    """Parameters and amplitude with profile-likelihood intervals, where there is noise and a minimum."""
    method = METHOD[fit.noise]
    units = {**{p.name: p.unit for p in fit.family.parameters}, AMPLITUDE.name: curve.unit}
    numbers = {}
    for name, estimate in {**fit.parameters, AMPLITUDE.name: fit.amplitude}.items():
        if not fit.converged:
            low, high, told = np.nan, np.nan, "no interval: the fit did not converge"
        elif not np.isfinite(estimate.low):
            low, high, told = np.nan, np.nan, "no interval: a curve without noise"
        else:
            low, high = profile_interval(curve.rise, fit, name, spread)
            told = "interval of the profile likelihood, with Student's t"
        numbers[name] = Number.of(
            Estimate(estimate.value, estimate.stderr, low, high), units[name], f"{method}; {told}"
        )
    return numbers


def _candidate(attempt: Attempt) -> Candidate:
    fit = attempt.fit
    return Candidate(
        family=fit.family.name,
        parameters=fit.values,
        knots=list(fit.family.knots),
        r_squared=fit.r_squared,
        aicc=finite(fit.aicc),
        bic=finite(fit.bic),
        held_out=finite(attempt.held_out),
        converged=fit.converged,
    )


def _source(dataset: xr.Dataset) -> Source:
    attributes = dataset.attrs
    return Source(
        experiment=str(attributes["experiment"]),
        model=str(attributes["model"]),
        seed=int(attributes["seed"]),
        digest=str(attributes["digest"]),
        contents=content_digest(dataset),
        settings=settings_of(dataset),
    )
