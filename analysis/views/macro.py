"""The macro model: p^s by layout, its decay in space, calcium against rate, the traces of repeated cycles."""

from typing import Any

import numpy as np

from analysis import plots
from analysis.collect import Dataset, Inputs
from analysis.curves import per_synapse
from analysis.parts import Plot, Plots, Table, Text, interval, number
from bridge.laws import PAPER_EXPONENT


def layouts(each: Dataset, inputs: Inputs) -> list[Any]:
    """Fast calcium over one cycle, a figure a layout."""
    data = each.data
    names = [str(name) for name in data["layout"].values]
    top = float(data["p_s"].max())
    drawn, rows = [], []
    for index, name in enumerate(names):
        p_s = per_synapse(data["p_s"].sel(layout=name))
        at = int(p_s.mean(axis=1).argmax())
        peak, time = p_s[at], float(data["time"][at])
        spread = float(np.ptp(peak) / peak.mean()) if peak.mean() else 0.0
        low, high, end = number(peak.min()), number(peak.max()), number(p_s[-1].mean())
        rows.append([name, number(peak.mean()), low, high, f"{100 * spread:.2g} %", number(time, 3), end])
        drawn.append(
            Plot(
                plots.stp_layout(data, name, top, index),
                f"Fast calcium over one cycle in the layout {name}: mean peak {number(peak.mean())} a.u. "
                f"at {number(time, 3)} s, synapses from {low} to {high}; {end} a.u. at the cycle's end.",
                f"{name}: pˢ of the {p_s.shape[1]} synapses (thin or band) and their mean (thick).",
                260,
            )
        )
    return [
        Text(
            f"{each.path}: fast calcium pˢ rises and decays with the stimulus (grey while input is on). "
            "The input is the same in every layout; equal distances between processes give equal pˢ, "
            "others do not."
        ),
        Plots(drawn),
        Table(
            "pˢ at the peak of its mean over synapses, and at the end of the cycle (a.u.)",
            ["layout", "mean", "lowest", "highest", "spread / mean", "time (s)", "mean at the end"],
            rows,
        ),
    ]


def spatial(each: Dataset, inputs: Inputs) -> list[Any]:
    """Peak fast calcium against distance from the active process."""
    laws = inputs.laws_from(each)
    decay = None if laws is None else laws.document.spatial_decay
    fitted = f"fitted decay {interval(decay)}" if decay else "no fit to it among the given laws"
    return [
        Plot(
            plots.spatial(each.data, laws),
            "Peak fast calcium of every process against its distance from the one active process, on a "
            f"logarithmic axis: {fitted}.",
            f"{each.path}: one active process; {fitted}"
            + (f". {capital(decay.origin)}." if decay else ". Make one with rmaat fit."),
        )
    ]


def frequency(each: Dataset, inputs: Inputs) -> list[Any]:
    """Calcium against stimulation rate."""
    laws = inputs.laws_from(each)
    alpha = None if laws is None else laws.document.presynaptic_exponent
    fitted = f"fitted exponent {interval(alpha)}" if alpha else "no fit to it among the given laws"
    return [
        Plot(
            plots.frequency(each.data, laws),
            f"Calcium proxy against stimulation rate, both axes logarithmic: {fitted}; the papers use "
            f"{PAPER_EXPONENT:g}.",
            f"{each.path}: {fitted}; dotted, the papers' {PAPER_EXPONENT:g}, for its slope alone"
            + (f". {capital(alpha.origin)}." if alpha else ". Make one with rmaat fit."),
        )
    ]


def cycles(each: Dataset, inputs: Inputs) -> list[Any]:
    """All states over repeated cycles."""
    ends = each.data["p_l_cycle"].mean(("post", "pre")).values
    return [
        Plot(
            plots.ltp_traces(each.data),
            f"Activity x, facilitation s, fast calcium and slow calcium over {len(ends) - 1} cycles; the "
            f"mean of slow calcium goes from {number(ends[0])} to {number(ends[-1])} a.u.",
            f"{each.path}: mean (line) and range over neurons or synapses (band); diamonds: pˡ at the "
            "ends of the cycles, which the law is fitted to; grey while input is on.",
            640,
        )
    ]


def capital(text: str) -> str:
    """``text`` with its first letter large."""
    return text[:1].upper() + text[1:]
