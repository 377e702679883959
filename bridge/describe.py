"""What a laws file says, in clauses and table rows: the only place that tells a law, to terminal, report and figure.

A clause is a sentence or two with its numbers, or None where there is nothing to tell; a table is a head and its rows,
all text. Everything is plain ASCII, which a page sets as it likes ("p^l", "R^2", minus signs).
"""

import math
from collections.abc import Sequence

import numpy as np

from bridge import evidence, families
from bridge.families.base import total_variation
from bridge.laws import PAPER_EXPONENT, PERTURBATIONS, WEIGHTS, Laws
from bridge.schema import REACH, RESOLUTION, Number, Perturbation, RetentionLaw

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

REFERENCE_TOTAL = 16  # T at which laws are held against each other: the most segments the paper names
# Slope of log calcium against log rate in the curve that AT shows, 0.115 to 0.1325 a.u. from 1 to 10 Hz.
# The exponent in its tables, `PAPER_EXPONENT`, is a hyperparameter and does not follow. AT (arXiv 2312.10925), Fig. 3.
AT_SLOPE = math.log(0.1325 / 0.115) / math.log(10.0)
FEW, NOISE = 6, 0.01  # the studied setting that shows what a short curve hides: cycles, noise over the saturation
NO_NOISE = "no noise to place"  # as the bridge says how it is known where noise enters
ENTERS = {
    "levels": "the samples, each of which is read with an error of its own",
    "dynamics": "the dynamics, where a cycle starts from the end of the last one, and errs",
}
BAND = "It takes the family for granted: it does not show a wrong one."


# How numbers are written.


def number(value: float, digits: int = 4) -> str:
    """``digits`` significant digits."""
    return f"{value:.{digits}g}"


def percent(part: float, whole: float = 1.0) -> str:
    """Part over whole as percent: a whole number, or two significant digits below 10."""
    value = 100 * part / whole if whole else math.nan
    return f"{value:.0f} %" if abs(value) >= 10 else f"{number(value, 2)} %"


def r_squared(value: float) -> str:
    """R^2; close to 1 as its distance from 1, where the digits are."""
    rest = 1.0 - value
    if abs(rest) < 1e-9:
        return "1 (to within 1e-9)"
    return f"1 - {rest:.1e}" if 0 < rest < 1e-3 else number(value)


def with_unit(value: float, unit: str, digits: int = 4) -> str:
    """A number with its unit, which 1 has none of."""
    return number(value, digits) + ("" if unit == "1" else f" {unit.replace('1/spacing', 'per spacing')}")


def interval(n: Number) -> str:
    """Value, unit and 95 % interval of a fitted number."""
    between = "no interval" if n.low is None or n.high is None else f"95 % interval {number(n.low)} to {number(n.high)}"
    return f"{with_unit(n.value, n.unit)} ({between})"


def plain(name: str) -> str:
    """A family or a time constant in words."""
    return name.replace("_", " ")


# What the law is.


def findings(laws: Laws) -> list[str]:
    """Which law it is, what was done to it on purpose, and its shape."""
    law = laws.document.retention
    before = " before that" if _set_aside(laws) else ""
    identity = (
        f"Retention law{before}: {plain(law.family)}, {laws.family.equation}, t in cycles of {law.tau_cycle:g} s; "
        f"{_chosen(law)}; R^2 = {r_squared(law.r_squared)}."
    )
    clauses = [perturbed(laws), identity, None if law.converged else "The fit did NOT converge.", unfitted(laws)]
    if law.concave:
        clauses.append("Concave: every cycle adds less than the one before it.")
    else:
        late = ", within the data" if law.peak_cycle == 1 else ", so RetentionFactor rises before it falls"
        clauses.append(f"NOT concave: the largest increment is that of cycle {law.peak_cycle}{late}.")
    return [clause for clause in clauses if clause]


