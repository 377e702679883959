"""What the astrocyte did, in a sentence a dataset: the numbers that a reader would look for first."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.curves import per_synapse, still_spreading
from analysis.parts import number, percent

# Share of the largest increment that the last one has: below it a curve is told to saturate, to slow down.
SATURATED, SLOWING = 0.1, 0.9


def astrocyte_sentences(inputs: Inputs) -> list[str]:
    """A sentence for every dataset whose experiment has one, in the order given."""
    return [told for each in inputs.datasets if (told := _sentence(each)) is not None]


def _sentence(each: Dataset) -> str | None:
    words = WORDS.get((each.experiment, each.model))
    return None if words is None else words(each.data)


def _layouts(data: xr.Dataset) -> str:
    peaks = {}
    for name in data["layout"].values:
        p_s = per_synapse(data["p_s"].sel(layout=name))
        peak = p_s[int(p_s.mean(axis=1).argmax())]
        peaks[str(name)] = (float(peak.mean()), float(np.ptp(peak)) / float(peak.mean()) if peak.mean() else 0.0,
                            float(p_s[-1].mean()))  # fmt: skip
    (name, (top, _, end)), *_ = peaks.items()
    even, uneven = (pick(peaks.items(), key=lambda item: item[1][1]) for pick in (min, max))
    back = "is back at" if end < 0.5 * top else "is at"
    told = (
        f"Within one cycle fast calcium pˢ rises to {number(top, 2)} a.u. and {back} {number(end, 2)} by its end "
        f"(layout {name})"
    )
    if len(peaks) > 1:
        told += (
            f"; its peak differs between synapses by {percent(even[1][1], 0)} in the layout {even[0]} and by "
            f"{percent(uneven[1][1], 0)} in {uneven[0]}: the place of a process matters"
        )
    return told + "."


def _cycles(data: xr.Dataset) -> str:
    ends = data["p_l_cycle"].mean(("post", "pre")).values
    added = np.diff(ends)
    told = f"Over {len(added)} cycles slow calcium pˡ goes from {number(ends[0], 2)} to {number(ends[-1], 3)} a.u."
    if not added.max() > 0:
        return told
    share = added[-1] / added.max()
    told = f"{told}; the last adds {percent(share, 0)} of what the largest adds"
    if share > SLOWING:
        return told + "."
    return told + (": it saturates." if share < SATURATED else ": it slows down.")


def _tripartite(data: xr.Dataset) -> str | None:
    if "p_l_cycle" not in data:
        return None
    ends = data["p_l_cycle"].mean([dim for dim in data["p_l_cycle"].dims if dim != "cycle"]).values
    return (
        f"Over {len(ends) - 1} cycles of the biophysical model the potentiated share goes from {number(ends[0], 2)} to "
        f"{number(ends[-1], 3)}."
    )


def _calcium(data: xr.Dataset) -> str | None:
    if "calcium_low" in data and "oscillates" in data:
        found = [
            f"{number(float(data['oscillation_from'].sel(direction=way)), 3)} to "
            f"{number(float(data['oscillation_to'].sel(direction=way)), 3)} µM led {way}"
            for way in map(str, data["direction"].values)
            if bool((data["oscillates"].sel(direction=way) > 0).any())
        ]
        return (
            f"Calcium oscillates between IP₃ of {', and of '.join(found)}." if found else "Calcium does not oscillate."
        )
    if "calcium_peak" in data:
        top = data["calcium_peak"].values
        over = "under one stimulus" if top.size == 1 else f"over {top.size} stimuli"
        return f"Calcium of one astrocyte peaks at {number(float(np.nanmax(top)), 3)} µM {over}."
    return None


def _waves(data: xr.Dataset) -> str:
    told = f"A calcium wave reaches {int(data['recruited'].sum())} of {data.sizes['cell']} astrocytes"
    if (end := still_spreading(data)) is not None:
        told += f" in the {number(end)} s of the run, still spreading at its end,"
    speed = float(data["speed"])
    return told + (f" at {number(speed, 3)} cells a second." if np.isfinite(speed) else ".")


def _gliotransmission(data: xr.Dataset) -> str | None:
    if "none" not in data["modulation"].values or "r_S_mean" not in data:
        return None
    mean = {
        str(name): float(data["r_S_mean"].sel(modulation=name).mean())
        for name in data["modulation"].values
    }  # fmt: skip
    changes = ", ".join(
        f"{name} {100 * (value / mean['none'] - 1):+.0f} %".replace("-", "−")
        for name, value in mean.items()
        if name != "none" and mean["none"]
    )
    return f"Gliotransmission changes what a spike releases, mean over rates: {changes}." if changes else None


WORDS: dict[tuple[str, str], Callable[[xr.Dataset], str | None]] = {
    ("stp", "macro"): _layouts,
    ("ltp", "macro"): _cycles,
    ("ltp", "biophysical"): _tripartite,
    ("calcium", "biophysical"): _calcium,
    ("waves", "biophysical"): _waves,
    ("gliotransmission", "biophysical"): _gliotransmission,
}
