"""The explorer: sliders over a sweep of ltp; the LTP curve, its law and the retention table follow in the browser.

Everything that can be shown is computed here, a point of the grid at a time; the page only looks it up, so the laws
have one implementation.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from analysis.collect import Dataset, Inputs
from analysis.curves import TOTALS, Array
from analysis.report.experiments.own import courses
from analysis.report.parts import Explorer, Part, Plot, Slider, Table, Text, is_number, number, quantity, typeset
from analysis.report.plots import below, line, marked, new, points
from analysis.report.tables import inventory
from astro_sim.dataset import changes_of, grid_of, settings_of, stands_for
from bridge import describe

if TYPE_CHECKING:
    from bridge.exploration.sweep import SweptLaw

MOST_POINTS = 2000  # of a grid; more would make the page heavy
STEPS_A_CYCLE = 4  # of the law's curve
MOST_NUMBERS = 100_000  # of all laws' curves, in the page
DIGITS = 5
FAMILY = "exponential"  # where no laws say another
COMMAND = (
    "rmaat simulate ltp --sweep tau_p_l=30,45,60,90,120 --sweep coupling=0.1,0.5,0.9 --sweep tau_cycle=5,10,15,20 "
    "--set ltp_dynamics=bounded --set cycles=24 --set burn_in=3 --set interval=1 --out sweep.nc"
)
# RetentionFactor(t, T) at these t; T/2 is rounded down
COLUMNS = ("T", "first (t = 1)", "middle (t = T/2)", "last (t = T)")


def explore(inputs: Inputs) -> list[Part]:
    """A part for every sweep that was given."""
    return [part for index, sweep in enumerate(inputs.sweeps, start=1) for part in _parts(sweep, inputs, index)]


def _parts(sweep: Dataset, inputs: Inputs, index: int) -> list[Part]:
    if stands_for(sweep.data) != "ltp" or "p_l_cycle" not in sweep.data:
        told = (
            f"{sweep.path}: a sweep of {sweep.experiment}, over which the report has no sliders; every variable over "
            "all points, and what it holds:"
        )
        return [Text(told, note=True), *courses(sweep.data), inventory(sweep.data)]
    from bridge.exploration.sweep import REPEATED, fit_sweep  # loads the optimiser, which other pages do without

    grid = {dim: len(values) for dim, values in grid_of(sweep.data).items() if dim not in REPEATED}
    size = int(np.prod(list(grid.values()), dtype=int))
    if size > MOST_POINTS:
        told = f"{sweep.path}: {size} points are too many to explore; expected at most {MOST_POINTS}."
        return [Text(told, note=True)]
    given = (file.laws.family for file in inputs.laws if file.laws.parametric)
    family = next((family.name for family in given if not family.knots), FAMILY)
    laws = fit_sweep(sweep.data, family)
    if all(law.fit is None for law in laws):
        return [Text(f"{sweep.path}: no point of this sweep has a law: {laws[0].failure}.", note=True)]
    if not grid:
        told = f"{sweep.path}: repetitions of one point, averaged. {_point(laws[0], np.zeros(1), family)['words']}"
        return [Text(f"{told} Sweep another setting than the seed, and there will be sliders.")]
    fixed = fixed_settings(sweep, inputs)
    return [_explorer(sweep, laws, index, family, fixed), _table(sweep, laws, family, fixed)]


def fixed_settings(sweep: Dataset, inputs: Inputs) -> str:
    """What the sliders leave alone and is not as by default, or not as in another dataset; empty where nothing is.

    A sweep under other dynamics has other laws than the run beside it: without this the two seem to contradict.
    """
    fixed, changes = settings_of(sweep.data), changes_of(sweep.data)
    told = [
        f"{name} = {_written(now, unit)} (default {_written(usual, unit)})"
        for name, (now, usual, unit) in changes.items()
    ]
    sentences = [f"Fixed in this sweep, and not as by default: {', '.join(told)}."] if told else []
    for other in inputs.of(sweep.experiment):
        theirs = settings_of(other.data)
        units = {name: unit for name, (*_, unit) in {**changes, **changes_of(other.data)}.items()}
        differing = [name for name in fixed if theirs.get(name) != fixed[name]]
        if other.model == sweep.model and differing:
            apart = ", ".join(f"{name} = {_written(theirs[name], units.get(name, '1'))}" for name in differing)
            sentences.append(f"Otherwise in {other.path}: {apart}; its law need not be one of these.")
    return " ".join(sentences)


def _explorer(sweep: Dataset, laws: Sequence["SweptLaw"], index: int, family: str, fixed: str) -> Explorer:
    stops = {name: list(dict.fromkeys(json.dumps(law.point[name]) for law in laws)) for name in laws[0].point}
    sizes = [len(values) for values in stops.values()]
    start = int(np.ravel_multi_index([size // 2 for size in sizes], sizes))
    if laws[start].fit is None:  # a point that failed is no place to begin
        start = next(k for k, law in enumerate(laws) if law.fit is not None)
    sliders = []
    for (name, values), at in zip(stops.items(), np.unravel_index(start, sizes), strict=True):
        meaning, unit = _attribute(sweep, name, "long_name"), _attribute(sweep, name, "units")
        texts = [_written(json.loads(value), unit or "1") for value in values]
        sliders.append(Slider(name, f"{name}: {meaning}" if meaning else name, texts, int(at)))
    cycles = max(law.fit.cycles for law in laws if law.fit is not None)
    steps = max(1, min(STEPS_A_CYCLE, MOST_NUMBERS // (2 * cycles * len(laws))))
    at = np.linspace(0.0, 2.0 * cycles, 2 * cycles * steps + 1)
    point_data = [_point(law, at, family) for law in laws]
    seen, sound = point_data[start], [point for point in point_data if point["samples"]]
    unit = next(law.curve.unit for law in laws if law.curve is not None)
    top = max(max(point["samples"] + point["law"]) for point in sound)
    highest = max(max(map(max, point["factors"])) for point in sound)
    totals = ", ".join(map(str, TOTALS))
    data = json.dumps({"sizes": sizes, "cycles": at.tolist(), "points": point_data}, separators=(",", ":"))
    return Explorer(
        identity=f"explorer-{index}",
        sliders=sliders,
        fixed=fixed,
        curve=Plot(
            _curve(at, seen, f"p<sup>l</sup> ({unit})", 1.05 * top),
            f"{sweep.path}: mean pˡ at the ends of cycles (dots) and the {family.replace('_', ' ')} law through it; "
            "dashed: beyond the simulated cycles.",
        ),
        factors=Plot(_factors(seen, 1.05 * highest), f"RetentionFactor(t, T) of that law, T = {totals}."),
        columns=COLUMNS,
        rows=[[str(total), *row] for total, row in zip(TOTALS, seen["table"], strict=True)],
        words=seen["words"],
        data=data.replace("<", "\\u003c"),  # so that nothing can end the script that holds it
    )


def _curve(cycles: Array, point: dict[str, Any], title: str, top: float) -> go.Figure:
    """LTP curve and law of one point of a sweep; traces: samples, the law, the law beyond the simulated cycles."""
    figure, samples, level = new(title), point["samples"], np.asarray(point["law"])
    inside, beyond = cycles <= len(samples) - 1, cycles >= len(samples) - 1
    figure.add_trace(points(np.arange(len(samples)), samples, "simulated", 0))
    figure.add_trace(line(cycles[inside], level[inside], "law", 1))
    figure.add_trace(line(cycles[beyond], level[beyond], "extrapolated", 1, line={"dash": "dash"}))
    figure.update_yaxes(range=[0, top])
    return below(figure, "cycle")


def _factors(point: dict[str, Any], top: float) -> go.Figure:
    """RetentionFactor(t, T) of one point of a sweep, a trace a T."""
    figure = new("RetentionFactor(t, T)")
    for index, (total, factor) in enumerate(zip(TOTALS, point["factors"], strict=True)):
        figure.add_trace(line(np.arange(1, len(factor) + 1), factor, f"T = {total}", index, **marked(index)))
    figure.update_yaxes(range=[0, top])
    return below(figure, "segment t", range=[0, max(TOTALS) + 1])


def _point(law: "SweptLaw", at: Array, family: str) -> dict[str, Any]:
    """What the page shows of one point of the grid."""
    if law.curve is None or law.fit is None:
        dashes = [["–"] * 3 for _ in TOTALS]
        return {"samples": [], "law": [], "factors": [[] for _ in TOTALS], "table": dashes,
                "words": f"No law at this point: {law.failure}."}  # fmt: skip
    factors = [law.retention(total) for total in TOTALS]
    parameters = ", ".join(
        f"{one.name} = {quantity(law.fit.values[one.name], one.unit, 3)}" for one in law.fit.family.parameters
    )
    follows = typeset(describe.r_squared(law.fit.r_squared))
    words = (
        f"{family.replace('_', ' ').capitalize()} law with {parameters}, R² = {follows}; "
        f"{100 * law.fit.reached:.0f} % of saturation after {law.fit.cycles} cycles. Of 16 segments the first has "
        f"the weight {number(factors[2][0], 3)}, the last {number(factors[2][-1], 3)}."
    )
    return {
        "samples": _rounded(law.curve.levels),
        "law": _rounded(law.level(at)),
        "factors": [_rounded(factor) for factor in factors],
        "table": [[number(f[0]), number(f[len(f) // 2 - 1]), number(f[-1])] for f in factors],
        "words": words + ("" if law.fit.converged else " The fit did not converge."),
    }


def _table(sweep: Dataset, laws: Sequence["SweptLaw"], family: str, fixed: str) -> Table:
    """Every point in a table that sorts, for reading without sliders: with holes it could not be read along a "
    "setting."""
    rows, heads = [], list[str]()
    for law in laws:
        if law.fit is not None:
            fit, factor = law.fit, law.retention(16)
            heads = [one.name if one.unit == "1" else f"{one.name} ({one.unit})" for one in fit.family.parameters]
            values = (number(fit.values[one.name]) for one in fit.family.parameters)
            ends = number(factor[0]), number(factor[-1]), number(1 - fit.r_squared, 2)
            rows.append([*(_written(value) for value in law.point.values()), *values, *ends])
    lost = f"; {len(laws) - len(rows)} of {len(laws)} points have none" if len(rows) < len(laws) else ""
    titles = {}
    for name in laws[0].point:
        unit = _attribute(sweep, name, "units")
        titles[name] = f"{name} ({unit})" if unit not in ("", "1") else name
    return Table(
        f"{sweep.path}: {family.replace('_', ' ')} law at the points of the sweep{lost}. {fixed}".rstrip(),
        [*titles.values(), *heads, "RetentionFactor(1, 16)", "RetentionFactor(16, 16)", "1 − R²"],
        rows,
        [title for name, title in titles.items() if not is_number(laws[0].point[name])],
        sortable=True,
        tall=True,
    )


def _attribute(sweep: Dataset, name: str, attribute: str) -> str:
    dim = next(dim for dim in (f"swept_{name}", name) if dim in sweep.data.coords)
    return str(sweep.data[dim].attrs.get(attribute, ""))


def _written(value: Any, unit: str = "1") -> str:
    if is_number(value):
        return quantity(float(value), unit)
    text = value if isinstance(value, str) else json.dumps(value)
    return text if unit == "1" else f"{text} {unit}"


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
