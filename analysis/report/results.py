"""Results: of every run beside the paper's, of runs against each other, and tables of results as they were given."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis import paper
from analysis.collect import Inputs, Results
from analysis.comparison.arms import Result, of_run
from analysis.comparison.compare import Comparison, compare, compare_results
from analysis.comparison.statistics import wilson
from analysis.comparison.text import arm_rows, difference_rows, methods, sentences
from analysis.report.parts import (
    Bullets,
    Heading,
    Part,
    Table,
    Text,
    count,
    is_number,
    number,
    percent,
    rows_of,
    typeset,
)
from astro_sim.common.errors import InputError
from rmaat.records import RunRecord

MOST_COLUMNS = 12  # of a table of results that is shown as it is


def results(inputs: Inputs) -> list[Part]:
    """Test accuracy of every run beside the paper's number, what runs say of each other, and the paper's own tables.

    Language models bring columns of their own: what the accuracy is of, and bits a token.
    """
    if not inputs.runs:
        return []
    parts: list[Part] = []
    if any(run.run.task in paper.TASKS for run in inputs.runs):
        told = (
            "These runs are NOT comparable to the paper's: they are small, each is of one seed, and they were trained "
            "on a fraction of the paper's budget. The difference is there so that nobody has to work it out; it is no "
            "verdict."
        )
        parts.append(Text(told, note=True))
    rows = [_result(label, run) for label, run in inputs.named_runs]
    caption = "Test accuracy; difference in percentage points, ours minus the paper's"
    if any(run.run.config.head == "language" for run in inputs.runs):
        caption += (
            ". Of language models accuracy and majority are those of next tokens, and say less than bits a token; the "
            "paper has none to set beside. They have no interval: tokens of one text are no independent examples"
        )
    else:
        for row in rows:
            del row["accuracy of"], row["bits a token"]
    text = ["task", "model", "accuracy of", "comparable?"]
    parts.append(Table(caption, list(rows[0]), [list(row.values()) for row in rows], text, sortable=True))
    for label, run in inputs.named_runs:
        if run.evaluation is None:
            make = f"make it with: rmaat evaluate {run.path}"
            parts.append(Text(f"{label}: not evaluated (evaluation.json is missing); {make}", note=True))
    return [*parts, *comparisons(inputs.runs), *_the_papers()]


def _result(label: str, run: RunRecord) -> dict[str, str]:
    """A row of the results, by column."""
    asked, result, language = run.run, run.evaluation, run.run.config.head == "language"
    theirs = None if language else paper.accuracy(asked.task, asked.model)
    ours = None if result is None else result.accuracy
    between = bits = difference = "–"
    if result is not None and not language:
        between = " to ".join(map(percent, sampling(result.accuracy, result.examples)))
    if result is not None and result.bits_per_token is not None:
        bits = number(result.bits_per_token)
    if theirs is not None and ours is not None:
        difference = f"{100 * ours - theirs:+.1f}".replace("-", "−")
    why_not = paper.why_not(asked.task, asked.model, asked.data.model_dump(), asked.built)
    none = "no such entry in the paper's table; " if theirs is None else ""
    return {
        "run": label,
        "task": paper.TASKS.get(asked.task, asked.task),
        "model": asked.model,
        "accuracy of": "next tokens" if language else "examples",
        "ours": "not evaluated" if ours is None else percent(ours),
        "95 % interval": between,
        "majority": percent(None if result is None else result.majority),
        "first symbol": percent(None if result is None else result.first_symbol),
        "bits a token": bits,
        "paper": "–" if theirs is None else f"{theirs:.1f} %",
        "difference": difference,
        "comparable?": f"no: {none}{why_not}; one seed",
    }


def _the_papers() -> list[Table]:
    """The paper's table of the Long Range Arena, and its ablations."""
    rows = []
    for name, row in paper.LRA.items():
        memory = "–" if row.memory is None else f"{row.memory[0]:g} to {row.memory[1]:g}"
        rows.append([name, *(f"{value:.1f}" for value in row[:6]), memory])
    changes = []
    for one in paper.ABLATIONS:
        ends = (f"{value:g}" if one.unit == "1" else f"{value:.1f} {one.unit}" for value in (one.before, one.after))
        changes.append([one.change, paper.TASKS[one.task], one.quantity, *ends])
    return [
        Table(
            f"The paper's numbers: accuracy (%) and peak memory (GB). Source: {paper.TABLE}",
            ["model", *paper.TASKS.values(), "average", "peak memory (GB)"],
            rows,
            sortable=True,
        ),
        Table(
            f"The paper's ablations and throughput. Source: {paper.ABLATION}",
            ["change", "task", "quantity", "before", "after"],
            changes,
            ["task", "quantity"],
        ),
    ]


