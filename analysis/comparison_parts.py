"""What the report shows of runs that can be compared."""

import re
from collections.abc import Sequence
from typing import Any

from analysis.arms import Found, of_run
from analysis.comparison import Comparison, compare_results
from analysis.comparison_words import arm_rows, difference_rows, methods, sentences
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
    together: dict[tuple[str, str], Found] = {}
    parts: list[Any] = []
    for run in runs:
        try:
            one = of_run(run)
        except InputError as error:
            parts.append(Text(_typeset(f"Left out of comparisons: {error}"), note=True))
            continue
        if not isinstance(one, str):
            together.setdefault((one.task, one.data), Found()).take(one)
    for (task, _), found in together.items():
        if len({result.arm for result in found.results}) < 2:
            continue
        parts.append(Heading(f"{task}: runs compared"))
        try:
            parts += _tables(compare_results(found))
        except InputError as error:
            parts.append(Text(_typeset(f"Not compared: {error}"), note=True))
    return parts


def _tables(comparison: Comparison) -> list[Any]:
    examples = f"{comparison.task}, {comparison.examples:,} test examples"
    (arm_head, arms), (head, rows) = arm_rows(comparison), difference_rows(comparison)
    how = "; ".join(methods(comparison))
    parts: list[Any] = [
        Bullets([_typeset(each) for each in sentences(comparison)]),
        Table(f"{examples}: arms", arm_head, [_row(row) for row in arms], ["seeds", "over", "of each seed"]),
        Table(f"{examples}: differences. {how}.", head, [_row(row) for row in rows], ["effect size", "verdict"]),
    ]
    return [*parts, *(Text(_typeset(note), note=True) for note in comparison.notes)]


def _row(row: tuple[str, ...]) -> list[str]:
    return [_typeset(cell) for cell in row]


def _typeset(text: str) -> str:
    """A true minus sign before numbers, and a dash for nothing; names are left as they are."""
    return "–" if text == "-" else re.sub(r"(?<![\w.=-])-(?=\d)", "−", text)
