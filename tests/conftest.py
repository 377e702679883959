"""For all tests: properties draw the same examples every time, untimed; every worker compiles for itself."""

import os
from pathlib import Path

from hypothesis import settings

from astro_sim.common import brian

settings.register_profile("rmaat", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rmaat")

# In a fresh environment Brian2 compiles some 150 pieces for these tests; without optimisation that takes a third of the
# time, and the runs here are short. It also locks its cache while one process compiles, so workers have one each.
brian.load_brian2()
from brian2 import prefs  # noqa: E402

COMPILER = "codegen.cpp.extra_compile_args_gcc"
prefs[COMPILER] = ["-w", "-O0", "-g0"]
brian.NUMERICAL = tuple(name for name in brian.NUMERICAL if name != COMPILER)  # runs leave this one as it is
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    prefs[brian.CACHE] = f"{prefs[brian.CACHE] or Path.home() / '.cython' / 'brian_extensions'}_{worker}"
