"""What datasets hold: for every experiment and model the variables it promises, for every variable unit and meaning.

Plain tables, a file an experiment, so that whoever reads a dataset needs neither the experiments nor a simulator.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from astro_sim.contents.shared import COMMON, Dimensions, Meanings

EXPERIMENTS = (
    "stp",
    "ltp",
    "spatial",
    "frequency",
    "associative",
    "gliotransmission",
    "waves",
    "calcium",
    "an",
    "network",
)

_TABLES = {name: import_module(f"{__name__}.{name}") for name in EXPERIMENTS}

# experiment -> model -> variable -> its dimensions. A dataset may hold more; these it holds, and without NaN.
CONTENTS: dict[str, dict[str, Dimensions]] = {name: table.PROMISED for name, table in _TABLES.items()}


def meanings(experiment: str, model: str, settings: Mapping[str, Any]) -> Meanings:
    """Name -> (unit, meaning) of everything that a dataset of this experiment, model and settings may hold."""
    general = {**COMMON, **_TABLES[experiment].MEANINGS[model]}
    return {**general, **decided(experiment, model, settings)}


def decided(experiment: str, model: str, settings: Mapping[str, Any]) -> Meanings:
    """Those of them that a setting decides; in general terms where ``settings`` lack it, as where it was swept."""
    table = _TABLES[experiment]
    return {
        name: choices.get(settings.get(setting), table.MEANINGS[model][name])
        for name, (setting, choices) in getattr(table, "BY_SETTING", {}).items()
    }
