"""What is loaded when: --help loads nothing heavy, simulating no torch, fitting no simulator. In two processes."""

import json
import subprocess
import sys

import numpy as np

from tests.analysis.handmade_runs import write

HEAVY = {"torch", "numba", "xarray", "scipy", "lmfit", "matplotlib", "plotly", "brian2"}
CLUSTERS = {"dask", "distributed", "huggingface_hub", "transformers"}


def loaded_after(steps, cwd):
    """Top-level modules that a fresh interpreter holds after each of the steps of code, and what it complains of."""
    told = "import json, sys; print('LOADED', json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    code = "\n".join(["from rmaat.__main__ import main", *(f"{step}\n{told}" for step in steps)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    return [set(json.loads(line.removeprefix("LOADED "))) for line in lines], done


def test_from_help_to_a_simulation(tmp_path):
    models = (
        "from astro_sim import experiments\n"
        "for name in experiments.NAMES:\n    experiment = experiments.find(name)\n"
        "    [experiment.get(model) for model in experiment.experiment.models]"
    )
    simulate = "astro_sim.simulate('ltp', cycles=1)"
    verb = "assert main(['simulate', 'ltp', '--out', 'x.nc', '--set', 'cycles=1', '--set', 'gamma_s=0.4']) == 0"
    threads = (
        "import signal, threading\nfrom astro_sim.common.brian import load_brian2\n"
        "before = signal.getsignal(signal.SIGINT)\nthread = threading.Thread(target=load_brian2)\n"
        "thread.start()\nthread.join()\nassert signal.getsignal(signal.SIGINT) is before"
    )
    steps = ["main(['--help'])", "import astro_sim, bridge, rmaat, analysis", models, simulate, verb, threads]
    (usage, rooms, found, simulated, written, brian), done = loaded_after(steps, tmp_path)
    assert not usage & {*HEAVY, *CLUSTERS, "numpy"}
    assert {"astro_sim", "bridge", "rmaat", "analysis"} <= rooms
    assert not rooms & (HEAVY | CLUSTERS)
    assert "brian2" not in found  # models are told about, and their settings made, without it
    assert {"numba", "xarray"} <= simulated
    assert not simulated & {"torch", "lmfit", "matplotlib", "plotly", "distributed", "brian2"}
    assert not written & {"torch", "lmfit", "matplotlib", "plotly", "brian2"}
    assert "brian2" in brian  # from a thread, with Python's own handler of interrupts left in place
    assert done.stderr.startswith("rmaat: warning: the resting state is unstable")
    assert done.stderr.count("\n") == 1


def test_from_a_comparison_to_a_fit(tmp_path):
    right = np.random.default_rng(0).random(200) < 0.6
    runs = [str(write(tmp_path / name, name, 0, right)) for name in ("rmaat", "rmt")]
    steps = [f"assert main(['compare', *{runs!r}]) == 0", "import bridge.fit, bridge.laws"]
    (compared, fitted), done = loaded_after(steps, tmp_path)
    assert not compared & {"torch", "plotly", "matplotlib", "xarray", "numba", "brian2"}
    assert "lmfit" in fitted
    assert not fitted & {"torch", "numba", "brian2", "plotly"}
    assert done.stderr == ""
