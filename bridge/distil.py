"""From datasets to laws: read the curves off, fit every family, choose on evidence."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError
from astro_sim.common.files import versions
from astro_sim.dataset import check, require_single, settings_of
from bridge import residuals
from bridge.bootstrap import bootstrap
from bridge.curves import read_curve
from bridge.fitting import CurveFit, Noise
from bridge.laws import Laws
from bridge.other_laws import presynaptic_exponent, short_term, spatial_decay
from bridge.schema import Candidate, LawsDocument, Number, RetentionLaw, Source, finite
from bridge.selection import Attempt, compare

EXPERIMENTS = ("ltp", "spatial", "frequency", "stp")
METHOD = {"levels": "least squares on cycle ends", "dynamics": "least squares on the steps between cycle ends"}


def fit_laws(
    datasets: Sequence[xr.Dataset],
    family: str | None = None,
    noise: Noise | None = None,
    draws: int = 400,
    seed: int = 0,
) -> Laws:
    """Distil the laws from simulated datasets.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        One ``ltp`` dataset: a run, or a sweep over ``seed`` or ``layout``, whose points count as repetitions.
        Optionally one each of ``spatial``, ``frequency`` and ``stp``, all of the same model.
    family : str, optional
        Use this family for the retention law; by default the one with the lowest AICc.
    noise : {"levels", "dynamics"}, optional
        Where noise enters the curve; by default where the lowest AICc has it.
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
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed!r}")
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or not 0 <= draws <= 100_000:
        raise InputError(f"draws: expected a whole number from 0 to 100000, got {draws!r}")
    given: dict[str, xr.Dataset] = {}
    for dataset in datasets:
        name = str(check(dataset).attrs["experiment"])
        if name not in EXPERIMENTS:
            raise InputError(f"cannot fit a law to the experiment {name!r}; expected {', '.join(EXPERIMENTS)}")
        if name in given:
            raise InputError(f"two datasets of the experiment {name!r}; expected one")
        given[name] = dataset if name == "ltp" else require_single(dataset)
    if "ltp" not in given:
        raise InputError("expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none")
    models = {name: str(dataset.attrs["model"]) for name, dataset in given.items()}
    if len(set(models.values())) > 1:
        told = ", ".join(f"{name} {model}" for name, model in models.items())
        raise InputError(f"datasets of different models ({told}); expected one model for all of a laws file")
    decay, alpha = given.get("spatial"), given.get("frequency")
    return Laws(
        LawsDocument(
            retention=retention_law(given["ltp"], family, noise, int(draws), int(seed)),
            spatial_decay=None if decay is None else spatial_decay(decay),
            presynaptic_exponent=None if alpha is None else presynaptic_exponent(alpha),
            short_term=short_term(given["stp"]) if "stp" in given else {},
            perturbation=None,
            sources=[_source(dataset) for dataset in given.values()],
            versions=versions("rmaat", "numpy", "scipy", "lmfit"),
        )
    )


def retention_law(
    dataset: xr.Dataset, family: str | None = None, noise: Noise | None = None, draws: int = 400, seed: int = 0
) -> RetentionLaw:
    """Fit the LTP curve, averaged over synapses and repetitions and sampled at the ends of the cycles."""
    curve = read_curve(dataset)
    tried = compare(curve, family, noise)
    best = tried[0].fit
    origin = _origin(best)
    spread = curve.spread(best.noise == "dynamics")
    return RetentionLaw(
        family=best.family.name,
        parameters={p.name: Number.of(best.parameters[p.name], p.unit, origin) for p in best.family.parameters},
        knots=list(best.family.knots),
        amplitude=Number.of(best.amplitude, curve.unit, "fitted together with the parameters"),
        tau_cycle=curve.tau_cycle,
        unit=curve.unit,
        start=float(curve.levels[0]),
        samples=[float(value) for value in curve.levels[1:]],
        averaged=curve.averaged,
        spread=None if spread is None else [float(value) for value in spread],
        noise=best.noise,
        residuals=[float(value) for value in best.residuals],
        deviation=finite(best.deviation),
        autocorrelation=residuals.autocorrelation(best.residuals),
        r_squared=best.r_squared,
        converged=best.converged,
        reached=best.reached,
        identifiable=best.identifiable,
        concave=bool(best.family.concave(best.values)),
        fitted_cycles=best.cycles,
        peak_cycle=best.family.peak_cycle(best.values, horizon=100 * best.cycles),
        candidates=[_candidate(each) for each in tried],
        draws=bootstrap(curve, best, draws, seed) if draws else None,
    )


def _origin(fit: CurveFit) -> str:
    if not fit.converged:
        return f"{METHOD[fit.noise]}; no interval: the fit did not converge"
    if not np.isfinite(fit.amplitude.low):
        return f"{METHOD[fit.noise]}; no interval: a curve without noise"
    return f"{METHOD[fit.noise]}; interval in the log parameter with Student's t"


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
        settings=settings_of(dataset),
    )