def values(laws: Laws) -> list[str]:
    """Every fitted number with its interval, in clauses; `numbers` has them in a table."""
    document = laws.document
    parameters = "; ".join(f"{name} = {interval(n)}" for name, n in document.retention.parameters.items())
    clauses = [f"Parameters of the {plain(document.retention.family)} law: {parameters}."]
    if (decay := document.spatial_decay) is not None:
        clauses.append(f"Fast calcium falls off with distance at {interval(decay)}.")
    if (alpha := document.presynaptic_exponent) is not None:
        clauses.append(
            f"Calcium grows with stimulation rate to the power {interval(alpha)}, {_bend(alpha)}; the papers use "
            f"{PAPER_EXPONENT:g}, a hyperparameter, and the curve that AT shows (Fig. 3, 1 to 10 Hz) has slope "
            f"{AT_SLOPE:.3f}."
        )
    if document.short_term:
        constants = "; ".join(f"{name} {interval(n)}" for name, n in document.short_term.items())
        clauses.append(f"Time constants of short-term plasticity: {constants}.")
    return clauses


def data(laws: Laws) -> str:
    """What the law was fitted to."""
    sources = ", ".join(f"{one.experiment} ({one.model}, seed {one.seed})" for one in laws.document.sources)
    return f"Fitted to {laws.fitted_cycles} cycle ends averaged over {averaged(laws)}; from {sources}."


def averaged(laws: Laws) -> str:
    """Dimensions that the curve was averaged over, with their sizes."""
    return " x ".join(f"{size} {name}" for name, size in laws.document.retention.averaged.items()) or "nothing"


def perturbed(laws: Laws) -> str | None:
    """How the laws differ on purpose from those before; None for laws as they were fitted."""
    perturbation = laws.document.perturbation
    if perturbation is None:
        return None
    left = "The parameters are set; curve and families are those before."
    if perturbation.kind in WEIGHTS:
        left = "RetentionFactor is set and does not follow from family, parameters and curve, which are those before."
    return f"Perturbed on purpose: {kind(perturbation)}; the laws before have the digest {perturbation.of[:12]}. {left}"


def kind(perturbation: Perturbation | str) -> str:
    """A perturbation, or the name of one: what it means, and the numbers that belong to it."""
    if isinstance(perturbation, str):
        return f"{perturbation} ({PERTURBATIONS.get(perturbation, 'unknown')})"
    told = PERTURBATIONS[perturbation.kind]
    told += "" if perturbation.factor is None else f"; factor {perturbation.factor:g}"
    told += "" if perturbation.seed is None else f"; seed {perturbation.seed}"
    return f"{perturbation.kind} ({told})"


def mark(laws: Laws) -> str:
    """What a title adds where laws were changed on purpose; empty where they were not."""
    perturbation = laws.document.perturbation
    return "" if perturbation is None else f" (perturbed: {perturbation.kind})"


def unfitted(laws: Laws) -> str | None:
    """Where parameters come from that training or a perturbation set; None for those of a fit."""
    law = laws.document.retention
    moved = laws.document.perturbation is not None and not _set_aside(laws)
    if not (moved or _is_trained(laws)):
        return None
    origins = ", ".join(sorted({n.origin for n in law.parameters.values()}))
    return (
        f"The parameters were not fitted ({origins}); the curve, its saturation and the families tried are those of "
        "the fit before, R^2 and residuals those of these parameters."
    )


def taken(laws: Laws, default_decay: float) -> str:
    """The exponent and the decay that a model takes by default: fitted ones, else what stands in for them."""
    alpha, decay = laws.presynaptic_exponent, laws.spatial_decay
    exponent = (
        f"{PAPER_EXPONENT:g} (the papers'; no frequency dataset was fitted)"
        if alpha is None
        else f"{alpha:.4g} (fitted; the papers': {PAPER_EXPONENT:g})"
    )
    falls = (
        f"{default_decay:g} per token (chosen; no spatial dataset was fitted)"
        if decay is None
        else f"{decay:.4g} per spacing (fitted)"
    )
    return f"a model takes the presynaptic exponent {exponent} and the spatial decay {falls}"


# How well it is known, and how far it reaches.


