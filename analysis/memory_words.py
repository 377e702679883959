"""What a look into a run's memory found, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.parts import number
from rmaat.records import RunRecord


@dataclass(frozen=True)
class Look:
    """What `rmaat inspect` left in one run folder.

    Attributes
    ----------
    index : int
        Place of the run among all that were given, which decides its colour.
    label, model, rule : str
        Name of the run, its model, and its memory rule ("–" of a model without memory).
    pooled : bool
        The head reads the mean over the tokens of all segments, so what it says need not pass through the memory.
    found : dict
        As in diagnostics.json.
    """

    index: int
    label: str
    model: str
    rule: str
    pooled: bool
    found: dict[str, Any]

    @property
    def influence(self) -> list[float]:
        """Of segment 1, 2, ... on the output."""
        return self.found["influence"]

    @property
    def norms(self) -> list[float]:
        """Of the memory after segment 1, 2, ...; empty for a model without memory."""
        return self.found.get("memory_norm") or []

    @property
    def kept(self) -> list[dict[str, Any]]:
        """Rows with T, measured and direct; empty where there is nothing beyond T = 1, which is 1 by definition."""
        rows = self.found.get("first") or []
        return rows if any(row["T"] > 1 for row in rows) else []


def look(index: int, label: str, run: RunRecord) -> Look | None:
    """The look into one run; None where nobody has looked."""
    if run.diagnostics is None:
        return None
    model, config = str(run.run.get("model", "a model")), run.run.get("model_config") or {}
    memory = run.diagnostics.get("memory_norm") is not None
    rule = str(config.get("memory_rule") or "none") if memory else "–"
    pooled = memory and config.get("readout") == "mean" and config.get("head") != "language"
    return Look(index, label, model, rule, pooled, run.diagnostics)


def memory_sentences(each: Look) -> str:
    """What is left of the first segment in the memory, and how much it moves the output."""
    told = f"Run {each.label}: {kept_sentence(each)} {influence_sentence(each)}"
    if each.pooled and len(each.influence) > 1:
        told += " It reads the mean over all segments, so this shows no use of memory: there is a way past it."
    return told


def kept_sentence(each: Look) -> str:
    """What the memory still knows of segment 1 after the most segments that were looked at."""
    if not each.norms:
        return f"the model {each.model} has no memory."
    if not each.kept:
        return (
            f"the shortest example looked at has no two whole segments, so what the memory rule {each.rule} keeps of "
            "segment 1 was not measured."
        )
    row = max(each.kept, key=lambda row: row["T"])
    measured, after = row["measured"], f"after {row['T']} segments"
    if measured > 1.0:  # more than all of it cannot be "left"
        told = f"the memory depends on segment 1 {number(measured, 2)} times as strongly {after} as after one"
    elif measured > 0.0:
        told = f"{number(measured, 2)} of what the memory knew of segment 1 is left {after}"
    else:
        told = f"nothing of what the memory knew of segment 1 is left {after}, to the precision of the model's numbers"
    return f"with the memory rule {each.rule}, {told} (by the rule alone {number(row['direct'], 2)})."


def influence_sentence(each: Look) -> str:
    """How much the output moves with segment 1, beside the last."""
    first, last, count = each.influence[0], each.influence[-1], len(each.influence)
    if count == 1:
        return f"The examples looked at have one segment, so there is no other to compare its part in {each.label} to."
    if last == 0.0:
        moved = "not at all" if first == 0.0 else f"by segment 1 (derivative {number(first, 2)})"
        return f"The output of {each.label} is moved {moved}, and not by the last segment of {count}."
    if first == 0.0:
        return f"The output of {each.label} is not moved by segment 1, to the precision of the model's numbers."
    return (
        f"The output of {each.label} is moved by segment 1 {number(first / last, 2)} times as much as by the last of "
        f"{count} segments."
    )


def left_out(series: Sequence[tuple[str, str, Sequence[tuple[int, float]]]]) -> str:
    """Which points a logarithmic axis has no place for; empty where there are none.

    ``series`` are names, what their points are numbered by, and the points themselves, (number, value).
    """
    told = []
    for name, by, points in series:
        zeros = [str(at) for at, value in points if not value > 0.0]
        if zeros:
            told.append(f"{name} at {by} {', '.join(zeros)}")
    return f" Left out, being 0, which a logarithmic axis cannot show: {'; '.join(told)}." if told else ""
