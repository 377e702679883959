"""A laws file in words and tables, for a terminal."""

from collections.abc import Sequence

import numpy as np

from bridge.effects import OUTPUTS, Sensitivity
from bridge.laws import Laws

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def sentences(laws: Laws) -> list[str]:
    """What was fitted to what, and how far it can be trusted."""
    document, law = laws.document, laws.document.retention
    averaged = " x ".join(f"{size} {name}" for name, size in law.averaged.items()) or "nothing"
    source = ", ".join(f"{each.experiment} ({each.model}, seed {each.seed})" for each in document.sources)
    told = [
        f"Retention law: {law.family}, {laws.family.equation}, t in cycles of {law.tau_cycle:g} s.",
        f"Fitted to {law.fitted_cycles} cycle ends averaged over {averaged}; from {source}.",
        f"Noise is taken to enter through {'samples' if law.noise == 'levels' else 'the dynamics'} "
        f"({law.noise_origin}); residuals one cycle apart are correlated by {law.autocorrelation:.2f}.",
        f"{'Concave' if law.concave else f'Not concave: the largest increment is that of cycle {law.peak_cycle}'}; "
        f"the curve reached {law.reached:.0%} of the fitted saturation.",
    ]
    if not law.converged:
        told.append("The fit did NOT converge.")
    if not law.identifiable:
        told.append("NOT identifiable: rely on the band, not on the parameters.")
    if law.draws is None:
        told.append("No draws: nothing repeats in the data and there is no noise, so no interval follows from them.")
    if document.perturbation is not None:
        told.append(f"Perturbed on purpose: {document.perturbation.kind}.")
    return told


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
            basis = "extrapolated" if laws.extrapolates(total) else "simulated"
            rows.append((str(total), str(t), f"{factor[t - 1]:.4g}", between, basis))
    return ("T", "t", "RetentionFactor", "95 % of draws", "basis"), rows


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
