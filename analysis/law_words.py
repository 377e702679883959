"""What a laws file says, in sentences: the law, how well it is known, how far it reaches, and the other numbers."""

import math

from analysis import paper
from analysis.curves import TOTALS, VISIBLE, retention_curves
from analysis.parts import interval, number, percent, r_squared, share
from bridge.families.family import total_variation
from bridge.laws import PAPER_EXPONENT, PERTURBATIONS, WEIGHTS, Laws
from bridge.schema import REACH, RESOLUTION, Number, RetentionLaw

ENTERS = {
    "levels": "the samples: every cycle end is read with an error of its own",
    "dynamics": "the dynamics: every cycle starts where the last one ended, and errs",
}
REFERENCE_TOTAL = 16  # T at which laws are held against each other: the most segments the paper names
NO_NOISE = "no noise to place"  # as the bridge says how it is known where noise enters


def law_sentences(laws: Laws) -> list[str]:
    """Which law and the other numbers, then how well they are known and how far they reach."""
    return [*law_findings(laws), *law_doubts(laws)]


def law_findings(laws: Laws) -> list[str]:
    """Which law, its shape, and the other numbers."""
    law = laws.document.retention
    values = "; ".join(f"{name} = {interval(n)}" for name, n in law.parameters.items())
    told = [
        f"The retention law is {plain(law.family)}, {laws.family.equation} with t in cycles, {_chosen(law)}: "
        f"{values}; R² = {r_squared(law.r_squared)}" + ("." if law.converged else "; the fit did NOT converge.")
    ]
    told += [sentence for sentence in (perturbed(laws), unfitted(laws)) if sentence]
    told.append(_shape_of(laws, law))
    decay, alpha = laws.document.spatial_decay, laws.document.presynaptic_exponent
    if decay is not None:
        told.append(f"Fast calcium falls off with distance at {interval(decay)}.")
    if alpha is not None:
        told.append(
            f"Calcium grows with stimulation rate to the power {interval(alpha)}, {_shape(alpha)}. The papers use "
            f"{PAPER_EXPONENT:g}, a hyperparameter: the concave curve that AT shows (its Fig. 3, from 1 to 10 Hz) has "
            f"slope {paper.AT_SLOPE:.3f}. The fit is reported as it is, and {PAPER_EXPONENT:g} remains a setting."
        )
    if laws.document.short_term:
        constants = "; ".join(f"{plain(name)} {interval(n)}" for name, n in laws.document.short_term.items())
        told.append(f"Time constants of short-term plasticity: {constants}.")
    return [sentence for sentence in told if sentence]


def law_doubts(laws: Laws) -> list[str]:
    """How well the law is known, and how far it reaches."""
    law = laws.document.retention
    told = [*_trust(laws, law), noise(law), unidentified(laws)] if unfitted(laws) is None else []
    return [sentence for sentence in (*told, band(laws), _reach(laws, law)) if sentence]


def extrapolated(laws: Laws) -> list[int]:
    """The T shown in the report that lie beyond the simulated cycles; none where weights stand in for the law."""
    return [total for total in TOTALS if laws.parametric and laws.extrapolates(total)]


def perturbed(laws: Laws) -> str | None:
    """How the laws differ on purpose from those before; None for laws as they were fitted."""
    perturbation = laws.document.perturbation
    if perturbation is None:
        return None
    told = (
        f"These laws differ on purpose, to find out whether the simulated law matters to a model: "
        f"{perturbation_told(perturbation.kind, perturbation.factor, perturbation.seed)}. The laws before have the "
        f"digest {perturbation.of[:12]}…"
    )
    if perturbation.kind in WEIGHTS:
        told += "; family, parameters and curve are still theirs, and the factors do not follow from them alone"
    return told + "."


def perturbation_told(kind: str, factor: float | None, seed: int | None) -> str:
    """A perturbation: its name, what it means, and the numbers that belong to it."""
    numbers = f"; factor {number(factor)}" if factor is not None else ""
    numbers += f"; seed {seed}" if seed is not None else ""
    return f"{kind} ({PERTURBATIONS.get(kind, 'unknown')}{numbers})"


