"""For all tests: properties draw the same examples every time, untimed; every worker compiles for itself."""

import os
from pathlib import Path

from hypothesis import settings

from astro_sim.common.units import load_brian2

settings.register_profile("rmaat", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rmaat")

# Brian2 locks its cache of compiled code while one process compiles: with a cache each, workers need not wait.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    load_brian2()
    from brian2 import prefs

    prefs["codegen.runtime.cython.cache_dir"] = str(Path.home() / ".cython" / f"brian_extensions_{worker}")
