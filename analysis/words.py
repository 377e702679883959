"""The summary: what was found, in sentences with numbers, each with its reservation beside it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.astrocyte_words import astrocyte_sentences
from analysis.collect import Inputs
from analysis.comparison.statistics import wilson
from analysis.comparison_parts import verdicts
from analysis.curves import TOTALS
from analysis.memory_words import look, memory_sentences
from analysis.parts import count, is_number, number, percent, typeset
from analysis.runs import labels, run_name
from bridge import describe
from rmaat.records import RunRecord

QUESTIONS = (
    "What the astrocyte did",
    "Which law came out of it",
    "What the model made of it",
    "How sure we are",
)
PAPERS = "The papers: RMAAT (arXiv 2601.00426) and AT, the astromorphic transformer (arXiv 2312.10925)."
# What the summary leaves unsaid at first use: a word in its sentences -> what it means.
GLOSSARY = {
    "papers": PAPERS,
    "AICc": "AICc: how well a family fits, with a penalty for every parameter; the lowest is best.",
    "segment": "Segment: the piece of a long input that the model reads at once. T is the number of segments of an "
    "input; segment t of T stands for cycle t of T of the simulation.",
    "RetentionFactor": "RetentionFactor(t, T): the share of the rise of pˡ over T cycles that cycle t adds, and so the "
    "weight of segment t; RetentionFactor(., T): all T of them.",
    "memory rule": "Memory rule: what becomes of the memory after a segment. consolidate: its mean with what it was "
    "before, the new part weighted by RetentionFactor(t, t); scale, the paper's: multiplied by RetentionFactor(t, T); "
    "none: kept as the segment leaves it.",
    "amrb": "amrb: gradients by replaying each segment from the memory that was kept (Astrocytic Memory Replay "
    "Backpropagation), in place of keeping every activation (bptt) or cutting between segments (truncated).",
    "presynaptic exponent": "Presynaptic exponent: the power of the stimulation rate with which calcium grows; the "
    "model's attention takes it over.",
}
ALONE = (
    "No evaluated run stands beside another of the same task and data that differs from it, so whether the law or the "
    "memory makes a difference is not shown here: train another, and rmaat compare tells."
)


def summary(inputs: Inputs) -> dict[str, list[str]]:
    """Sentences about everything that was given, by what a reader asks; none about what was not given."""
    told: dict[str, list[str]] = {name: [] for name in QUESTIONS}
    astrocyte, law, model, doubts = told.values()
    astrocyte += astrocyte_sentences(inputs)
    for each in inputs.laws:
        prefix = f"{each.path}: " if len(inputs.laws) > 1 else ""
        known = [*describe.findings(each.laws), *describe.values(each.laws)]
        for group, clauses in ((law, known), (doubts, describe.doubts(each.laws, TOTALS))):
            group += [prefix + typeset(clauses[0]), *map(typeset, clauses[1:])]
    for index, (label, run) in enumerate(zip(labels(inputs.runs), inputs.runs, strict=True)):
        model.append(run_sentence(run, label))
        if (found := look(index, label, run)) is not None:
            model.append(memory_sentences(found))
    compared = verdicts(inputs.runs)
    doubts += compared
    if not compared and any(run.evaluation is not None for run in inputs.runs):
        doubts.append(ALONE)
    return {name: sentences for name, sentences in told.items() if sentences}


def glossary(told: Mapping[str, Sequence[str]]) -> list[str]:
    """What the words mean that these sentences use and do not explain."""
    text = " ".join(sentence for group in told.values() for sentence in group)
    return [meaning for word, meaning in GLOSSARY.items() if word in text]


def run_sentence(run: RunRecord, label: str | None = None) -> str:
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
    head = f"Run {label or run_name(run)}: {run.run.get('model', 'a model')} on {run.run.get('task', 'a task')}"
    head += f" ({about}) " if about else " "
    if run.evaluation is None:
        state = "has not been evaluated" if run.finished else "is not finished (no model.safetensors)"
        return head + state + ", so there is no test accuracy." + laws_used(run)
    accuracy, majority = run.evaluation.get("accuracy"), run.evaluation.get("majority")
    steps = f" after {count(run.evaluation['step'])} steps" if "step" in run.evaluation else ""
    bits = run.evaluation.get("bits_per_token")
    if isinstance(bits, int | float):
        told = head + f"reached {number(bits)} bits a token on the {run.evaluation.get('split', 'test')} split{steps}"
        told += f"; it finds {percent(accuracy)} of tokens, always the most frequent one {percent(majority)}."
        return told + segments(run) + laws_used(run)
    examples = run.evaluation.get("examples")
    told = head + f"reached {percent(accuracy)} {run.evaluation.get('split', 'test')} accuracy"
    told += sampling_interval(accuracy, examples) + steps + against_majority(accuracy, majority, examples)
    told += against_first_symbol(accuracy, run.evaluation.get("first_symbol"))
    return told + segments(run) + laws_used(run)


def sampling_interval(accuracy: Any, examples: Any) -> str:
    """The interval of an accuracy over its test examples, in brackets; empty where these are not known."""
    if not (is_number(accuracy) and isinstance(examples, int) and examples > 0):
        return ""
    low, high = wilson(round(accuracy * examples), examples)
    return f" (95 % interval from {count(examples)} examples: {percent(low)} to {percent(high)})"


def against_majority(accuracy: Any, majority: Any, examples: Any) -> str:
    """The comparison with the majority class, and whether sampling error explains it."""
    if not (isinstance(accuracy, int | float) and isinstance(majority, int | float)):
        return "."
    points = f"{100 * abs(accuracy - majority):.1f} points {'above' if accuracy >= majority else 'below'}"
    told = f", {points} the majority class at {percent(majority)}"
    if isinstance(examples, int) and examples > 0:
        low, high = wilson(round(accuracy * examples), examples)
        told += ", within sampling error" if low <= majority <= high else ""
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
    if not run.laws.parametric:
        return told + ", whose weights do not rest on simulated cycles."
    if run.laws.extrapolates(total):
        return told + f"; beyond the {run.laws.fitted_cycles} simulated cycles, so its law is extrapolated."
    return told + f", within the {run.laws.fitted_cycles} simulated cycles."


def laws_used(run: RunRecord) -> str:
    """Whether the run's laws were perturbed on purpose, and where training moved them; empty if neither."""
    asked = run.run.get("laws") or {}
    perturbation = None if run.laws is None else run.laws.document.perturbation
    if perturbation is None:  # where laws.json is missing, the settings still name it
        perturbation = asked.get("perturbed")
    told = "" if perturbation is None else f" Its laws were perturbed on purpose: {describe.kind(perturbation)}."
    if run.laws is not None and run.trained_laws is not None:
        told += " " + describe.moved(run.laws, run.trained_laws)
    return typeset(told)


def _longest(data: dict[str, Any]) -> int | None:
    """Longest example in tokens, wherever the record keeps it: beside the counts or a split at a time."""
    splits = data.get("splits")
    found = [data.get("longest")]
    if isinstance(splits, dict):
        found += [split.get("longest") for split in splits.values() if isinstance(split, dict)]
    found = [value for value in found if isinstance(value, int)]
    return max(found, default=None)
