"""Retention laws in print: the LTP curve, RetentionFactor for many T, what deviates from the law, what moves it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.curves import colour, drawn_spread, law_level, retention_curves
from analysis.figures.style import (
    COLUMN,
    DARK,
    MARKERS,
    PAGE,
    SMALL,
    SOFT,
    STYLES,
    dots,
    legend,
    new,
    nothing,
    plain,
    tidy,
)
from astro_sim.common.errors import InputError
from bridge.describe import mark
from bridge.families.base import total_variation
from bridge.laws import Laws

if TYPE_CHECKING:
    from bridge.exploration.sensitivity import Sensitivity

MANY = (2, 4, 8, 16, 32, 64)  # T
DEVIATIONS = ("flat", "reversed", "faster", "slower", "random")
DEVIATION_TOTAL = 16  # T at which a law and its deviations are set side by side


@plain
def ltp_law(laws: Laws) -> Figure:
    """Draw p^l at the ends of cycles with the law through it, its continuation dashed, and what is left below."""
    figure = new(COLUMN, 3.4)
    curve, rest = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    draw_law(curve, laws)
    n = laws.fitted_cycles
    rest.axhline(0, color=SOFT, linewidth=0.8)
    rest.vlines(range(1, n + 1), 0, laws.document.retention.residuals, color=colour(0))
    rest.plot(range(1, n + 1), laws.document.retention.residuals, "o", color=colour(0), markersize=3)
    rest.set(xlabel="cycle", ylabel=f"residual\n({laws.document.retention.unit})")
    curve.set_xlabel("")
    tidy([curve, rest], letters=False)
    return figure


def draw_law(axes: Axes, laws: Laws) -> None:
    """The LTP curve, its law, and the law beyond the simulated cycles, on given axes."""
    document, n = laws.document.retention, laws.fitted_cycles
    axes.set(title="LTP curve and its law" + mark(laws), xlabel="cycle", ylabel=rf"$p^l$ ({document.unit})")
    inside, beyond = np.linspace(0, n, 200), np.linspace(n, 2 * n, 200)
    axes.plot(inside, law_level(laws, inside), color=colour(1), label=f"{document.family.replace('_', ' ')} law")
    axes.plot(beyond, law_level(laws, beyond), color=colour(1), linestyle="--", label="extrapolated")
    data, spread = [document.start, *document.samples], drawn_spread(laws)
    errors = None if spread is None else np.append(0.0, spread)
    label = "simulated, cycle ends" + ("" if errors is None else "\n± standard error")
    axes.errorbar(range(n + 1), data, errors, fmt="o", color=colour(0), markersize=4, elinewidth=1, label=label)
    # A curve that rises leaves room below its end, and one that falls above it.
    legend(axes, loc="lower right" if data[-1] > data[0] else "upper right")


@plain
def retention(laws: Laws, totals: Sequence[int] = MANY) -> Figure:
    """Draw RetentionFactor(t, T) against t for many T, and its first and last value against T.

    Parameters
    ----------
    laws : Laws
        T beyond its simulated cycles is dashed, bands hold 95 % of the resampled laws where there are any.
    totals : sequence of int
        T.
    """
    figure = new(PAGE, 2.8)
    factor, ends = figure.subplots(1, 2)
    draw_retention(factor, laws, totals)
    dense = np.unique(np.geomspace(1, max(totals), 40).astype(int))
    first, last = zip(*((laws.retention(int(T))[0], laws.retention(int(T))[-1]) for T in dense), strict=True)
    for index, (values, name) in enumerate(((first, "first segment, t = 1"), (last, "last segment, t = T"))):
        ends.loglog(dense, values, STYLES[index], color=colour(index), label=name)
    ends.loglog(dense, 1 / dense, ":", color=SOFT, label="1 / T (flat law)")
    ends.axvline(laws.fitted_cycles, color=SOFT, linewidth=0.8, label=f"{laws.fitted_cycles} cycles simulated")
    ends.set(title="First and last", xlabel="segments T", ylabel="RetentionFactor")
    legend(ends)
    tidy([factor, ends])
    return figure


def draw_retention(axes: Axes, laws: Laws, totals: Sequence[int]) -> None:
    """RetentionFactor(t, T) against t, a line a T, on given axes."""
    axes.set(title="Retention" + mark(laws), xlabel="segment t", ylabel="RetentionFactor(t, T)")
    for index, curve in enumerate(retention_curves(laws, totals)):
        style = "--" if curve.extrapolates else "-"
        label = f"T = {curve.total}" + (", extrapolated" if curve.extrapolates else "")
        if curve.edges is not None:
            axes.fill_between(curve.t, *curve.edges, color=colour(index), alpha=0.2, linewidth=0)
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(curve.t, curve.factor, style, marker=marker, markersize=3, color=colour(index), label=label)
    axes.set_ylim(bottom=0)
    legend(axes)


@plain
def deviation(laws: Laws, rows: Sequence[Mapping[str, Any]] = ()) -> Figure:
    """Draw what happens when the law deviates from the simulated one: the factors, and the accuracy of models.

    Parameters
    ----------
    laws : Laws
        The simulated ones.
    rows : sequence of mapping
        Of ``rmaat reproduce ablations``: ``task``, ``name`` ("rmaat", "flat law", ...), ``accuracy`` (share). Their
        accuracy is drawn against the total variation distance of their factors from the simulated ones at T = 16.

    Raises
    ------
    InputError
        Laws that are perturbed already.
    """
    if laws.document.perturbation is not None:
        raise InputError("figure: expected the simulated laws, these are perturbed")
    figure = new(PAGE, 2.8)
    factor, accuracy = figure.subplots(1, 2)
    own, t = laws.retention(DEVIATION_TOTAL), np.arange(1, DEVIATION_TOTAL + 1)
    factor.plot(t, own, color=DARK, linewidth=2, label="simulated")
    distances = {"simulated": 0.0}
    for index, kind in enumerate(DEVIATIONS):
        other = laws.perturbed(kind).retention(DEVIATION_TOTAL)
        distances[kind] = total_variation(other, own)
        factor.plot(t, other, STYLES[index % len(STYLES)], color=colour(index), marker=MARKERS[index], markersize=3,
                    label=f"{kind} ({distances[kind]:.2f})")  # fmt: skip
    factor.set(title=f"Deviating laws, T = {DEVIATION_TOTAL}", xlabel="segment t", ylabel="RetentionFactor(t, T)")
    factor.set_ylim(0, 1.5 * max(line.get_ydata().max() for line in factor.lines))  # room for the legend
    legend(factor, 2, loc="upper center", title="in brackets: distance from the simulated law", title_fontsize=SMALL)
    names = {"rmaat": "simulated", **{f"{kind} law": kind for kind in DEVIATIONS}}
    measured = [row for row in rows if row["name"] in names and row.get("accuracy") is not None]
    tasks = list(dict.fromkeys(str(row["task"]) for row in measured))
    for index, task in enumerate(tasks):
        values: dict[float, list[float]] = {}
        for row in measured:
            if row["task"] == task:
                values.setdefault(distances[names[row["name"]]], []).append(100 * row["accuracy"])
        for k, (at, several) in enumerate(sorted(values.items())):
            dots(accuracy, at, several, colour(index), MARKERS[index], task if k == 0 else "")
    accuracy.set(title="What models make of them", xlabel="distance from the simulated law (total variation, 1)",
                 ylabel="test accuracy (%)")  # fmt: skip
    if not measured:
        nothing(accuracy, "not measured yet")
    legend(accuracy)
    tidy([factor, accuracy])
    return figure


@plain
def sensitivity(result: "Sensitivity") -> Figure:
    """Draw which biology the law depends on: a bar a parameter, a panel an output, largest effect on the first on top.

    Morris: the mean elasticity, its spread over the ranges as a line; an effect whose sign changes has a line across 0.
    Sobol: the share of variance with all interactions, and its 95 % interval.
    """
    from bridge.exploration.sensitivity import OUTPUTS  # loads the optimiser, which other figures do without

    morris = result.method == "morris"
    order = [effect.parameter for effect in result.effects if effect.output == next(iter(OUTPUTS))]
    at = np.arange(len(order))[::-1]
    figure = new(9.0, 1.2 + 0.28 * len(order))
    panels = figure.subplots(1, len(OUTPUTS), sharey=True)
    for k, (axes, (output, name)) in enumerate(zip(panels, OUTPUTS.items(), strict=True)):
        effects = {effect.parameter: effect for effect in result.effects if effect.output == output}
        values = [(effects[p].mean if morris else effects[p].together) or 0.0 for p in order]
        errors = [(effects[p].spread if morris else effects[p].confidence) or 0.0 for p in order]
        axes.barh(at, values, xerr=errors, color=colour(k), error_kw={"elinewidth": 1, "ecolor": "#606060"})
        axes.axvline(0.0, color=SOFT, linewidth=0.8)
        axes.set_title(name.format(T=result.total), fontsize=10)
        axes.set_xlabel("elasticity (1)" if morris else "share of variance (1)")
    panels[0].set_yticks(at, order)
    return figure
