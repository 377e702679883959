"""Measured results in print: the Long Range Arena, memory, throughput, ablations, recall."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis import paper
from analysis.comparison.arms import of_rows, split
from analysis.comparison.compare import compare_results
from analysis.curves import colour
from analysis.figures.style import DARK, MARKERS, PAGE, SMALL, SOFT, STYLES, dots, legend, new, nothing, plain, tidy
from astro_sim.common.errors import InputError
from rmaat.models.memory import RULES

Rows = Sequence[Mapping[str, Any]]

STAGES = (8, 16)  # T of the curriculum that are drawn
ASKED = ("accuracy", "at 2 T", "at 4 T")
CHANCE = 1 / 8  # of recall: its values are 8
BASE = "rmaat"  # the row of ablations that the others differ from


@plain
def lra(rows: Rows) -> Figure:
    """Draw the table of the Long Range Arena: every run, the mean a model, the paper's number, the majority class.

    Parameters
    ----------
    rows : sequence of mapping
        Of ``rmaat reproduce lra``: ``task``, ``model``, ``accuracy`` (share), ``majority``. Unfinished ones are left
        out. The paper's numbers are drawn for orientation: sizes and budgets differ.

    Raises
    ------
    InputError
        No finished row.
    """
    done = [row for row in _finished(rows, "lra") if row["name"] == row["model"]]  # no ablated ones
    if not done:
        raise InputError("figure: no finished row of a whole model; rmaat reproduce lra makes them")
    tasks = [task for task in paper.TASKS if any(row["task"] == task for row in done)]
    models = list(dict.fromkeys(str(row["model"]) for row in done))
    figure = new(PAGE, 3.0)
    axes = figure.subplots()
    width = 0.8 / max(1, len(models))
    for k, model in enumerate(models):
        named = False
        for at, task in enumerate(tasks):
            x = at + (k - (len(models) - 1) / 2) * width
            values = [100 * row["accuracy"] for row in done if (row["task"], row["model"]) == (task, model)]
            if values:
                dots(axes, x, values, colour(k), MARKERS[k % len(MARKERS)], "" if named else model)
                named = True
            if values and (theirs := paper.accuracy(task, model)) is not None:
                axes.plot([x - width / 3, x + width / 3], [theirs, theirs], color=colour(k), linewidth=1.5, alpha=0.6)
    for at, task in enumerate(tasks):
        majority = next((row["majority"] for row in done if row["task"] == task and row.get("majority")), np.nan)
        axes.plot([at - 0.45, at + 0.45], [100 * majority] * 2, ":", color=DARK, linewidth=1,
                  label="majority class" if at == 0 else None)  # fmt: skip
    axes.plot([], [], "-", color=SOFT, label="the paper's (its own size)")
    axes.set_xticks(range(len(tasks)), [paper.TASKS[task] for task in tasks])
    axes.set(ylabel="test accuracy (%)", title="Long Range Arena", ylim=(0, 100), xlim=(-0.5, len(tasks) - 0.5))
    legend(axes, 4, loc="upper left")
    tidy([axes])
    return figure


@plain
def memory(rows: Rows) -> Figure:
    """Draw the extra memory of a training step against the number of segments, BPTT and AMRB, and AMRB's CPU time.

    Parameters
    ----------
    rows : sequence of mapping
        Of ``rmaat bench amrb-memory``: ``segments``, ``bptt_mb``, ``amrb_mb`` (MB), ``amrb/bptt`` (CPU time, 1).
    """
    rows = [row for row in rows if row.get("amrb_mb")]
    if not rows:
        raise InputError("figure: expected rows with segments, bptt_mb and amrb_mb; rmaat bench amrb-memory makes them")
    segments = [row["segments"] for row in rows]
    figure = new(PAGE, 2.6)
    peak, time = figure.subplots(1, 2)
    for index, (name, label) in enumerate((("bptt_mb", "BPTT"), ("amrb_mb", "AMRB"))):
        at = [(row["segments"], row[name]) for row in rows if row.get(name)]
        peak.loglog(*zip(*at, strict=True), STYLES[index], marker=MARKERS[index], color=colour(index), label=label)
    peak.set(title="Extra memory of a step", xlabel="segments", ylabel="memory (MB)")
    ratio = [(row["segments"], row["amrb/bptt"]) for row in rows if row.get("amrb/bptt")]
    time.semilogx(*zip(*ratio, strict=True), marker=MARKERS[2], color=colour(2))
    time.axhline(1.0, color=SOFT, linestyle=":")
    time.set(title="What the replay costs", xlabel="segments", ylabel="CPU time, AMRB over BPTT (1)", ylim=(0.9, 1.6))
    for axes in (peak, time):
        axes.set_xticks(segments, list(map(str, segments)))
        axes.minorticks_off()
    legend(peak)
    tidy([peak, time])
    return figure


@plain
def throughput(rows: Rows) -> Figure:
    """Draw how fast models train: a bar a model and backward pass, against full attention.

    Parameters
    ----------
    rows : sequence of mapping
        Of ``rmaat bench model``: ``model``, ``backward``, ``times faster than full attention``.
    """
    key = "times faster than full attention"
    done = sorted((row for row in rows if row.get(key)), key=lambda row: row[key])
    if not done:
        raise InputError(f"figure: expected rows with {key!r}; rmaat bench model makes them")
    figure = new(PAGE, 0.8 + 0.22 * len(done))
    axes = figure.subplots()
    ours = [row["model"].startswith("rmaat") for row in done]
    axes.barh(range(len(done)), [row[key] for row in done], color=[colour(0) if own else SOFT for own in ours])
    for at, row in enumerate(done):
        axes.text(row[key], at, f" {row[key]:.2g}", va="center", fontsize=7)
    # Of other packages the class without the version, which the table has.
    names = [(row["model"].split(" (")[0], row["backward"]) for row in done]
    axes.set_yticks(range(len(done)), [name if back == "-" else f"{name}, {back}" for name, back in names])
    axes.axvline(1.0, color=DARK, linestyle=":", linewidth=1)
    axes.set(xlabel="speed of a training step over full attention's (1)", title="Throughput")
    tidy([axes])
    return figure


@plain
def ablations(rows: Rows) -> Figure:
    """Draw what each part of RMAAT is worth: accuracy less that of the whole model, a panel a task.

    Parameters
    ----------
    rows : sequence of mapping
        Of ``rmaat reproduce ablations``. Bars are the intervals of `analysis.compare`, simultaneous over the changes
        of a task: what they do not keep off 0 has not been shown to matter.

    Raises
    ------
    InputError
        No finished row, or none of the whole model.
    """
    done = _finished(rows, "ablations")
    tasks = [task for task in dict.fromkeys(str(row["task"]) for row in done)
             if any((row["task"], row["name"]) == (task, BASE) for row in done)]  # fmt: skip
    if not tasks:
        raise InputError(f"figure: expected a finished row {BASE!r}, which the others differ from")
    own = dict.fromkeys(str(row["name"]) for row in done if not row.get("same_as"))
    names = [name for name in own if name != BASE]
    if not names:
        raise InputError("figure: expected a finished row of an ablation beside the whole model")
    figure = new(PAGE, 1.0 + 0.2 * len(names))
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    for index, (task, axes) in enumerate(zip(tasks, panels, strict=True)):
        of_task = [row for row in done if row["task"] == task]
        results, left_out = split(of_rows(of_task, f"ablations of {task}"))
        alone = {result.row for result in results} == {BASE}
        differences = () if alone else compare_results(results, left_out, BASE).differences
        drawn = [one for one in differences if one.arm in names]
        for difference in sorted(drawn, key=lambda one: names.index(one.arm)):
            estimate = difference.estimate
            ends = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
            value, low, high = (100 * share for share in (estimate.value, *ends))
            axes.errorbar([value], [names.index(difference.arm)], xerr=[[value - low], [high - value]],
                          fmt=MARKERS[index], color=colour(index), markersize=4, elinewidth=1)  # fmt: skip
        axes.axvline(0.0, color=DARK, linestyle=":", linewidth=1)
        axes.set(title=paper.TASKS.get(task, task), xlabel="difference in accuracy (points)", ylim=(len(names), -1))
    panels[0].set_yticks(range(len(names)), names)
    tidy(panels)
    return figure


@plain
def recall(rows: Rows) -> Figure:
    """Draw which memory rule carries a value over k segments: from scratch, and beyond the length of a curriculum.

    Parameters
    ----------
    rows : sequence of mapping
        Of the benchmark "recall", all or those that are done: ``training``, ``rule``, ``seed``, ``T``, ``accuracy``,
        ``at 2 T``, ``at 4 T``.

    Raises
    ------
    InputError
        Nothing in the rows that is drawn.
    """
    seeds: dict[tuple[Any, ...], set[int]] = {}  # of every point that is drawn
    for row in rows:
        if row["training"] == "from scratch" or (row["training"] == "curriculum" and row["T"] in STAGES):
            seeds.setdefault((row["training"], row["rule"], row["T"]), set()).add(row["seed"])
    counts = sorted(map(len, seeds.values()))
    if not counts:
        raise InputError("recall: expected rows of runs from scratch, or of a curriculum")
    scratch = [row for row in rows if row["training"] == "from scratch"]
    figure = new(12.5, 3.6)
    panels = figure.subplots(1, 2 + len(STAGES), sharey=True, width_ratios=[1.4] + [1.0] * len(STAGES) + [1.6])
    panels[0].set(title="Trained from scratch at T = k + 1", xlabel="segments k between value and answer")
    lags = sorted({row["T"] - 1 for row in scratch})
    _by_rule(panels[0], [str(k) for k in lags], scratch, lambda row: {lags.index(row["T"] - 1): row["accuracy"]})
    anywhere = [row for row in rows if row["training"] == "anywhere" and row["T"] == STAGES[-1]]
    panels[-1].set(title=f"Value anywhere, T = {STAGES[-1]}", xlabel="segments k between value and answer")
    every = [str(k) if k % 5 == 0 else "" for k in range(STAGES[-1])]
    _by_rule(panels[-1], every, anywhere, lambda row: dict(enumerate(row["every place"])))
    for axes, stage in zip(panels[1:-1], STAGES, strict=True):
        axes.set(title=f"Curriculum up to T = {stage}", xlabel="T it is asked at")
        done = [row for row in rows if row["training"] == "curriculum" and row["T"] == stage]
        ticks = [f"{factor} T = {factor * stage}".removeprefix("1 ") for factor in (1, 2, 4)]
        _by_rule(axes, ticks, done, lambda row: {at: row[key] for at, key in enumerate(ASKED)})
    of = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    panels[0].set(ylim=(0.0, 1.05))
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    handles = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL)
    panels[0].set_ylabel(f"accuracy (dots: seeds; line: mean of {of})")
    tidy(panels)
    return figure


def _finished(rows: Rows, table: str) -> list[Mapping[str, Any]]:
    done = [row for row in rows if row.get("state") == "finished" and row.get("accuracy") is not None]
    if not done:
        raise InputError(f"figure: no finished row; rmaat reproduce {table} makes them")
    return done


def _by_rule(
    axes: Axes, ticks: Sequence[str], rows: Rows, points: Callable[[Mapping[str, Any]], dict[int, float | None]]
) -> None:
    """Mean over seeds and every seed as a dot, a colour and marker a rule, beside one another at each tick."""
    if not rows:
        return nothing(axes, "not measured yet")
    axes.axhline(CHANCE, color="#606060", linestyle=":", linewidth=1, label="chance")
    for index, rule in enumerate(RULES):
        values: dict[int, list[float]] = {}
        for row in rows:
            if row["rule"] == rule:
                for at, value in points(row).items():
                    if value is not None:
                        values.setdefault(at, []).append(value)
        aside = 0.14 * (index - 1)  # rules often agree, at 1 or at chance
        for at, seeds in values.items():
            axes.plot([at + aside] * len(seeds), seeds, "o", color=colour(index), alpha=0.5, markersize=3)
        at = sorted(values)
        axes.plot([x + aside for x in at], [np.mean(values[x]) for x in at], STYLES[index], color=colour(index),
                  marker=MARKERS[index], markersize=5, markerfacecolor="none", linewidth=1.2, label=rule)  # fmt: skip
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlim(-0.5, len(ticks) - 0.5)
