"""Figures for print (matplotlib): the same curves as the report's, on paper."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.curves import (
    TOTALS,
    colour,
    drawn_spread,
    law_level,
    per_synapse,
    retention_curves,
    series,
    stimulus_on,
)
from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, whole_file
from bridge.effects import OUTPUTS, Sensitivity
from bridge.laws import Laws
from rmaat.records import RunRecord

# No date in the file: the same data give the same file.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
MARKERS = "osD^v"
STYLES = ("-", "--", "-.", ":")  # layouts can coincide
INCHES = (9.0, 6.5)
DPI = 150  # of a PNG
RULES = ("scale", "consolidate", "none")  # of the memory
STAGES = (8, 16)  # T of the curriculum that are drawn
ASKED = ("accuracy", "at 2 T", "at 4 T")
CHANCE = 1 / 8  # of recall: its values are 8


def overview(datasets: Sequence[xr.Dataset], laws: Laws, record: RunRecord | None = None, *, path: str | Path) -> None:
    """Draw the whole line in four panels: one cycle, the LTP curve with its law, retention, training.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Of the macro model: the first ``stp`` dataset gives p^s by layout; without one, an ``ltp`` dataset gives its
        first cycle. Others are passed over.
    laws : Laws
    record : RunRecord, optional
        Its accuracy over steps.
    path : path
        As of `save`.
    """
    figure = Figure(figsize=INCHES, layout="constrained")
    (cycle, law), (factor, accuracy) = figure.subplots(2, 2)
    _one_cycle(cycle, datasets)
    _law(law, laws)
    _retention(factor, laws)
    _training(accuracy, record)
    for letter, axes in zip("abcd", (cycle, law, factor, accuracy), strict=True):
        axes.set_title(f"{letter}  {axes.get_title()}", loc="left", fontsize=10, fontweight="bold")
        axes.set_title("")
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def sensitivity(found: Sensitivity, *, path: str | Path) -> None:
    """Draw which biology the law depends on: a bar a parameter, a panel an output, largest effect on the first on top.

    Morris: the mean elasticity, its spread over the ranges as a line; an effect whose sign changes has a line across 0.
    Sobol: the share of variance with all interactions, and its 95 % interval. ``path`` is as of `save`.
    """
    morris = found.method == "morris"
    order = [effect.parameter for effect in found.effects if effect.output == next(iter(OUTPUTS))]
    at = np.arange(len(order))[::-1]
    figure = Figure(figsize=(9.0, 1.2 + 0.28 * len(order)), layout="constrained")
    panels = figure.subplots(1, len(OUTPUTS), sharey=True)
    for k, (axes, (output, name)) in enumerate(zip(panels, OUTPUTS.items(), strict=True)):
        effects = {effect.parameter: effect for effect in found.effects if effect.output == output}
        values = [(effects[p].mean if morris else effects[p].together) or 0.0 for p in order]
        errors = [(effects[p].spread if morris else effects[p].confidence) or 0.0 for p in order]
        axes.barh(at, values, xerr=errors, color=colour(k), error_kw={"elinewidth": 1, "ecolor": "#606060"})
        axes.axvline(0.0, color="#808080", linewidth=0.8)
        axes.set_title(name.format(T=found.total), fontsize=10)
        axes.set_xlabel("elasticity (1)" if morris else "share of variance (1)")
    panels[0].set_yticks(at, order)
    save(figure, path)


def recall(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Draw which memory rule carries a value over k segments: from scratch, and beyond the length of a curriculum.

    Parameters
    ----------
    rows : sequence of mapping
        Of the benchmark "recall", all or those that are done: ``training``, ``rule``, ``seed``, ``T``, ``accuracy``,
        ``at 2 T``, ``at 4 T``.
    path : path
        As of `save`.

    Raises
    ------
    InputError
        Nothing in the rows that is drawn.
    """
    counts = sorted(len(seeds) for seeds in _seeds(rows).values())
    if not counts:
        raise InputError("recall: expected rows of runs from scratch, or of a curriculum")
    scratch = [row for row in rows if row["training"] == "from scratch"]
    figure = Figure(figsize=(12.5, 3.6), layout="constrained")
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
        found = [row for row in rows if row["training"] == "curriculum" and row["T"] == stage]
        ticks = [f"{factor} T = {factor * stage}".removeprefix("1 ") for factor in (1, 2, 4)]
        _by_rule(axes, ticks, found, lambda row: {at: row[key] for at, key in enumerate(ASKED)})
    of = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    panels[0].set(ylim=(0.0, 1.05))
    panels[0].set_ylabel(f"accuracy (dots: seeds; line: mean of {of})", fontsize=8)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    handles = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    for letter, axes in zip("abcd", panels, strict=True):
        axes.set_title(f"{letter}  {axes.get_title()}", loc="left", fontsize=9, fontweight="bold")
        axes.set_title("")
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, whole or not at all; `InputError` on another suffix."""
    require_suffix(path, *METADATA)
    # The salt names the parts of an SVG; without one they are random.
    with matplotlib.rc_context({"svg.hashsalt": "rmaat"}), whole_file(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata=METADATA[Path(path).suffix.lower()])


def _seeds(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], set[Any]]:
    """Which seeds of every point that is drawn are there."""
    found: dict[tuple[Any, ...], set[Any]] = {}
    for row in rows:
        if row["training"] == "from scratch" or (row["training"] == "curriculum" and row["T"] in STAGES):
            found.setdefault((row["training"], row["rule"], row["T"]), set()).add(row["seed"])
    return found


def _by_rule(
    axes: Axes,
    ticks: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    points: Callable[[Mapping[str, Any]], dict[int, float | None]],
) -> None:
    """Mean over seeds and every seed as a dot, a colour and marker a rule, beside one another at each tick."""
    if not rows:
        return _nothing(axes, "not measured yet")
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


def _one_cycle(axes: Axes, datasets: Sequence[xr.Dataset]) -> None:
    macro = [dataset for dataset in datasets if dataset.attrs["model"] == "macro"]
    by_name = {str(dataset.attrs["experiment"]): dataset for dataset in reversed(macro)}
    axes.set(xlabel="time (s)", ylabel="a.u.")
    if "stp" in by_name:
        axes.set(title="STP in one cycle, by layout", ylabel=r"$p^s$ (a.u.)")
        data = by_name["stp"]
        time = data["time"].values
        for index, layout in enumerate(data["layout"].values):
            p_s = per_synapse(data["p_s"].sel(layout=layout))
            axes.fill_between(time, p_s.min(axis=1), p_s.max(axis=1), color=colour(index), alpha=0.2, linewidth=0)
            style = STYLES[index % len(STYLES)]
            axes.plot(time, p_s.mean(axis=1), style, color=colour(index), label=str(layout))
        _shade(axes, data.isel(layout=0))
    elif "ltp" in by_name and all(name in by_name["ltp"] for name in ("s", "p_s")):
        axes.set(title="First cycle")
        data = by_name["ltp"]
        data = data.sel(time=data["time"] <= float(data["tau_cycle"]))
        names = {"s": "$s$", "p_s": "$p^s$", "p_l": "$p^l$"}
        for index, (name, label) in enumerate(names.items()):
            axes.plot(data["time"], per_synapse(data[name]).mean(axis=1), color=colour(index), label=label)
        _shade(axes, data)
    else:
        axes.set(title="One cycle")
        return _nothing(axes, "no stp or ltp dataset given")
    axes.legend(frameon=False, fontsize=8)


def _law(axes: Axes, laws: Laws) -> None:
    document, n = laws.document.retention, laws.fitted_cycles
    axes.set(title="LTP curve and its law" + _perturbed(laws), xlabel="cycle", ylabel=rf"$p^l$ ({document.unit})")
    inside, beyond = np.linspace(0, n, 200), np.linspace(n, 2 * n, 200)
    axes.plot(inside, law_level(laws, inside), color=colour(1), label=f"{document.family.replace('_', ' ')} law")
    axes.plot(beyond, law_level(laws, beyond), color=colour(1), linestyle="--", label="extrapolated")
    data, spread = [document.start, *document.samples], drawn_spread(laws)
    errors = None if spread is None else np.append(0.0, spread)
    label = "simulated, cycle ends" + ("" if errors is None else " ± standard error")
    axes.errorbar(range(n + 1), data, errors, fmt="o", color=colour(0), markersize=4, elinewidth=1, label=label)
    axes.legend(frameon=False, fontsize=8)


def _retention(axes: Axes, laws: Laws) -> None:
    axes.set(title="Retention" + _perturbed(laws), xlabel="segment t", ylabel="RetentionFactor(t, T)")
    for index, curve in enumerate(retention_curves(laws, TOTALS)):
        style = "--" if curve.extrapolates else "-"
        label = f"T = {curve.total}" + (", extrapolated" if curve.extrapolates else "")
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.t, curve.low, curve.high, color=colour(index), alpha=0.2, linewidth=0)
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(curve.t, curve.factor, style, marker=marker, markersize=3, color=colour(index), label=label)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)


def _perturbed(laws: Laws) -> str:
    perturbation = laws.document.perturbation
    return "" if perturbation is None else f" (perturbed: {perturbation.kind})"


def _training(axes: Axes, record: RunRecord | None) -> None:
    axes.set(title="Training", xlabel="step", ylabel="accuracy")
    drawn = False
    for index, split in enumerate(("train", "valid") if record else ()):
        steps, values = series(record.metrics if record else [], split, "accuracy")
        if len(steps):
            width, alpha = (2.0, 1.0) if split == "valid" else (0.7, 0.5)
            axes.plot(steps, values, color=colour(index), label=split, linewidth=width, alpha=alpha)
            drawn = True
    if not drawn:
        return _nothing(axes, "no run given" if record is None else "no logged steps yet")
    majority = ((record and record.evaluation) or {}).get("majority")
    if majority is not None:
        most = "most frequent token" if "bits_per_token" in ((record and record.evaluation) or {}) else "majority class"
        axes.axhline(majority, color="#808080", linestyle=":", label=f"{most} (test)")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(frameon=False, fontsize=8)


def _nothing(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color="#808080")
    axes.set(xticks=[], yticks=[])


def _shade(axes: Axes, dataset: xr.Dataset) -> None:
    for start, end in stimulus_on(dataset):
        axes.axvspan(start, end, color="#808080", alpha=0.12, linewidth=0)
