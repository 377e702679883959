"""Recall from the neuron-astrocyte associative memory."""

from typing import Any

import numpy as np

from analysis.collect import Dataset, Inputs
from analysis.curves import GREY
from analysis.parts import Plot, Table, number
from analysis.plots import line, new
from analysis.views.shapes import MOST_CURVES, below, evenly, flat, mean, panels, spread
from analysis.views.tables import cell, coordinate, shown

MOST_PANELS = 4


def associative(each: Dataset, inputs: Inputs) -> list[Any]:
    """Overlap against corruption for every number of patterns, and the energy as the neurons settle."""
    data = each.data
    counts, corruption = coordinate(data, "patterns"), data["corruption"].values
    overlap = flat(data["overlap"], "patterns", "corruption")
    figure, order = new(), np.argsort(corruption)
    for index, count in enumerate(counts):
        spread(figure, 1, corruption[order], overlap[index][order], _stored(count), index, dots=True)
    cue = data["overlap_cue"].values
    trace = line(corruption[order], cue[order], "the cue itself", 0, line={"dash": "dot", "color": GREY})
    figure.add_trace(trace)
    figure.update_yaxes(title_text="overlap", range=[min(-0.05, 1.05 * float(overlap.min())), 1.08])
    figure.update_xaxes(title_text="share of signs flipped", tickformat=".0%")
    worst = mean(overlap)[:, order[-1]]
    told = "; ".join(f"{_stored(count)} {shown(value, 3)}" for count, value in zip(counts, worst, strict=True))
    columns = ["stored patterns", *(f"{100 * number_:.4g} % flipped" for number_ in corruption)]
    rows = [[count, *(cell(one) for one in row)] for count, row in zip(counts, overlap, strict=True)]
    rows.append(["the cue itself", *(shown(value) for value in cue)])
    return [
        Plot(
            figure,
            "Overlap of what is recalled with the stored pattern against the share of flipped signs; at the largest "
            f"share ({number(float(corruption.max()))}): {told}.",
            f"{each.path}: mean product of the signs recalled and those stored (1 is perfect recall) against "
            "corruption, a colour a number of stored patterns; points: mean over cues, band: their range; dotted: "
            "overlap of the cue.",
        ),
        _energy(each, counts),
        Table(f"{each.path}: overlap after recall, mean (lowest to highest) over cues.", columns, rows),
    ]


def _energy(each: Dataset, counts: list[str]) -> Plot:
    data = each.data
    energy = flat(data["energy"], "patterns", "corruption", "time")
    drawn, lines = evenly(len(counts), MOST_PANELS), evenly(energy.shape[1], MOST_CURVES)
    figure = panels([_stored(counts[at]) for at in drawn])
    for row, at in enumerate(drawn, start=1):
        for index, k in enumerate(lines):
            label = f"{100 * float(data['corruption'][k]):.4g} % flipped"
            spread(figure, row, data["time"].values, energy[at, k], label, index, showlegend=row == 1)
    below(figure, "time (s)", len(drawn))
    steps = np.diff(energy, axis=2)
    largest = float(steps.max()) if steps.size else 0.0
    scale = float(np.ptp(energy)) or 1.0
    falls = "it never rises between samples" if largest <= 1e-9 * scale else (
        f"its largest rise between samples is {number(largest, 3)} a.u."
    )  # fmt: skip
    return Plot(
        figure,
        f"Energy of neurons, synapses and processes while they settle, by number of stored patterns; {falls}.",
        f"{each.path}: energy (a.u.) over time, a panel a number of stored patterns, a colour a corruption; line: mean "
        f"over cues, band: their range; {falls}.",
        100 + 120 * len(drawn),
    )


def _stored(count: str) -> str:
    return f"{count} pattern" + ("" if count == "1" else "s")
