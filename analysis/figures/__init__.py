"""Figures for print (matplotlib), one function a figure, and the table of them that ``rmaat figure`` draws from.

>>> from analysis import figures
>>> figures.save(figures.macro_dynamics(dataset), "dynamics.pdf")

Functions take what they draw and give a `matplotlib.figure.Figure`; `save` writes it. To add a figure: a function in a
file of this folder, and its entry in `FIGURES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.figures.biology import (
    bifurcation,
    calcium_rate,
    gliotransmission,
    layouts,
    macro_dynamics,
    spatial_decay,
    waves,
)  # fmt: skip
from analysis.figures.laws import deviation, ltp_law, retention, sensitivity
from analysis.figures.results import ablations, lra, memory, recall, throughput
from analysis.figures.runs import influence, overview, pathfinder
from analysis.figures.sources import Sources
from analysis.figures.style import save
from astro_sim.common.errors import InputError, require_known

__all__ = [
    "FIGURES", "Entry", "Sources", "ablations", "bifurcation", "calcium_rate", "deviation", "draw", "gliotransmission",
    "influence", "layouts", "lra", "ltp_law", "macro_dynamics", "memory", "overview", "pathfinder", "recall",
    "retention", "save", "sensitivity", "spatial_decay", "throughput", "waves",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A figure by name.

    Attributes
    ----------
    shows : str
        What is drawn.
    of : str
        What it is drawn from: an experiment, laws, a run, a table of results.
    draw : callable
        ``(sources) -> Figure``.
    """

    shows: str
    of: str
    draw: Callable[[Sources], Figure]


FIGURES = {
    "overview": Entry(
        "the whole line: one cycle, the LTP curve and its law, retention, training", "stp, laws, a run",
        lambda s: overview(s.given or [s.dataset("stp")], s.laws(), next(iter(s.runs(needed=False)), None)),
    ),
    "macro-dynamics": Entry(
        "x, s, p^s and p^l over repeated cycles", "ltp", lambda s: macro_dynamics(s.dataset("ltp"))
    ),
    "layouts": Entry("p^s over one cycle, by layout of the processes", "stp", lambda s: layouts(s.dataset("stp"))),
    "spatial-decay": Entry(
        "peak of p^s against distance", "spatial, laws", lambda s: spatial_decay(s.dataset("spatial"), s.laws())
    ),
    "calcium-rate": Entry(
        "calcium against stimulation rate", "frequency, laws", lambda s: calcium_rate(s.dataset("frequency"), s.laws())
    ),
    "ltp-law": Entry("the LTP curve with its law and residuals", "laws", lambda s: ltp_law(s.laws())),
    "retention": Entry("RetentionFactor(t, T) for many T", "laws", lambda s: retention(s.laws())),
    "deviation": Entry(
        "what happens when the law deviates from the simulated one", "laws, ablations",
        lambda s: deviation(s.laws(), s.rows("ablations", needed=False)),
    ),
    "bifurcation": Entry(
        "calcium against IP3, led up and down", "calcium, preset scan",
        lambda s: bifurcation(s.dataset("calcium", "biophysical", {"stimulus": "scan"}, preset="scan")),
    ),
    "gliotransmission": Entry(
        "release against rate, by modulation", "gliotransmission",
        lambda s: gliotransmission(s.dataset("gliotransmission", "biophysical")),
    ),
    "waves": Entry("a calcium wave and its front", "waves", lambda s: waves(s.dataset("waves", "biophysical"))),
    "influence": Entry("what each segment does to the output", "runs", lambda s: influence(s.runs())),
    "lra": Entry("the Long Range Arena, ours and the paper's", "lra", lambda s: lra(s.rows("lra"))),
    "ablations": Entry("what each part of RMAAT is worth", "ablations", lambda s: ablations(s.rows("ablations"))),
    "memory": Entry("memory and time of AMRB and BPTT", "amrb-memory", lambda s: memory(s.rows("amrb-memory"))),
    "throughput": Entry("speed of training, by model", "model", lambda s: throughput(s.rows("model"))),
    "recall": Entry("which memory rule carries a value", "recall", lambda s: recall(s.rows("recall"))),
    "pathfinder": Entry("examples of Pathfinder", "generated", lambda s: pathfinder(*s.pictures())),
}  # fmt: skip


def draw(name: str, sources: Sources) -> Figure:
    """Draw a figure of the table.

    Raises
    ------
    InputError
        No such name; something that it is drawn from is missing, with the command that makes it.
    """
    require_known("figure", name, FIGURES)
    try:
        return FIGURES[name].draw(sources)
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix('figure: ')}") from None