def doubts(laws: Laws, totals: Sequence[int]) -> list[str]:
    """How well the law is known, and how far it reaches; ``totals`` are the T that are looked at."""
    about_fit = [_intervals(laws), _closed_form(laws), noise(laws.document.retention), unidentified(laws)]
    clauses = [*(about_fit if unfitted(laws) is None else []), band(laws, totals), reach(laws, totals)]
    return [clause for clause in clauses if clause]


def unidentified(laws: Laws) -> str | None:
    """A warning of laws that their curve does not tell; None where it does, or where the curve has no say."""
    law = laws.document.retention
    if law.identifiable or not laws.parametric or unfitted(laws) is not None:
        return None
    advice = "rely on the band of RetentionFactor, not on the parameters"
    if laws.needs_total:
        advice = "do not rely on the parameters; reversed laws have no band"
    elif law.draws is None:
        advice = "do not rely on the parameters; there are no resampled laws to give a band"
    reached = f"the curve reached {percent(law.reached)} of the fitted saturation"
    reached += f", below the {percent(REACH)} from which a curve tells its law" if law.reached < REACH else ""
    reached += "" if law.converged else ", and the fit did not converge"
    return f"NOT identifiable: {reached}: {advice}."


def noise(law: RetentionLaw) -> str:
    """Where noise is taken to enter, how that is known, and whether the residuals bear it out."""
    largest = percent(max(map(abs, law.residuals)), law.amplitude.value)
    if law.negligible:
        return (
            f"Residuals are negligible: at most {largest} of the saturation, and below {percent(RESOLUTION)} of the "
            "rise they count as no noise."
        )
    place = f"Noise is taken to enter through {ENTERS[law.noise]} ({law.noise_origin})."
    if law.noise_origin == NO_NOISE:
        place = f"No noise to place: another family follows the curve to within {percent(RESOLUTION)} of its rise."
    together = number(law.autocorrelation, 2)
    limit = f"1.96 / sqrt({law.fitted_cycles}) = {number(1.96 / math.sqrt(law.fitted_cycles), 2)}"
    if not law.correlated:
        return f"{place} Residuals one cycle apart go together by {together}, within {limit}."
    return (
        f"{place} WARNING: residuals are correlated by {together}, beyond {limit}, the 95 % band of independent ones: "
        f"the law or the kind of noise is wrong, by up to {largest} of the saturation, and intervals and band are too "
        "narrow."
    )


def band(laws: Laws, totals: Sequence[int]) -> str:
    """How wide the band of RetentionFactor is, or why there is none."""
    law = laws.document.retention
    if law.draws is not None and not _set_aside(laws):
        return (
            f"RetentionFactor's band holds 95 % of {law.draws.count} resampled laws ({law.draws.method}) and is "
            f"{percent(max(band_width(laws, total) for total in totals))} of the largest factor wide at most. {BAND}"
        )
    why = "nothing repeats in the data and there is no noise, or no resampled laws were asked for"
    if _set_aside(laws):
        why = "perturbed weights were set, not estimated"
    elif unfitted(laws) is not None:
        why = "parameters that were set admit none"
    return f"RetentionFactor has no band: {why}."


def band_width(laws: Laws, total: int) -> float:
    """Widest place of the band of RetentionFactor(., T) over its largest value; 0 where there is none."""
    edges = laws.band(total)
    return 0.0 if edges is None else float((edges[1] - edges[0]).max() / laws.retention(total).max())


def extrapolated(laws: Laws, totals: Sequence[int]) -> list[int]:
    """The T among ``totals`` beyond the simulated cycles; none where weights stand in for the law."""
    return [total for total in totals if laws.parametric and laws.extrapolates(total)]


def reach(laws: Laws, totals: Sequence[int]) -> str:
    """How far the simulated cycles reach, and which of the T are extrapolated."""
    law, beyond = laws.document.retention, extrapolated(laws, totals)
    rests = f"every T shown, up to {max(totals)}, lies within them"
    if not laws.parametric:
        rests = "RetentionFactor does not rest on them"
    elif beyond:
        rests = f"RetentionFactor for T = {', '.join(map(str, beyond))} is extrapolated"
    simulated = f"{laws.fitted_cycles} cycles of {number(law.tau_cycle)} s were simulated"
    return f"{simulated} and reached {percent(law.reached)} of the saturation; {rests}."


