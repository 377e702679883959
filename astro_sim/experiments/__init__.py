"""Named experiments: one a file, which declares how models run it and what its datasets hold.

What a file defines, of ours as of a user's own (`astro_sim.experiments.user_file`): ``EXPERIMENT``, ``PROMISED``,
``MEANINGS`` and perhaps ``BY_SETTING``. Importing one is cheap: numba and Brian2 are loaded when something runs.
"""

from astro_sim.experiments.experiment import NAMES, Experiment, NamedExperiment, Variant, find

__all__ = ["NAMES", "Experiment", "NamedExperiment", "Variant", "find"]
