"""The tables of results that were given: runs of the Long Range Arena beside the paper's, and any other as it is."""

from typing import Any

from analysis import paper
from analysis.collect import Inputs, Results
from analysis.comparison.compare import compare
from analysis.comparison.statistics import wilson
from analysis.comparison_parts import tables_of
from analysis.parts import Heading, Section, Table, Text, count, is_number, number, percent
from astro_sim.common.errors import InputError

MOST_COLUMNS = 12  # of a table that is shown as it is


def tables(inputs: Inputs) -> list[Section]:
    """A section with every table, or none where none was given."""
    if not inputs.tables:
        return []
    section = Section("tables", "Tables of results")
    for each in inputs.tables:
        section.add(Heading(f"{each.path}: {each.what}"), *(_reproduced(each) if each.reproduced else _plain(each)))
    return [section]


def _reproduced(each: Results) -> list[Any]:
    done = [row for row in each.rows if row["state"] == "finished" and row.get("accuracy") is not None]
    parts: list[Any] = []
    for row in each.rows:
        if row["state"] != "finished":
            told = f"{paper.TASKS.get(row['task'], row['task'])}, {row['name']}, seed {row['seed']}: {row['state']}."
            parts.append(Text(told, note=True))
    if not done:
        return parts
    parts.append(
        Table(
            "Test accuracy of every finished run, its 95 % interval over test examples, and what needs no learning: "
            "the most frequent answer, a table that knows the first symbol. The paper's numbers are of its own sizes "
            "and budgets.",
            ["task", "what", "seed", "accuracy", "95 % interval", "most frequent", "first symbol", "paper",
             "million tokens", "peak memory (MB)", "comparable?"],
            [_row(row) for row in done],
            ["what", "comparable?"],
            sortable=True,
        )
    )  # fmt: skip
    for task in dict.fromkeys(str(row["task"]) for row in done):
        if len({row["name"] for row in done if row["task"] == task}) > 1:  # one arm alone has nothing beside it
            try:
                parts += tables_of(compare([each.path], task=task))
            except InputError as error:
                parts.append(Text(f"{paper.TASKS.get(task, task)}: not compared: {error}.", note=True))
    return parts


def _row(row: dict[str, Any]) -> list[str]:
    examples = row.get("examples")
    low, high = wilson(round(row["accuracy"] * examples), examples) if examples else (None, None)
    theirs = paper.accuracy(row["task"], row["name"])
    tokens, memory = row.get("tokens"), row.get("memory_mb")
    return [
        paper.TASKS.get(row["task"], str(row["task"])),
        str(row["name"]),
        str(row["seed"]),
        percent(row["accuracy"]),
        "–" if low is None else f"{percent(low)} to {percent(high)}",
        percent(row.get("majority")),
        percent(row.get("first_symbol")),
        "–" if theirs is None else f"{theirs:.1f}\N{NO-BREAK SPACE}%",
        "–" if tokens is None else f"{tokens / 1e6:.1f}",
        "–" if memory is None else f"{memory:,.0f}",
        f"no: {paper.why_not(row)}",
    ]


def _plain(each: Results) -> list[Any]:
    columns = list(dict.fromkeys(name for row in each.rows for name in row))[:MOST_COLUMNS]
    text = [
        name for name in columns if not all(row.get(name) is None or is_number(row[name]) for row in each.rows)
    ]  # fmt: skip
    rows = [[_cell(row.get(name)) for name in columns] for row in each.rows]
    return [Table(f"{each.what}, as measured.", columns, rows, [c for c in text if c != columns[0]], sortable=True)]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return number(value)
    return count(value)
