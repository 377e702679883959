"""Sweeps: an experiment at every point of a grid, as one dataset.

`grid` validates the points, `work` runs those that are missing (in this process, in those of `pool` or on a `cluster`),
`store` keeps them on disk, `joining` puts their datasets into one and takes one out again.
"""

from astro_sim.sweeps.joining import select
from astro_sim.sweeps.work import SweepError, failures, run_points, sweep

__all__ = ["SweepError", "failures", "run_points", "select", "sweep"]
