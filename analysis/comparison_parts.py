"""What the report shows of runs that can be compared."""

import re
from collections.abc import Sequence
from typing import Any

from analysis.comparison.arms import Result, of_run
from analysis.comparison.compare import Comparison, compare_results
from analysis.comparison.text import arm_rows, difference_rows, methods, sentences
from analysis.parts import Bullets, Heading, Table, Text
from astro_sim.common.errors import InputError
from rmaat.records import RunRecord


def comparison_parts(runs: Sequence[RunRecord]) -> list[Any]:
    """Tables and verdicts of each task and data of which runs of two arms or more are evaluated; empty where none are.

    Parameters
    ----------
    runs : sequence of RunRecord
        As given to the report; the first arm of each task is the baseline.

    Returns
    -------
    list of parts
        What forbids a comparison, such as a seed that is there twice, is told in a note.
    """
    parts: list[Any] = []
    together, left_out = _together(runs)
    parts += [Text(_typeset(f"Left out of comparisons: {each}"), note=True) for each in left_out]
    for task, found in together:
        parts.append(Heading(f"{task}: runs compared"))
        try:
            parts += tables_of(compare_results(found))
        except InputError as error:
            parts.append(Text(_typeset(f"Not compared: {error}"), note=True))
    return parts


def verdicts(runs: Sequence[RunRecord]) -> list[str]:
    """A sentence for every comparison that `comparison_parts` shows."""
    told = []
    for task, found in _together(runs)[0]:
        try:
            told += [f"On {task}: {each}" for each in verdicts_of(compare_results(found))]
        except InputError as error:
            told.append(_typeset(f"On {task}: not compared: {error}."))
    return told


def verdicts_of(comparison: Comparison) -> list[str]:
    """The verdicts of one comparison, as the page writes them."""
    return [_typeset(f"{each}.") for each in sentences(comparison)]


def _together(runs: Sequence[RunRecord]) -> tuple[list[tuple[str, list[Result]]], list[str]]:
    """What can be compared, by task and data, where there are two arms or more; and why runs were left out."""
    together: dict[tuple[str, str], list[Result]] = {}
    left_out = []
    for run in runs:
        try:
            one = of_run(run)
        except InputError as error:
            left_out.append(str(error))
            continue
        if not isinstance(one, str):
            together.setdefault((one.task, one.data), []).append(one)
    several = [(task, found) for (task, _), found in together.items() if len({one.arm for one in found}) > 1]
    return several, left_out


def tables_of(comparison: Comparison) -> list[Any]:
    """Verdicts, tables and notes of one comparison."""
    examples = f"{comparison.task}, {comparison.examples:,} test examples"
    (arm_head, arms), (head, rows) = arm_rows(comparison), difference_rows(comparison)
    how = "; ".join(methods(comparison))
    parts: list[Any] = [
        Bullets([_typeset(each) for each in sentences(comparison)]),
        Table(
            f"{examples}: arms, each the runs of one model with its settings and laws; they differ in their seed",
            arm_head,
            [_row(row) for row in arms],
            ["seed numbers", "over", "of each seed"],
        ),
        Table(f"{examples}: differences. {how}.", head, [_row(row) for row in rows], ["effect size", "verdict"]),
    ]
    return [*parts, *(Text(_typeset(note), note=True) for note in comparison.notes)]


def _row(row: tuple[str, ...]) -> list[str]:
    return [_typeset(cell) for cell in row]


def _typeset(text: str) -> str:
    """A true minus sign before numbers, and a dash for nothing; names are left as they are."""
    return "–" if text == "-" else re.sub(r"(?<![\w.=-])-(?=\d)", "−", text)