def sampling(accuracy: float, examples: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy over its test examples."""
    return wilson(round(accuracy * examples), examples)


def comparisons(runs: Sequence[RunRecord]) -> list[Part]:
    """Tables and verdicts of each task and data of which runs of two arms or more are evaluated; empty where none are.

    The first arm of each task is the baseline. What forbids a comparison, such as a seed that is there twice, is told
    in a note.
    """
    together, left_out = _together(runs)
    parts: list[Part] = [Text(typeset(f"Left out of comparisons: {why}"), note=True) for why in left_out]
    for task, arms in together:
        parts.append(Heading(f"{task}: runs compared"))
        try:
            parts += _comparison(compare_results(arms))
        except InputError as error:
            parts.append(Text(typeset(f"Not compared: {error}"), note=True))
    return parts


def verdicts(runs: Sequence[RunRecord]) -> list[str]:
    """A sentence for every comparison that `comparisons` shows."""
    told = []
    for task, arms in _together(runs)[0]:
        try:
            told += [typeset(f"On {task}: {sentence}.") for sentence in sentences(compare_results(arms))]
        except InputError as error:
            told.append(typeset(f"On {task}: not compared: {error}."))
    return told


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
        if isinstance(one, Result):
            together.setdefault((one.task, one.data), []).append(one)
    return [(task, of) for (task, _), of in together.items() if len({one.arm for one in of}) > 1], left_out


def _comparison(comparison: Comparison) -> list[Part]:
    """Verdicts, tables and notes of one comparison."""
    examples = f"{comparison.task}, {comparison.examples:,} test examples"
    apart = f"{examples}: arms, each the runs of one model with its settings and laws; they differ in their seed"
    how = f"{examples}: differences. {'; '.join(methods(comparison))}."
    return [
        Bullets(list(map(typeset, sentences(comparison)))),
        Table(apart, *rows_of(arm_rows(comparison)), ["seed numbers", "over", "of each seed"]),
        Table(how, *rows_of(difference_rows(comparison)), ["effect size", "verdict"]),
        *(Text(typeset(note), note=True) for note in comparison.notes),
    ]


def tables(inputs: Inputs) -> list[Part]:
    """The tables of results: runs of the Long Range Arena beside the paper's, and any other as it is."""
    parts: list[Part] = []
    for one in inputs.tables:
        parts += [Heading(f"{one.path}: {one.what}"), *(_reproduced(one) if one.reproduced else [_plain(one)])]
    return parts


def _reproduced(table: Results) -> list[Part]:
    done = [row for row in table.rows if row["state"] == "finished" and row.get("accuracy") is not None]
    parts: list[Part] = []
    for row in table.rows:
        if row["state"] != "finished":
            told = f"{paper.TASKS.get(row['task'], row['task'])}, {row['name']}, seed {row['seed']}: {row['state']}."
            parts.append(Text(told, note=True))
    if not done:
        return parts
    rows = list(map(_reproduced_row, done))
    caption = (
        "Test accuracy of every finished run, its 95 % interval over test examples, and what needs no learning: the "
        "most frequent answer, a table that knows the first symbol. The paper's numbers are of its own sizes and "
        "budgets."
    )
    cells = [list(row.values()) for row in rows]
    parts.append(Table(caption, list(rows[0]), cells, ["what", "comparable?"], sortable=True))
    for task in dict.fromkeys(str(row["task"]) for row in done):
        if len({row["name"] for row in done if row["task"] == task}) > 1:  # one arm alone has nothing beside it
            try:
                parts += _comparison(compare([table.path], task=task))
            except InputError as error:
                parts.append(Text(f"{paper.TASKS.get(task, task)}: not compared: {error}.", note=True))
    return parts


def _reproduced_row(row: Mapping[str, Any]) -> dict[str, str]:
    examples, theirs = row.get("examples"), paper.accuracy(row["task"], row["name"])
    between = " to ".join(map(percent, sampling(row["accuracy"], examples))) if examples else "–"
    tokens, memory = row.get("tokens"), row.get("memory_mb")
    return {
        "task": paper.TASKS.get(row["task"], str(row["task"])),
        "what": str(row["name"]),
        "seed": str(row["seed"]),
        "accuracy": percent(row["accuracy"]),
        "95 % interval": between,
        "most frequent": percent(row.get("majority")),
        "first symbol": percent(row.get("first_symbol")),
        "paper": "–" if theirs is None else f"{theirs:.1f}\N{NO-BREAK SPACE}%",
        "million tokens": "–" if tokens is None else f"{tokens / 1e6:.1f}",
        "peak memory (MB)": "–" if memory is None else f"{memory:,.0f}",
        "comparable?": f"no: {paper.why_not(row['task'], row.get('model'), row.get('data'), row.get('settings'))}",
    }


def _plain(table: Results) -> Table:
    """A table as it was measured."""
    columns = list(dict.fromkeys(name for row in table.rows for name in row))[:MOST_COLUMNS]
    numeric = [all(row.get(name) is None or is_number(row[name]) for row in table.rows) for name in columns]
    text = [name for name, numbers in zip(columns[1:], numeric[1:], strict=True) if not numbers]

    def cell(value: Any) -> str:
        return "–" if value is None else number(value) if isinstance(value, float) else count(value)

    rows = [[cell(row.get(name)) for name in columns] for row in table.rows]
    return Table(f"{table.what}, as measured.", columns, rows, text, sortable=True)
