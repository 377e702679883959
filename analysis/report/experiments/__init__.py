"""How the report shows each experiment: a theme a file, with its plots, sentence and tables together.

A file of this folder declares its `Theme` objects as ``THEMES``; being here is what makes them part of the report. An
experiment without a theme is shown by `analysis.report.experiments.own`: every variable alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.report.parts import Heading, Part, Text
from astro_sim.dataset import stands_for
from bridge.laws import Laws


@dataclass(frozen=True)
class Theme:
    """How datasets of one experiment and model are shown.

    Attributes
    ----------
    experiment, model : str
    section : str
        Anchor of the section that they belong in.
    place : int
        Where on the page: lower ones come first.
    heading : str
    parts : callable
        ``(dataset, laws) -> parts``, where laws are those that rest on this very dataset, or None.
    sentence : callable, optional
        ``(dataset) -> str or None``: what it shows, for the summary and above the parts.
    missed : bool
        Where no dataset of the experiment is given, the summary says how to make one.
    """

    experiment: str
    model: str
    section: str
    place: int
    heading: str
    parts: Callable[[xr.Dataset, Laws | None], Sequence[Part]]
    sentence: Callable[[xr.Dataset], str | None] | None = None
    missed: bool = False


@cache
def themes() -> dict[tuple[str, str], Theme]:
    """Every theme by experiment and model, in the order of the page."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    declared = [theme for module in modules for theme in getattr(module, "THEMES", ())]
    return {(theme.experiment, theme.model): theme for theme in sorted(declared, key=lambda theme: theme.place)}


def sentence(dataset: Dataset) -> str | None:
    """What a dataset shows, in a sentence; None where its theme has none."""
    theme = themes().get((dataset.experiment, dataset.model))
    return None if theme is None or theme.sentence is None else theme.sentence(dataset.data)


def parts(section: str, inputs: Inputs) -> list[Part]:
    """Everything that belongs in a section, under its headings."""
    made: list[Part] = []
    for (experiment, model), theme in themes().items():
        shown = [dataset for dataset in inputs.of(experiment) if dataset.model == model]
        if theme.section == section and shown:
            made.append(Heading(theme.heading))
            for dataset in shown:
                told = sentence(dataset)
                made.append(Text(f"{dataset.path}: {told}" if told else f"{dataset.path}"))
                made += theme.parts(dataset.data, inputs.laws_from(dataset))
    return made


def lacking(inputs: Inputs) -> dict[str, str]:
    """What a report of the whole line shows and no dataset was given for: its heading and the command that makes it."""
    given = {stands_for(dataset.data) for dataset in inputs.datasets}
    return {
        theme.heading: f"rmaat simulate {theme.experiment} --out {theme.experiment}.nc"
        for theme in themes().values()
        if theme.missed and theme.experiment not in given
    }


def others(inputs: Inputs) -> list[Part]:
    """The datasets that have no theme: the course of every variable, and what they hold."""
    from analysis.report.experiments import own
    from analysis.report.tables import inventory

    unknown = [dataset for dataset in inputs.datasets if (dataset.experiment, dataset.model) not in themes()]
    told = "The report knows no more of these than their files say: every variable alike, and what they hold."
    made: list[Part] = [Text(told, note=True)] if unknown else []
    for dataset in unknown:
        heading = Heading(f"{dataset.experiment}, {dataset.model} model")
        made += [heading, Text(f"{dataset.path}"), *own.courses(dataset.data), inventory(dataset.data)]
    return made
