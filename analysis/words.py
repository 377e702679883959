"""The summary: what was found, in sentences with numbers, each with its reservation beside it."""

import math
from typing import Any

from analysis import paper
from analysis.collect import Inputs
from analysis.curves import TOTALS
from analysis.parts import count, interval, number, percent, r_squared
from bridge.laws import PAPER_EXPONENT, Laws
from bridge.schema import Number, RetentionLaw
from rmaat.records import RunRecord

Z95 = 1.959964  # standard normal quantile at 0.975


def summary(inputs: Inputs) -> list[str]:
    """Sentences about everything that was given; none about what was not."""
    sentences = []
    for each in inputs.laws:
        prefix = f"{each.path}: " if len(inputs.laws) > 1 else ""
        told = law_sentences(each.laws)
        sentences += [prefix + told[0], *told[1:]]
    sentences += [run_sentence(run) for run in inputs.runs]
    return sentences


def law_sentences(laws: Laws) -> list[str]:
    """Which law, how well it is known, how far it reaches, and the two other numbers."""
    law = laws.document.retention
    values = "; ".join(f"{name} = {interval(n)}" for name, n in law.parameters.items())
    tried = (
        f"with the lowest AICc of {len(law.candidates)} families" if len(law.candidates) > 1 else "the only one tried"
    )
    told = [
        f"The retention law is {_plain(law.family)}, {laws.family.equation} with t in cycles, {tried}: "
        f"{values}; R² = {r_squared(law.r_squared)}" + ("." if law.converged else "; the fit did NOT converge.")
    ]
    told += _trust(laws, law)
    if law.concave:
        told.append("The law is concave: every cycle adds less than the one before it.")
    else:
        told.append(
            f"The law is NOT concave: the largest increment comes in cycle {law.peak_cycle}"
            + (", so retention factors rise before they fall." if law.peak_cycle > 1 else ", within the data.")
        )
    told.append(_reach(laws, law))
    decay, alpha = laws.document.spatial_decay, laws.document.presynaptic_exponent
    if decay is not None:
        told.append(f"Fast calcium falls off with distance at {interval(decay)}.")
    if alpha is not None:
        told.append(
            f"Calcium grows with stimulation rate to the power {interval(alpha)}, {_shape(alpha)}. The "
            f"papers use {PAPER_EXPONENT:g}, a hyperparameter: the concave curve that AT shows has slope "
            f"{paper.AT_SLOPE:.3f}. The fit is reported as it is, and {PAPER_EXPONENT:g} remains a setting."
        )
    return told


def extrapolated(laws: Laws) -> list[int]:
    """The T shown in the report that lie beyond the simulated cycles."""
    return [total for total in TOTALS if total > laws.fitted_cycles]


def run_sentence(run: RunRecord) -> str:
    """What was trained, and how it did against always answering the most frequent class."""
    made = run.run.get("model_config") or {}
    settings = run.run.get("settings") or {}
    about = [
        f"memory rule {made['memory_rule']}" if made.get("memory_rule") else "",
        f"backward {made['backward']}" if made.get("backward") else "",
        f"presynaptic exponent {number(made['presynaptic_exponent'])}" if made.get("presynaptic_exponent") else "",
        f"{count(run.run['parameters'])} parameters" if "parameters" in run.run else "",
        f"seed {settings['seed']}" if "seed" in settings else "",
    ]
    about = ", ".join(part for part in about if part)
    head = f"Run {run.path.name}: {run.run.get('model', 'a model')} on {run.run.get('task', 'a task')}"
    head += f" ({about}) " if about else " "
    if run.evaluation is None:
        state = "has not been evaluated" if run.finished else "is not finished (no model.safetensors)"
        return head + state + ", so there is no test accuracy."
    accuracy, majority = run.evaluation.get("accuracy"), run.evaluation.get("majority")
    steps = f" after {count(run.evaluation['step'])} steps" if "step" in run.evaluation else ""
    told = head + f"reached {percent(accuracy)} {run.evaluation.get('split', 'test')} accuracy{steps}"
    told += against_majority(accuracy, majority, run.evaluation.get("examples"))
    return told + against_first_symbol(accuracy, run.evaluation.get("first_symbol")) + segments(run)


