"""Named experiments: one a file, which declares how models run it and what its datasets hold.

What a file defines, of ours as of a user's own (`astro_sim.experiments.user_file`): ``EXPERIMENT``, ``PROMISED``,
``MEANINGS`` and perhaps ``BY_SETTING``. Importing one is cheap: numba and Brian2 are loaded when something runs.
"""

from importlib import import_module
from pathlib import Path

from astro_sim.common.user_file import is_file_name, require_name
from astro_sim.experiments.experiment import NAMES, Experiment, NamedExperiment, Variant
from astro_sim.experiments.user_file import FILES

__all__ = ["NAMES", "Experiment", "NamedExperiment", "Variant", "find"]


def find(experiment: str | Path) -> NamedExperiment:
    """Look up an experiment by its name, or by the path of a file of one's own, which is run.

    Raises
    ------
    InputError
        An unknown name (with the nearest one); a file that is missing, cannot be run or lacks a table.
    """
    if is_file_name(experiment):
        return FILES.load(Path(experiment))
    require_name("experiment", experiment, NAMES)
    name = str(experiment)
    return NamedExperiment.of(import_module(f"{__name__}.{name}"), name, name)
