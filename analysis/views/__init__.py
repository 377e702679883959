"""How the report shows each experiment: a file a theme, and one table that says which.

A view turns a dataset into parts (figures, tables, sentences). To show another experiment: a function
``(dataset, inputs) -> parts`` and its entry in `VIEWS`; until it has one, the report draws every variable alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.collect import Dataset, Inputs
from analysis.parts import Heading, Text
from analysis.views import calcium, circuits, macro, memory, own, plasticity, release, waves
from analysis.views.tables import inventory
from astro_sim.dataset import stands_for


@dataclass(frozen=True)
class View:
    """How datasets of one experiment and model are shown.

    Attributes
    ----------
    section : str
        Anchor of the section that they belong in.
    heading : str
    build : callable
        ``(dataset, inputs) -> parts`` of the report.
    missed : bool
        Where no dataset of the experiment is given, the summary says how to make one.
    """

    section: str
    heading: str
    build: Callable[[Dataset, Inputs], list[Any]]
    missed: bool = False


# (experiment, model) -> its view; a section shows them in this order
VIEWS = {
    ("stp", "macro"): View("stp", "One stimulation cycle, by layout", macro.layouts, missed=True),
    ("stp", "biophysical"): View("stp", "Test spikes after gliotransmission", release.trains),
    ("gliotransmission", "biophysical"): View("stp", "Release and gliotransmission", release.gliotransmission),
    ("spatial", "macro"): View("stp", "Decay in space", macro.spatial, missed=True),
    ("spatial", "biophysical"): View("stp", "Decay in space, biophysical model", waves.spatial),
    ("frequency", "macro"): View("stp", "Calcium against stimulation rate", macro.frequency, missed=True),
    ("frequency", "biophysical"): View("stp", "Calcium against presynaptic rate", calcium.frequency),
    ("ltp", "macro"): View("ltp", "Repeated cycles", macro.cycles, missed=True),
    ("ltp", "biophysical"): View("ltp", "Tripartite synapses", plasticity.tripartite),
    ("calcium", "biophysical"): View("astrocytes", "Calcium of one astrocyte", calcium.calcium),
    ("waves", "biophysical"): View("astrocytes", "Calcium waves", waves.waves),
    ("an", "biophysical"): View("networks", "Self-repair", circuits.self_repair),
    ("network", "biophysical"): View("networks", "Neurons and astrocytes", circuits.network),
    ("associative", "macro"): View("networks", "Associative memory", memory.associative),
}


def parts(section: str, inputs: Inputs) -> list[Any]:
    """Everything that belongs in a section, under its headings."""
    found: list[Any] = []
    for (experiment, model), view in VIEWS.items():
        shown = [each for each in inputs.of(experiment) if each.model == model]
        if view.section == section and shown:
            found.append(Heading(view.heading))
            for each in shown:
                found += view.build(each, inputs)
    return found


def lacking(inputs: Inputs) -> dict[str, str]:
    """What a report of the whole line shows and no dataset was given for: its heading and the command that makes it."""
    return {
        view.heading: f"rmaat simulate {experiment} --out {experiment}.nc"
        for (experiment, _), view in VIEWS.items()
        if view.missed and all(stands_for(each.data) != experiment for each in inputs.datasets)
    }


def others(inputs: Inputs) -> list[Any]:
    """The datasets that have no view: the course of every variable, and what they hold."""
    unknown = [each for each in inputs.datasets if (each.experiment, each.model) not in VIEWS]
    found: list[Any] = []
    if unknown:
        told = "The report knows no more of these than their files say: every variable alike, and what they hold."
        found.append(Text(told, note=True))
    for each in unknown:
        found += [
            Heading(f"{each.experiment}, {each.model} model"),
            *own.courses(each.data, str(each.path)),
            inventory(each.data, f"{each.path}: dimensions, unit and range of every variable."),
        ]
    return found