def against_majority(accuracy: Any, majority: Any, examples: Any) -> str:
    """The comparison with the majority class, with the sampling error of the accuracy."""
    if not (isinstance(accuracy, int | float) and isinstance(majority, int | float)):
        return "."
    points = f"{100 * abs(accuracy - majority):.1f} points {'above' if accuracy >= majority else 'below'}"
    told = f", {points} the majority class at {percent(majority)}"
    if isinstance(examples, int) and examples > 0:
        low, high = wilson(accuracy, examples)
        told += f" (95 % interval from {count(examples)} examples: {percent(low)} to {percent(high)}"
        told += "; the difference is within sampling error)" if low <= majority <= high else ")"
    return told + "."


def against_first_symbol(accuracy: Any, table: Any) -> str:
    """The comparison with a table that knows the first symbol alone: what needs neither memory nor attention."""
    if not (isinstance(accuracy, int | float) and isinstance(table, int | float)):
        return ""
    told = f" A table that knows the first symbol of an example alone reaches {percent(table)}"
    return told + ("." if accuracy > table + 0.03 else ", so this accuracy shows no use of memory.")


def segments(run: RunRecord) -> str:
    """The T of the run's longest example, and whether the law extrapolates there; empty if unrecorded."""
    longest = _longest(run.run.get("data") or {})
    length = (run.run.get("model_config") or {}).get("segment_length")
    if not (longest and isinstance(length, int) and length > 0):
        return ""
    total = math.ceil(longest / length)
    told = f" Its longest example has {count(longest)} tokens, T = {total} segments of {length}"
    if run.laws is None:
        return told + "."
    if total > run.laws.fitted_cycles:
        return told + f"; beyond the {run.laws.fitted_cycles} simulated cycles, so its law is extrapolated."
    return told + f", within the {run.laws.fitted_cycles} simulated cycles."


def wilson(share: float, examples: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share among ``examples``."""
    z2 = Z95**2 / examples
    middle = (share + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(max(share * (1 - share), 0.0) / examples + z2 / (4 * examples)) / (1 + z2)
    return middle - half, middle + half


def _trust(laws: Laws, law: RetentionLaw) -> list[str]:
    """What the interval means, and the closed form beside the fit where there is one."""
    source = next((source for source in laws.document.sources if source.experiment == "ltp"), None)
    if source is None or source.model != "macro":
        return ["The intervals come from the residuals of one averaged curve, not from repeated simulations."]
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


def _reach(laws: Laws, law: RetentionLaw) -> str:
    n, beyond = laws.fitted_cycles, extrapolated(laws)
    covered = (law.samples[-1] - law.start) / law.amplitude.value
    told = f"{n} cycles of {number(law.tau_cycle)} s were simulated. "
    told += f"They reach {percent(covered, 0)} of the fitted saturation. "
    if not beyond:
        return told + f"Every T shown (up to {TOTALS[-1]}) lies within them."
    listed = ", ".join(map(str, beyond))
    return told + f"Retention factors for T = {listed} are extrapolated and drawn dashed."


def _shape(alpha: Number) -> str:
    low, high = (alpha.value if end is None else end for end in (alpha.low, alpha.high))
    if low <= 1 <= high:
        return "straight within its interval"
    return "convex" if low > 1 else "concave"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _longest(data: dict[str, Any]) -> int | None:
    """Longest example in tokens, wherever the record keeps it: beside the counts or a split at a time."""
    splits = data.get("splits")
    found = [data.get("longest")]
    if isinstance(splits, dict):
        found += [split.get("longest") for split in splits.values() if isinstance(split, dict)]
    found = [value for value in found if isinstance(value, int)]
    return max(found, default=None)
