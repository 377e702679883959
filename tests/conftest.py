"""For all tests: properties draw the same examples every time, untimed; every worker compiles for itself."""

import os
from pathlib import Path

from hypothesis import settings

from astro_sim.common.units import load_brian2

settings.register_profile("rmaat", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rmaat")

# In a fresh environment Brian2 compiles some 200 pieces for these tests; with little optimisation that takes half as
# long, and the runs here are short. It also locks its cache while one process compiles, so workers have one each.
load_brian2()
from brian2 import prefs  # noqa: E402

prefs["codegen.cpp.extra_compile_args_gcc"] = ["-w", "-O1", "-g0"]
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    prefs["codegen.runtime.cython.cache_dir"] = str(Path.home() / ".cython" / f"brian_extensions_{worker}")
