"""What datasets hold: for every experiment and model the variables it promises, for every variable unit and meaning.

Plain tables, a file an experiment, so that whoever reads a dataset needs neither the experiments nor a simulator.
"""

from importlib import import_module

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


def meanings(experiment: str, model: str) -> Meanings:
    """Name -> (unit, meaning) of everything that a dataset of this experiment and model may hold."""
    return {**COMMON, **_TABLES[experiment].MEANINGS[model]}
