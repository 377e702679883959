"""The explorer: sliders over a sweep of ltp; the LTP curve, its law and the retention table follow in the browser.

Everything that can be shown is computed here, a point of the grid at a time; the page only looks it up, so the laws
have one implementation.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis import plots
from analysis.collect import Dataset, Inputs
from analysis.curves import TOTALS
from analysis.parts import Explorer, Plot, Section, Slider, Table, Text, is_number, number, r_squared
from analysis.views.own import courses
from analysis.views.tables import inventory
from astro_sim.dataset import changes_of, grid_of, settings_of, stands_for

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

Array = NDArray[np.float64]


def explore(inputs: Inputs) -> Section:
    """A part for every sweep that was given."""
    section = Section("explore", "Explore the biology")
    for index, each in enumerate(inputs.sweeps, start=1):
        section.add(*(_parts(each, inputs, index)))
    return section


def _parts(each: Dataset, inputs: Inputs, index: int) -> list[Any]:
    if stands_for(each.data) != "ltp" or "p_l_cycle" not in each.data:
        told = (
            f"{each.path}: a sweep of {each.experiment}, over which the report has no sliders; every variable over all "
            "points, and what it holds:"
        )
        held = inventory(each.data, f"{each.path}: dimensions, unit and range of variables.")
        return [Text(told, note=True), *courses(each.data, str(each.path)), held]
    from bridge.exploration.sweep import (  # loads the optimiser, which a page without a sweep does without
        REPEATED,
        fit_sweep,
    )

    grid = {dim: len(values) for dim, values in grid_of(each.data).items() if dim not in REPEATED}
    size = int(np.prod(list(grid.values()), dtype=int))
    if size > MOST_POINTS:
        told = f"{each.path}: {size} points are too many to explore; expected at most {MOST_POINTS}."
        return [Text(told, note=True)]
    family = next((one.laws.family.name for one in inputs.laws if one.laws.parametric and not one.laws.family.knots),
                  FAMILY)  # fmt: skip
    laws = fit_sweep(each.data, family)
    sound = [law for law in laws if law.fit is not None]
    if not sound:
        return [Text(f"{each.path}: no point of this sweep has a law: {laws[0].failure}.", note=True)]
    if not grid:
        told = f"{each.path}: repetitions of one point, averaged. {_point(laws[0], np.zeros(1), family)['words']}"
        return [Text(f"{told} Sweep another setting than the seed, and there will be sliders.")]
    fixed = fixed_settings(each, inputs)
    return [_explorer(each, laws, index, family, fixed), _table(each, sound, len(laws), family, fixed)]


def fixed_settings(each: Dataset, inputs: Inputs) -> str:
    """What the sliders leave alone and is not as by default, or not as in another dataset; empty where nothing is.

    A sweep under other dynamics has other laws than the run beside it: without this the two seem to contradict.
    """
    fixed, changes = settings_of(each.data), changes_of(each.data)
    told = [
        f"{_set(name, now, unit)} (default {_with_unit(usual, unit)})" for name, (now, usual, unit) in changes.items()
    ]
    sentences = [f"Fixed in this sweep, and not as by default: {', '.join(told)}."] if told else []
    for other in inputs.of(each.experiment):
        if other.model != each.model:
            continue
        theirs = settings_of(other.data)
        units = {name: unit for name, (*_, unit) in {**changes, **changes_of(other.data)}.items()}
        apart = [_set(name, theirs[name], units.get(name, "1")) for name in fixed if theirs.get(name) != fixed[name]]
        if apart:
            sentences.append(f"Otherwise in {other.path}: {', '.join(apart)}; its law need not be one of these.")
    return " ".join(sentences)


def _set(name: str, value: Any, unit: str) -> str:
    return f"{name} = {_with_unit(value, unit)}"


def _with_unit(value: Any, unit: str) -> str:
    text = _bare(value) if is_number(value) or isinstance(value, str) else json.dumps(value)
    return text if unit == "1" else f"{text} {unit}"


def _explorer(each: Dataset, laws: Sequence["SweptLaw"], index: int, family: str, fixed: str) -> Explorer:
    names = list(laws[0].point)
    values = {name: list(dict.fromkeys(_key(law.point[name]) for law in laws)) for name in names}
    sliders = [
        Slider(name, _meaning(each, name), [_text(each, name, json.loads(value)) for value in values[name]],
               len(values[name]) // 2)
        for name in names
    ]  # fmt: skip
    start = 0
    for slider in sliders:
        start = start * len(slider.texts) + slider.start
    if laws[start].fit is None:  # a point that failed is no place to begin
        start = next(k for k, law in enumerate(laws) if law.fit is not None)
        places = np.unravel_index(start, [len(slider.texts) for slider in sliders])
        sliders = [Slider(s.name, s.title, s.texts, int(at)) for s, at in zip(sliders, places, strict=True)]
    cycles = max(law.fit.cycles for law in laws if law.fit is not None)
    steps = max(1, min(STEPS_A_CYCLE, MOST_NUMBERS // (2 * cycles * len(laws))))
    at = np.linspace(0.0, 2.0 * cycles, 2 * cycles * steps + 1)
    points = [_point(law, at, family) for law in laws]
    top = max(max(point["samples"] + point["law"]) for point in points if point["samples"])
    unit = next(law.curve.unit for law in laws if law.curve is not None)
    seen = points[start]
    curve = Plot(
        plots.explored_curve(at, seen["samples"], seen["law"], len(seen["samples"]) - 1, unit, 1.05 * top),
        "The simulated LTP curve of the chosen point and the law through it. " + seen["words"],
        f"{each.path}: mean pˡ at the ends of cycles (dots) and the {family.replace('_', ' ')} law through it; dashed: "
        "beyond the simulated cycles.",
    )
    highest = max(max(map(max, point["factors"])) for point in points if point["samples"])
    factors = Plot(
        plots.explored_factors(TOTALS, seen["factors"], 1.05 * highest),
        "RetentionFactor(t, T) of the chosen point for T = " + ", ".join(map(str, TOTALS)) + ".",
        f"RetentionFactor(t, T) of that law, T = {', '.join(map(str, TOTALS))}.",
    )
    data = {"sizes": [len(slider.texts) for slider in sliders], "cycles": at.tolist(), "points": points}
    return Explorer(
        identity=f"explorer-{index}",
        sliders=sliders,
        fixed=fixed,
        curve=curve,
        factors=factors,
        columns=COLUMNS,
        rows=[[str(total), *row] for total, row in zip(TOTALS, seen["table"], strict=True)],
        words=seen["words"],
        # No "<" can end the script that holds it.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _point(law: "SweptLaw", at: Array, family: str) -> dict[str, Any]:
    """What the page shows of one point of the grid."""
    if law.curve is None or law.fit is None:
        dashes = [["–"] * 3 for _ in TOTALS]
        return {"samples": [], "law": [], "factors": [[] for _ in TOTALS], "table": dashes,
                "words": f"No law at this point: {law.failure}."}  # fmt: skip
    factors = [law.retention(total) for total in TOTALS]
    parameters = ", ".join(
        f"{p.name} = {number(law.fit.values[p.name], 3)}" + ("" if p.unit == "1" else f" {p.unit}")
        for p in law.fit.family.parameters
    )
    words = (
        f"{family.replace('_', ' ').capitalize()} law with {parameters}, R² = {r_squared(law.fit.r_squared)}; "
        f"{100 * law.fit.reached:.0f} % of saturation after {law.fit.cycles} cycles. Of 16 segments the first has "
        f"the weight {number(factors[2][0], 3)}, the last {number(factors[2][-1], 3)}."
    )
    if not law.fit.converged:
        words += " The fit did not converge."
    return {
        "samples": _rounded(law.curve.levels),
        "law": _rounded(law.level(at)),
        "factors": [_rounded(factor) for factor in factors],
        "table": [[number(f[0]), number(f[len(f) // 2 - 1]), number(f[-1])] for f in factors],
        "words": words,
    }


def _table(each: Dataset, sound: Sequence["SweptLaw"], count: int, family: str, fixed: str) -> Table:
    """Every point in a table that sorts, for reading without sliders."""
    names, found = list(sound[0].point), sound[0].fit.family.parameters  # pyright: ignore[reportOptionalMemberAccess]
    parameters = [p.name for p in found]
    heads = [p.name if p.unit == "1" else f"{p.name} ({p.unit})" for p in found]
    rows = []
    for law in sound:  # all: with holes a table cannot be read along one setting
        fit = law.fit
        if fit is not None:
            factor = law.retention(16)
            cells = [_bare(law.point[name]) for name in names] + [number(fit.values[name]) for name in parameters]
            rows.append([*cells, number(factor[0]), number(factor[-1]), number(1 - fit.r_squared, 2)])
    lost = f"; {count - len(sound)} of {count} points have none" if len(sound) < count else ""
    words = [_title(each, name) for name in names]
    return Table(
        f"{each.path}: {family.replace('_', ' ')} law at the points of the sweep{lost}. {fixed}".rstrip(),
        [*words, *heads, "RetentionFactor(1, 16)", "RetentionFactor(16, 16)", "1 − R²"],
        rows,
        [title for title, name in zip(words, names, strict=True) if not is_number(sound[0].point[name])],
        sortable=True,
        tall=True,
    )


def _title(each: Dataset, name: str) -> str:
    unit = _unit(each, name)
    return f"{name} ({unit})" if unit else name


def _meaning(each: Dataset, name: str) -> str:
    """Name and what the dataset says of it."""
    said = _attribute(each, name, "long_name")
    return f"{name}: {said}" if said else name


def _unit(each: Dataset, name: str) -> str:
    unit = _attribute(each, name, "units")
    return "" if unit == "1" else unit


def _attribute(each: Dataset, name: str, attribute: str) -> str:
    dim = next(dim for dim in (f"swept_{name}", name) if dim in each.data.coords)
    return str(each.data[dim].attrs.get(attribute, ""))


def _text(each: Dataset, name: str, value: Any) -> str:
    return f"{_bare(value)} {_unit(each, name)}".strip()


def _bare(value: Any) -> str:
    return number(float(value)) if is_number(value) else str(value)


def _key(value: Any) -> str:
    """Values of a grid may be lists, which no dictionary takes."""
    return json.dumps(value)


def _rounded(values: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