# Tables.


def numbers(laws: Laws) -> Table:
    """Every fitted number with its interval and unit."""
    document = laws.document
    named = {f"retention, {plain(laws.family.name)}: {name}": n for name, n in document.retention.parameters.items()}
    named |= {"saturation": document.retention.amplitude, "spatial decay": document.spatial_decay}
    named |= {"presynaptic exponent": document.presynaptic_exponent}
    named |= {f"time constant, {name}": n for name, n in document.short_term.items()}
    rows = [
        (name, f"{n.value:.5g}", "none" if n.low is None else f"{n.low:.5g} to {n.high:.5g}", n.unit)
        for name, n in named.items()
        if n is not None
    ]
    return ("law", "value", "95 % interval", "unit"), rows


def quality(laws: Laws) -> Table:
    """How the law follows its curve: what `findings` and `doubts` rest on."""
    law = laws.document.retention
    largest, deviation = max(map(abs, law.residuals)), law.deviation
    rows = [
        ("cycles simulated", str(laws.fitted_cycles), "1"),
        ("length of a cycle", number(law.tau_cycle), "s"),
        ("saturation reached", f"{law.reached:.4f}", "1"),
        ("R^2", r_squared(law.r_squared), "1"),
        ("largest residual", number(largest), law.unit),
        ("largest residual over the saturation", percent(largest, law.amplitude.value), "1"),
        ("standard deviation of the residuals", "none" if deviation is None else number(deviation), law.unit),
        ("correlation of residuals one cycle apart", f"{law.autocorrelation:.2f}", "1"),
        ("its limit for independent ones", f"{1.96 / math.sqrt(law.fitted_cycles):.2f}", "1"),
        ("cycle of the largest increment", str(law.peak_cycle), "1"),
        ("resampled laws", "none" if law.draws is None else str(law.draws.count), "1"),
    ]
    return ("of the fit", "value", "unit"), rows


