"""The summary: what was found, in sentences with numbers, each with its reservation beside it."""

from collections.abc import Mapping, Sequence

from analysis.collect import Inputs
from analysis.curves import TOTALS
from analysis.report import experiments, explorer
from analysis.report.memory import INSPECT, look, sentence
from analysis.report.parts import Bullets, Heading, Part, Text, typeset
from analysis.report.results import verdicts
from analysis.report.runs import TRAIN, run_sentence
from bridge import describe

QUESTIONS = (
    "What the astrocyte did",
    "Which law came out of it",
    "What the model made of it",
    "How sure we are",
)
# What the summary leaves unsaid at first use: a word in its sentences -> what it means.
GLOSSARY = {
    "papers": "The papers: RMAAT (arXiv 2601.00426) and AT, the astromorphic transformer (arXiv 2312.10925).",
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
NOTHING = "Nothing that was given has a sentence of its own; the sections below show it."


def summary(inputs: Inputs) -> list[Part]:
    """What was found, the words that it uses, and what was not given."""
    answered, parts = answers(inputs), list[Part]()
    for question, sentences in answered.items():
        parts += [Heading(question), Bullets(sentences)]
    parts += [] if answered else [Text(NOTHING, note=True)]
    if words := glossary(answered):
        parts += [Heading("Words used here"), Bullets(words)]
    if absent := "; ".join(f"{what} ({how})" for what, how in not_given(inputs).items()):
        parts.append(Text(f"Not given, so left out: {absent}.", note=True))
    return parts


def answers(inputs: Inputs) -> dict[str, list[str]]:
    """Sentences about everything that was given, by what a reader asks; none about what was not given."""
    answered: dict[str, list[str]] = {question: [] for question in QUESTIONS}
    astrocyte, laws, model, doubts = answered.values()
    astrocyte += filter(None, map(experiments.sentence, inputs.datasets))
    for one in inputs.laws:
        prefix = f"{one.path}: " if len(inputs.laws) > 1 else ""
        known = [*describe.findings(one.laws), *describe.values(one.laws)]
        for group, clauses in ((laws, known), (doubts, describe.doubts(one.laws, TOTALS))):
            group += [prefix + typeset(clauses[0]), *map(typeset, clauses[1:])]
    for index, (label, run) in enumerate(inputs.named_runs):
        model.append(run_sentence(label, run))
        if (one := look(index, label, run)) is not None:
            model.append(sentence(one))
    compared = verdicts(inputs.runs)
    doubts += compared
    if not compared and any(run.evaluation is not None for run in inputs.runs):
        doubts.append(ALONE)
    return {question: sentences for question, sentences in answered.items() if sentences}


def glossary(answered: Mapping[str, Sequence[str]]) -> list[str]:
    """What the words mean that these sentences use and do not explain."""
    text = " ".join(sentence for group in answered.values() for sentence in group)
    return [meaning for word, meaning in GLOSSARY.items() if word in text]


def not_given(inputs: Inputs) -> dict[str, str]:
    """Parts of the line from biology to model that no path gave, and the command that makes each."""
    absent = experiments.lacking(inputs)
    if not inputs.laws:
        absent["Retention laws"] = "rmaat fit ltp.nc --out laws.json"
    if not inputs.sweeps:
        absent["Explore the biology"] = explorer.COMMAND
    if not inputs.runs:
        absent["Training, memory and results of a model"] = f"{TRAIN}, then rmaat evaluate RUN and {INSPECT} RUN"
    return absent