def unfitted(laws: Laws) -> str | None:
    """Where parameters come from that training or a perturbation set; None for those of a fit."""
    law, perturbation = laws.document.retention, laws.document.perturbation
    origins = {n.origin for n in law.parameters.values()}
    moved = perturbation is not None and perturbation.kind not in WEIGHTS
    if not (moved or any(origin.startswith("trained") for origin in origins)):
        return None
    return (
        f"The parameters were not fitted ({', '.join(sorted(origins))}); the curve, its saturation and the families "
        "tried are those of the fit before, R² and residuals those of these parameters."
    )


def unidentified(laws: Laws) -> str | None:
    """A mark on laws that their curve does not tell; None where it does, or where the curve has no say."""
    law = laws.document.retention
    if law.identifiable or not laws.parametric or unfitted(laws) is not None:
        return None
    reached = f"The curve reached {percent(law.reached, 0)} of the fitted saturation"
    why = "" if law.converged else " and the fit did not converge"
    if law.reached < REACH:
        reached += f", below the {percent(REACH, 0)} from which a curve tells its law"
    advice = "rely on the band of the retention factors, not on the parameters"
    if laws.needs_total:
        advice = "do not rely on the parameters; reversed laws have no band"
    elif law.draws is None:
        advice = "do not rely on the parameters, and there are no resampled laws to give a band"
    return f"The law is NOT identifiable. {reached}{why}: {advice}."


def noise(law: RetentionLaw) -> str:
    """Where noise is taken to enter, how that is known, and whether the residuals bear it out."""
    largest, saturation = max(map(abs, law.residuals)), law.amplitude.value
    if law.negligible:
        return (
            f"The residuals, at most {share(largest, saturation)} of the saturation, are negligible: below "
            f"{share(RESOLUTION, 1)} of the rise they count as no noise."
        )
    told = f"Noise is taken to enter through {ENTERS[law.noise]} (how that is known: {law.noise_origin})."
    if law.noise_origin == NO_NOISE:
        told = f"No noise to place: another family follows the curve to within {share(RESOLUTION, 1)} of its rise."
    limit = 1.96 / math.sqrt(law.fitted_cycles)
    told += f" Residuals one cycle apart are correlated by {number(law.autocorrelation, 2)}, "
    if not law.correlated:
        return told + f"within ±1.96/√{law.fitted_cycles} = {number(limit, 2)}."
    return told + (
        f"beyond 1.96/√{law.fitted_cycles} = {number(limit, 2)}, the 95 % band of independent ones: the law or the "
        f"kind of noise is wrong, by residuals of up to {share(largest, saturation)} of the saturation, and the "
        "intervals and the band are too narrow."
    )


def band(laws: Laws) -> str:
    """What the band of the retention factors is, or why there is none."""
    law, perturbation = laws.document.retention, laws.document.perturbation
    if perturbation is not None and perturbation.kind in WEIGHTS:
        return "RetentionFactor has no band: perturbed weights were set, not estimated."
    if law.draws is None:
        if unfitted(laws) is not None:
            return "RetentionFactor has no band: parameters that were set admit none."
        return (
            "RetentionFactor has no band: there are no resampled laws, since nothing repeats in the data and there is "
            "no noise, or none were asked for."
        )
    width = max(curve.width for curve in retention_curves(laws))
    if width <= VISIBLE:
        close = share(width, 1) if width > RESOLUTION else f"less than {share(RESOLUTION, 1)}"
        return (
            f"RetentionFactor has no band that could be seen: 95 % of {law.draws.count} resampled laws "
            f"({law.draws.method}) differ by {close} of its largest value. They take the {plain(law.family)} family "
            "for granted."
        )
    return (
        f"The band of RetentionFactor is where 95 % of {law.draws.count} resampled laws lie, segment by segment "
        f"({law.draws.method}). It takes the {plain(law.family)} family for granted."
    )


def moved(before: Laws, after: Laws, total: int) -> float:
    """Share of the weight of RetentionFactor(., T) that lies elsewhere after training."""
    return total_variation(before.retention(total), after.retention(total))


def plain(name: str) -> str:
    """A name in words."""
    return name.replace("_", " ")