def factors(laws: Laws, totals: Sequence[int]) -> Table:
    """RetentionFactor at the first, the middle and the last of T segments, with the band of the draws."""
    rows = []
    for total in totals:
        factor, edges, rests = laws.retention(total), laws.band(total), basis(laws, total)
        for t in np.unique([1, (total + 1) // 2, total]):
            between = "none" if edges is None else f"{edges[0][t - 1]:.4g} to {edges[1][t - 1]:.4g}"
            rows.append((str(total), str(t), f"{factor[t - 1]:.4g}", between, rests))
    return ("T", "t", "RetentionFactor", "95 % of draws", "basis"), rows


def basis(laws: Laws, total: int) -> str:
    """What RetentionFactor(., T) rests on."""
    if not laws.parametric:
        return "perturbed weights"
    origin = ["trained"] if _is_trained(laws) else [] if laws.document.perturbation is None else ["set"]
    return ", ".join([*origin, *(["extrapolated"] if laws.extrapolates(total) else [])]) or "simulated"


def candidates(laws: Laws) -> Table:
    """Every family that was tried, best first; `candidates_caption` says what the columns are."""
    law = laws.document.retention
    lowest = min((one.aicc for one in law.candidates if one.aicc is not None), default=0.0)
    rows = []
    for one in law.candidates:
        distance = None
        if one.family in families.NAMES:
            other = families.get(one.family, one.knots).retention(REFERENCE_TOTAL, one.parameters)
            distance = total_variation(other, laws.retention(REFERENCE_TOTAL))
        above = None if one.aicc is None else one.aicc - lowest
        rows.append(
            (
                plain(one.family) + (" (chosen)" if one.family == law.family else ""),
                ", ".join(f"{name} = {number(value)}" for name, value in one.parameters.items()),
                r_squared(one.r_squared),
                *(
                    "none" if value is None else number(value, digits)
                    for value, digits in ((one.aicc, 6), (above, 3), (one.bic, 6), (one.held_out, 4), (distance, 2))
                ),
                "yes" if one.converged else "NO",
            )
        )
    criteria = ("AICc", "above the lowest", "BIC", "held-out error", "distance")
    return ("family", "parameters", "R^2", *criteria, "converged"), rows


def candidates_caption(law: RetentionLaw) -> str:
    """What `candidates` shows."""
    told = (
        "Families tried, best first. Held-out error: on the last third of the cycles of a fit to those before, root "
        "mean square over the largest sample. Distance: total variation between this family's RetentionFactor(., "
        f"{REFERENCE_TOTAL}) and that of these laws, 0 to 1; small means that the choice hardly matters to a model."
    )
    if len(law.indistinct) > 1:
        told += f" AICc and BIC count residuals below {percent(RESOLUTION)} of the rise as that large."
    return told


# The evidence beside a law: what AICc chose for simulated curves whose truth is known.


def evidence_clause(laws: Laws) -> str:
    """How little a curve like this one tells of its family."""
    law, near = laws.document.retention, evidence.nearest(laws.document.retention)
    few = evidence.selection(law.noise, FEW, NOISE)
    ordered = sorted(few, key=lambda row: (row["truth"] != "exponential", -row["exponential"]))
    right, *wrong = (f"{row['exponential']} {plain(row['truth'])}" for row in ordered)
    mean = float(np.mean([row[row["truth"]] for row in near]))
    distances = [row["95th of distances"] for row in near]
    own = "unknown residuals"
    if law.deviation is not None:
        own = f"residuals of {percent(law.deviation, law.amplitude.value)}"
    told = (
        f"How little a curve tells of its family: of 100 simulated curves of each, with {FEW} cycles and noise of "
        f"{100 * NOISE:g} % of the saturation, AICc takes {right} curves for exponential, rightly, and "
        f"{', '.join(wrong)} ones. In the studied setting nearest to this law ({laws.fitted_cycles} cycles, {own} of "
        f"the saturation) it finds the right family for {number(mean, 3)} of 100 curves, and RetentionFactor(., 16) of "
        f"95 % of them lies within {number(min(distances), 2)} to {number(max(distances), 2)} of the truth (total "
        "variation, by family)."
    )
    return told if law.family in families.FAMILIES else f"{told} The study has no {plain(law.family)}."


def evidence_table(laws: Laws) -> Table:
    """True family against chosen family, of 100 curves each, in the studied setting nearest to this law."""
    rows = [
        (
            plain(row["truth"]),
            *(str(row[name]) for name in families.FAMILIES),
            str(row["shape right"]),
            number(row["95th of distances"], 2),
        )
        for row in evidence.nearest(laws.document.retention)
    ]
    return ("truth", *map(plain, families.FAMILIES), "right shape", "distance"), rows


def evidence_caption(laws: Laws) -> str:
    """What `evidence_table` shows."""
    row = evidence.nearest(laws.document.retention)[0]
    place = {"levels": "samples", "dynamics": "dynamics"}[row["noise in"]]
    return (
        f"What AICc takes 100 simulated curves for ({row['cycles']} cycles, noise of {100 * row['noise']:g} % of the "
        f"saturation in the {place}): rows, the family that made the curves; columns, the family chosen. Right shape: "
        "the largest increment is rightly that of the first cycle, or rightly a later one. Distance: of "
        "RetentionFactor(., 16) from the truth, not exceeded by 95 of 100."
    )


# A law before training and after it.


def moved(before: Laws, after: Laws) -> str:
    """Where training moved a law."""
    changes = ", ".join(
        f"{name} from {number(n.value)} to {with_unit(after.parameters[name], n.unit)}"
        for name, n in before.document.retention.parameters.items()
    )
    distance = number(total_variation(before.retention(REFERENCE_TOTAL), after.retention(REFERENCE_TOTAL)), 2)
    factors = f"RetentionFactor(., {REFERENCE_TOTAL}) by {distance} (total variation, 0 to 1)"
    return f"Training moved its law: {changes}; {factors}."


def moved_parameters(before: Laws, after: Laws) -> Table:
    """Parameters before and after training."""
    rows = [
        (name, n.unit, number(n.value), number(now := after.parameters[name]), number(now / n.value, 3))
        for name, n in before.document.retention.parameters.items()
    ]
    return ("parameter", "unit", "simulated", "trained", "trained over simulated"), rows


def moved_factors(before: Laws, after: Laws, totals: Sequence[int]) -> Table:
    """How far training moved RetentionFactor(., T), as total variation, and its first and last value."""
    rows = []
    for total in totals:
        pair = before.retention(total), after.retention(total)
        ends = (number(factor[at]) for at in (0, -1) for factor in pair)
        rows.append((str(total), number(total_variation(*pair), 2), *ends))
    return ("T", "distance", "first before", "first after", "last before", "last after"), rows


def _set_aside(laws: Laws) -> bool:
    """Whether perturbed weights stand in place of the law."""
    perturbation = laws.document.perturbation
    return perturbation is not None and perturbation.kind in WEIGHTS


def _is_trained(laws: Laws) -> bool:
    return any(n.origin.startswith("trained") for n in laws.document.retention.parameters.values())


def _chosen(law: RetentionLaw) -> str:
    """How the family came to be chosen: by AICc among fits that converged, or by whoever asked for it."""
    if len(law.candidates) < 2:
        return "the only family tried"
    equal = law.indistinct if len(law.indistinct) > 1 and law.family in law.indistinct else []
    tried = f"of {len(law.candidates)} families"
    if equal:
        tried = f"{len(equal)} {tried} leave residuals below {percent(RESOLUTION)} of the rise, too small to choose by"
    sound = [one for one in law.candidates if one.converged and one.aicc is not None]
    best = min(sound, key=lambda one: one.aicc or 0.0, default=None)
    if best is None or best.family == law.family:
        return f"fewest parameters ({tried})" if equal else f"lowest AICc {tried}"
    return f"asked for ({tried}{';' if equal else ''} {plain(best.family)} has the lowest AICc)"


def _bend(alpha: Number) -> str:
    low, high = (alpha.value if end is None else end for end in (alpha.low, alpha.high))
    if low <= 1 <= high:
        return "straight within its interval"
    return "convex" if low > 1 else "concave"


def _is_single(laws: Laws) -> bool:
    """Whether the law is of one run of the macro model, which holds no noise."""
    repeated = {"seed", "layout", "repetition"} & set(laws.document.retention.averaged)
    return not repeated and any(one.experiment == "ltp" and one.model == "macro" for one in laws.document.sources)


def _intervals(laws: Laws) -> str:
    """What the intervals mean."""
    if not _is_single(laws):
        return f"Intervals come from the residuals of one curve, the mean over {averaged(laws)}, not from many fits."
    meaning = (
        "One run of the deterministic macro model holds no noise, so it admits no interval: how far the law varies "
        "must come from other seeds, layouts and synapses."
    )
    if any(n.low is not None for n in laws.document.retention.parameters.values()):
        return f"{meaning} The interval given is the misfit of the family."
    return meaning


def _closed_form(laws: Laws) -> str | None:
    """The tau in which linear dynamics must end, beside the fitted one; None where there is no such form."""
    law = laws.document.retention
    settings = next((one.settings for one in laws.document.sources if one.experiment == "ltp"), {})
    if law.family != "exponential" or settings.get("ltp_dynamics") != "linear" or not _is_single(laws):
        return None
    try:
        expected = settings["tau_p_l"] / (settings["gamma_l"] * settings["tau_cycle"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None
    tau = law.parameters["tau"]
    off = 100 * (tau.value / expected - 1)
    told = (
        f"Linear dynamics of p^l must end in tau = tau_p_l / (gamma_l tau_cycle) = {number(expected)} cycles; the fit "
    )
    told += f"is off by {number(abs(off), 2)} %" if abs(off) > 1e-4 else "is the same"
    outside = tau.low is not None and tau.high is not None and not tau.low <= expected <= tau.high
    if outside and not settings.get("burn_in"):
        told += ", which its interval does not cover: s builds up from rest in the first cycles (see burn_in)"
    return told + "."
