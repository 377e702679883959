"""A laws file in words and tables, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge.effects import OUTPUTS, Sensitivity
from bridge.laws import PERTURBATIONS, WEIGHTS, Laws
from bridge.schema import RESOLUTION, Perturbation, RetentionLaw

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def sentences(laws: Laws) -> list[str]:
    """What was fitted to what, and how far it can be trusted."""
    document, law = laws.document, laws.document.retention
    averaged = " x ".join(f"{size} {name}" for name, size in law.averaged.items()) or "nothing"
    source = ", ".join(f"{each.experiment} ({each.model}, seed {each.seed})" for each in document.sources)
    perturbation = document.perturbation
    set_aside = perturbation is not None and perturbation.kind in WEIGHTS
    told = [] if perturbation is None else [_perturbed(perturbation)]
    told += [
        f"Retention law{' before that' if set_aside else ''}: {law.family}, {laws.family.equation}, t in cycles of "
        f"{law.tau_cycle:g} s.",
        f"Fitted to {law.fitted_cycles} cycle ends averaged over {averaged}; from {source}.",
        f"Noise is taken to enter through {'samples' if law.noise == 'levels' else 'the dynamics'} "
        f"({law.noise_origin}); residuals one cycle apart are correlated by {law.autocorrelation:.2f}.",
        f"{'Concave' if law.concave else f'Not concave: the largest increment is that of cycle {law.peak_cycle}'}; "
        f"the curve reached {law.reached:.0%} of the fitted saturation.",
    ]
    if law.correlated and not set_aside:
        told.append(
            f"WARNING: residuals are correlated beyond 1.96 / sqrt({law.fitted_cycles}), the 95 % band of independent "
            "ones: the law or the kind of noise is wrong, and intervals and band are too narrow."
        )
    if not law.converged:
        told.append("The fit did NOT converge.")
    if not law.identifiable:
        told.append("NOT identifiable: rely on the band, not on the parameters.")
    moved = not set_aside and _basis(laws, law.fitted_cycles) != "simulated"
    if law.draws is None and not moved:
        told.append("No draws: nothing repeats in the data and there is no noise, or none were asked for.")
    if tie := _tie(law):
        told.append(tie)
    return told


def _perturbed(perturbation: Perturbation) -> str:
    """How laws differ on purpose, and what that leaves of the rest of the file."""
    told = f"Perturbed on purpose: {perturbation.kind} ({PERTURBATIONS[perturbation.kind]}"
    told += "" if perturbation.factor is None else f"; factor {perturbation.factor:g}"
    told += "" if perturbation.seed is None else f"; seed {perturbation.seed}"
    if perturbation.kind in WEIGHTS:
        return f"{told}). RetentionFactor is set; curve, parameters and families are those of the law before."
    return f"{told}). The parameters are set; curve and families are those of the law before."


def _tie(law: RetentionLaw) -> str | None:
    """That the evidence does not choose between families, where it does not."""
    equal = law.indistinct
    if len(equal) < 2 or law.family not in equal:
        return None
    told = f"{len(equal)} of {len(law.candidates)} families leave residuals below {100 * RESOLUTION:g} % of the rise, "
    told += "which AICc counts as equal: "
    fewest = min(law.candidates, key=lambda each: (each.family not in equal, each.aicc or 0.0))
    if fewest.family == law.family:
        return f"{told}the one with the fewest parameters is taken."
    return f"{told}{law.family} was asked for, {fewest.family} has the fewest parameters."


def numbers(laws: Laws) -> Table:
    """Every fitted number with its interval and unit."""
    document = laws.document
    found = {f"retention, {laws.family.name}: {name}": n for name, n in document.retention.parameters.items()}
    found |= {"spatial decay": document.spatial_decay, "presynaptic exponent": document.presynaptic_exponent}
    found |= {f"time constant, {name}": n for name, n in document.short_term.items()}
    rows = [
        (name, f"{n.value:.5g}", "none" if n.low is None else f"{n.low:.5g} to {n.high:.5g}", n.unit)
        for name, n in found.items()
        if n is not None
    ]
    return ("law", "value", "95 % interval", "unit"), rows


def factors(laws: Laws, totals: Sequence[int]) -> Table:
    """RetentionFactor at the first, the middle and the last of T segments, with the band of the draws."""
    rows = []
    for total in totals:
        factor, band = laws.retention(total), laws.band(total)
        for t in np.unique([1, (total + 1) // 2, total]):
            between = "none" if band is None else f"{band[0][t - 1]:.4g} to {band[1][t - 1]:.4g}"
            rows.append((str(total), str(t), f"{factor[t - 1]:.4g}", between, _basis(laws, total)))
    return ("T", "t", "RetentionFactor", "95 % of draws", "basis"), rows


def _basis(laws: Laws, total: int) -> str:
    """What RetentionFactor(., ``total``) rests on."""
    if laws.document.perturbation is not None:
        return "set"
    if any(number.origin.startswith("trained") for number in laws.document.retention.parameters.values()):
        return "trained"
    return "extrapolated" if laws.extrapolates(total) else "simulated"


def candidates(laws: Laws) -> Table:
    """Every family that was tried."""

    def told(value: float | None, form: str) -> str:
        return "none" if value is None else format(value, form)

    rows = [
        (
            each.family,
            ", ".join(f"{name} {value:.4g}" for name, value in each.parameters.items()),
            told(each.aicc, ".2f"),
            told(each.bic, ".2f"),
            told(each.held_out, ".4f"),
            "yes" if each.converged else "NO",
        )
        for each in laws.document.retention.candidates
    ]
    return ("family", "parameters", "AICc", "BIC", "held-out error", "converged"), rows


def explored(model: str, settings: Mapping[str, Any]) -> str:
    """The model of a simulation, and its LTP dynamics where it has a choice: the laws of the two differ."""
    return ", ".join([model, *([str(settings["ltp_dynamics"])] if "ltp_dynamics" in settings else [])])


def effects(found: Sensitivity) -> Table:
    """What each parameter does to the law, by `OUTPUTS`."""
    if found.method == "morris":
        columns = ("elasticity", "mean size", "+-", "spread")
        parts = [(e.mean, e.size, e.confidence, e.spread) for e in found.effects]
    else:
        columns = ("alone (S1)", "together (ST)", "+-")
        parts = [(e.alone, e.together, e.confidence) for e in found.effects]
    names = {output: name.format(T=found.total) for output, name in OUTPUTS.items()}
    rows = [
        (names[e.output], e.parameter, *("none" if value is None else f"{value:.3f}" for value in part))
        for e, part in zip(found.effects, parts, strict=True)
    ]
    return ("of", "parameter", *columns), rows
