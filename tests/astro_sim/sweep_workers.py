"""What test_sweep.py puts in the place of the work in other processes: points that kill their worker.

In a module of its own: a worker process imports it by name.
"""

import os
from pathlib import Path

from astro_sim.sweeps import pool

usual = pool.attempt
KILLS = 31.0  # tau_p_l of the point that always kills its worker
KILLS_ONCE = 32.0  # and of the one that does so the first time


def attempt(job):
    """Leave a trace of every point, then work as usual, unless a point kills."""
    folder = Path(os.environ["SWEEP_TRACES"])
    for _, parameters in job.points:
        tau = parameters["tau_p_l"]
        trace = folder / f"{tau:g}"
        with trace.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        if tau == KILLS or (tau == KILLS_ONCE and len(trace.read_text().split()) == 1):
            os._exit(1)
    return usual(job)


def serve(pipe):
    """Serve as a worker of the pool does, with the `attempt` above."""
    pool.attempt = attempt
    pool._serve(pipe)


def serve_not(pipe):
    """End before the work starts."""
    os._exit(1)
