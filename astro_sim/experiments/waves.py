"""Calcium waves: one astrocyte of many is driven with IP3, and gap junctions carry it to the others."""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim.biophysical import astrocytes
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, on_grid, values
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, Array
from astro_sim.experiments.variables import ASTROCYTE, EVENTS
from astro_sim.observables import calcium_events

MOST_CELLS = 100_000
FEWEST_FOR_A_SPEED = 3  # cells besides the driven one: a line through two always fits
MOST_FOR_A_SPEED = 2000  # evenly chosen among those reached: every pair has a slope

# Before every state update: whole steps, because t % period is off by a step where rounding falls below the edge.
PULSES = "I_bias = I_pulse*int(timestep(t, dt) % period_steps < pulse_steps)"


class WavesSettings(Settings):
    """Pulses of external IP3 into one cell of a network."""

    graph: Literal["ring", "grid"] = quantity("ring", "1", "who is joined to whom, unless edges are given", SGBD)
    cells: int = quantity(50, "1", "number of astrocytes", SGBD, ge=1, le=MOST_CELLS)
    edges: tuple[tuple[int, int], ...] | None = quantity(
        None, "1", "gap junctions as pairs of cells, each pair once; overrides graph", "ours"
    )
    spacing: float = quantity(67.0, "um", "between neighbours on ring and grid", f"{SGBD}: 3.75 mm, 56 cells", gt=0)
    radius: float = quantity(75.0, "um", "cells of the grid closer than this are joined", SGBD, gt=0)
    driven: int | None = quantity(None, "1", "the driven cell; by default number cells // 2", SGBD, ge=0)
    bias: float = quantity(1.0, "uM", "I_bias of the driven cell during a pulse", SGBD, ge=0)
    pulse: float = quantity(20.0, "s", "length of a pulse; the first begins at 0", SGBD, gt=0)
    period: float = quantity(50.0, "s", "from pulse to pulse", SGBD, gt=0)
    duration: float = quantity(200.0, "s", "of the run", "chosen: long enough for a speed; published 4000", gt=0)
    threshold: float = quantity(
        0.3, "uM", "calcium at which a cell counts as reached", "chosen: far from rest and peak", gt=0
    )
    interval: float = quantity(0.1, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.pulse > self.period:
            raise ValueError(f"pulse: expected at most the period, {self.period:g} s, got {self.pulse:g}")
        if self.driven is not None and self.driven >= self.cells:
            raise ValueError(f"driven: expected 0 to {self.cells - 1}, got {self.driven}")
        if self.interval > self.duration / 2:
            raise ValueError(
                f"interval: expected at most half the duration, {self.duration / 2:g} s, got {self.interval:g}"
            )

    def build(self) -> astrocytes.Graph:
        """The graph of the gap junctions."""
        if self.edges is not None:
            return astrocytes.given_graph(self.edges, self.cells)
        if self.graph == "ring":
            return astrocytes.ring(self.cells)
        return astrocytes.neighbours(astrocytes.grid_positions(self.cells, self.spacing), self.radius)


def run(
    settings: WavesSettings, parameters: astrocytes.AstrocyteNetworkParameters, generator: np.random.Generator
) -> xr.Dataset:
    """Drive one cell; traces, and when calcium first crosses the threshold upwards in each cell."""
    p, graph = parameters, settings.build()
    driven = graph.cells // 2 if settings.driven is None else settings.driven
    with Session(p, int(generator.integers(2**31))) as session:
        group = astrocytes.build_astrocytes(session, p, graph, "Y_S : mmolar\nI_pulse : mmolar (constant)\n")
        group.namespace["period_steps"] = on_grid(settings.period, p.dt, "period")
        group.namespace["pulse_steps"] = on_grid(settings.pulse, p.dt, "pulse")
        session.add(group.run_regularly(PULSES, when="start", name="pulses"))
        group.I_pulse_ = settings.bias * 1e-3 * (np.arange(graph.cells) == driven)  # uM in mol/m^3
        traces = session.record(group, ["C", "I"], settings.interval)
        on_grid(settings.duration, settings.interval, "duration")
        session.run(settings.duration, [group])
        time, C, IP3 = traces.t_[:], values(traces, "C", "uM"), values(traces, "I", "uM")
    events = calcium_events(time, C, settings.threshold)
    hops = graph.hops(driven)
    reached = np.isfinite(events.latency)
    others = reached & (np.arange(graph.cells) != driven)
    distance = None if settings.edges is not None else settings.spacing * hops  # um, along the ring
    if graph.positions is not None:  # as the crow flies
        distance = np.linalg.norm(graph.positions - graph.positions[driven], axis=1)
    variables = {
        "C": (("time", "cell"), C),
        "I": (("time", "cell"), IP3),
        "hops": (("cell",), hops),
        "onset": (("cell",), events.latency),
        "recruited": (("cell",), reached.astype(float)),
        "reach": ((), float(others.sum())),
        "speed": ((), speed(hops[others], events.latency[others])),
        **events.variables("cell"),
    }
    if distance is not None:
        variables["distance"] = (("cell",), distance)
        variables["speed_um"] = ((), speed(distance[others], events.latency[others]))
    return xr.Dataset(variables, {"time": time, "cell": np.arange(graph.cells)})


def speed(distance: Array, onset: Array) -> float:
    """Front speed, distance a second: the median of the slopes over all pairs of cells (Theil and Sen).

    NaN for fewer than three cells, where all are equally far, or where the farther ones are not reached later. A cell
    that is late, or excited by something else than the front, moves a median little.
    """
    from scipy.stats import theilslopes

    if len(onset) < FEWEST_FOR_A_SPEED or np.ptp(distance) == 0 or np.ptp(onset) == 0:
        return float("nan")
    kept = np.unique(np.linspace(0, len(onset) - 1, MOST_FOR_A_SPEED).astype(int))
    distance, onset = distance[kept], onset[kept]
    # Onset over distance, then its inverse: cells of one distance differ in onset, and would give slopes of 0.
    delay = float(np.asarray(theilslopes(onset, distance)[0]))
    return 1.0 / delay if delay > 0 else float("nan")


PRESETS = {
    "published": {"duration": 4000.0, "dt": 0.05, "interval": 0.5},
    # Chosen: with the ring's O_delta of 0.6 uM/s a cell's IP3 is too little for four neighbours, and no wave starts.
    "grid": {"graph": "grid", "cells": 49, "O_delta": 1.0},
}


EXPERIMENT = Experiment(
    "calcium waves through gap junctions",
    {
        "biophysical": Variant(
            WavesSettings,
            astrocytes.AstrocyteNetworkParameters,
            run,
            {"kinetics": "chi", "F_ex": 0.09, "dt": 0.025},
            PRESETS,
        )
    },
)
PROMISED = {"biophysical": {"C": ("time", "cell"), "I": ("time", "cell"), "recruited": ("cell",), "reach": ()}}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "hops": ("1", "gap junctions between the cell and the driven one"),
        "distance": ("um", "distance of the cell from the driven one"),
        "onset": ("s", "first upward crossing of the calcium threshold"),
        "recruited": ("1", "1 where calcium crossed the threshold"),
        "reach": ("1", "cells that the wave reached, the driven one not counted"),
        "speed": ("1/s", "speed of the front, cells a second: median of pairwise slopes of onset against hops"),
        "speed_um": ("um/s", "speed of the front: median of pairwise slopes of onset against distance"),
    }
}