def _chosen(law: RetentionLaw) -> str:
    """How the family came to be chosen: by AICc among fits that converged, or by whoever asked for it."""
    if len(law.candidates) < 2:
        return "the only one tried"
    sound = [each for each in law.candidates if each.converged and each.aicc is not None]
    best = min(sound, key=lambda each: each.aicc or 0.0, default=None)
    equal = law.indistinct
    if len(equal) > 1 and law.family in equal:
        told = (
            f"{len(equal)} of {len(law.candidates)} families leave residuals below {share(RESOLUTION, 1)} of the rise, "
            "too small to choose by"
        )
        if best is None or best.family == law.family:
            return f"which has the fewest parameters ({told})"
        return f"which was asked for ({told}; {plain(best.family)} has the lowest AICc)"
    if best is None or best.family == law.family:
        return f"with the lowest AICc of {len(law.candidates)} families"
    return f"which was asked for (of {len(law.candidates)} families {plain(best.family)} has the lowest AICc)"


def _trust(laws: Laws, law: RetentionLaw) -> list[str]:
    """What the interval means, and the closed form beside the fit where there is one."""
    source = next((source for source in laws.document.sources if source.experiment == "ltp"), None)
    repeated = [name for name in law.averaged if name in ("seed", "layout", "repetition")]
    if source is None or source.model != "macro" or repeated:
        over = " x ".join(f"{size} {name}" for name, size in law.averaged.items())
        told = "The intervals come from the residuals of one averaged curve"
        return [told + (f" (the mean over {over})" if over else "") + ", not from fits to each repetition."]
    told = [
        "The macro model is deterministic: one run holds no noise, so it admits no interval. How far the law varies "
        "must come from other seeds, layouts and synapses."
    ]
    if any(n.low is not None for n in law.parameters.values()):
        told[0] += " The interval given here is the misfit of the family."
    s = source.settings
    try:
        expected = s["tau_p_l"] / (s["gamma_l"] * s["tau_cycle"])
        applies = s["ltp_dynamics"] == "linear" and law.family == "exponential"
    except (KeyError, TypeError, ZeroDivisionError):
        return told
    if applies:
        tau = law.parameters["tau"]
        difference = 100 * (tau.value / expected - 1)
        sentence = (
            f"Linear pˡ dynamics must end in tau = tau_p_l / (gamma_l tau_cycle) = {number(expected)} "
            f"cycles; the fit is {f'off by {number(abs(difference), 2)} %' if abs(difference) > 1e-4 else 'the same'}"
        )
        outside = tau.low is not None and tau.high is not None and not tau.low <= expected <= tau.high
        if outside and not s.get("burn_in"):
            sentence += ", which its interval does not cover: s builds up from rest in the first cycles (see burn_in)"
        told.append(sentence + ".")
    return told


def _shape_of(laws: Laws, law: RetentionLaw) -> str:
    curve = "curve" if laws.document.perturbation is not None else "law"
    if law.concave:
        return f"The {curve} is concave: every cycle adds less than the one before it."
    late = f"The {curve} is NOT concave: the largest increment comes in cycle {law.peak_cycle}"
    if law.peak_cycle == 1:
        return late + ", within the data."
    return late + ("." if laws.document.perturbation is not None else ", so retention factors rise before they fall.")


def _reach(laws: Laws, law: RetentionLaw) -> str:
    n, beyond = laws.fitted_cycles, extrapolated(laws)
    told = f"{n} cycles of {number(law.tau_cycle)} s were simulated. "
    told += f"They reach {percent(law.reached, 0)} of the saturation. "
    if not laws.parametric:
        return told + "The retention factors do not rest on them."
    if not beyond:
        return told + f"Every T shown (up to {TOTALS[-1]}) lies within them."
    listed = ", ".join(map(str, beyond))
    return told + f"Retention factors for T = {listed} are extrapolated and drawn dashed."


def _shape(alpha: Number) -> str:
    low, high = (alpha.value if end is None else end for end in (alpha.low, alpha.high))
    if low <= 1 <= high:
        return "straight within its interval"
    return "convex" if low > 1 else "concave"
