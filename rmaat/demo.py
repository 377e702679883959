"""The demo: every verb once, on small settings, from nothing to a report.

It is handed the verbs by the front door, so it imports no room but its own.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from astro_sim.common.files import require_free, write_json
from rmaat.records import read_run

# 24 cycles reach 98 % of saturation; 3 cycles of burn-in bring s to its periodic state.
LTP = ["cycles=24", "burn_in=3"]
# The grid of the report's sliders. The law of the bounded process depends on activity too, that of the linear one not.
SWEEP = ["tau_p_l=30,45,60,90,120", "tau_cycle=5,10,15,20", "coupling=0.1,0.5,0.9"]
SWEPT = [*LTP, "ltp_dynamics=bounded", "interval=1"]
DATA = ["train=8000", "valid=500", "test=1000"]
# Sized for about a minute and a half of training on two cores. ListOps is decided at the front of a tree, so the
# curriculum shows short beginnings first; without it the same budget ends at chance (docs/log.md).
TRAINING = [
    *("steps=350", "learning_rate=4e-3", "curriculum=[1, 1, 2, 4, 8]", "curriculum_steps=50"),
    *("validate_every=100", "validate_examples=500", "checkpoint_every=100"),
]


def run(out: Path, seed: int, verbs: Mapping[str, Callable[..., None]]) -> None:
    """Simulate, fit, make data, train, evaluate and report into the folder ``out``."""
    require_free(out)
    started = time.perf_counter()
    seconds: dict[str, float] = {}

    def step(name: str, verb: str, *arguments: object, **options: object) -> None:
        print(f"\n# {name}: {verb} {arguments[0] if isinstance(arguments[0], str) else ''}".rstrip(), flush=True)
        begun = time.perf_counter()
        verbs[verb](*arguments, **options)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    datasets = {name: out / "datasets" / f"{name}.nc" for name in ("stp", "ltp", "spatial", "frequency")}
    laws, data, folder, html = out / "laws.json", out / "listops", out / "run", out / "report.html"
    for name, path in datasets.items():
        step("simulate", "simulate", name, out=path, seed=seed, set_=LTP if name == "ltp" else None)
    sweep = out / "datasets" / "ltp_sweep.nc"
    step("simulate", "simulate", "ltp", out=sweep, seed=seed, set_=SWEPT, sweep=SWEEP)
    step("distil", "fit", [datasets["ltp"], datasets["spatial"], datasets["frequency"]], out=laws)
    step("data", "data", "listops", out=data, seed=seed, set_=DATA)
    step("train", "train", "listops", laws=laws, data=data, out=folder, set_=[*TRAINING, f"seed={seed}"])
    step("evaluate", "evaluate", folder)
    step("inspect", "inspect", folder)
    step("report", "report", [*datasets.values(), sweep, laws, folder], out=html)
    step("report", "overview", [*datasets.values()], laws, folder, out / "overview.png")

    seconds["in all"] = time.perf_counter() - started

    record = read_run(folder)
    result = record.evaluation
    assert result is not None  # it was just measured
    summary = {
        "evaluation": result.model_dump(mode="json", exclude_none=True),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    write_json(
        out / "demo.json",
        {**summary, **{name: getattr(record.run, name) for name in ("machine", "versions", "laws_digest")}},
    )
    print("\nstep      seconds")
    for name, value in seconds.items():
        print(f"{name:<9} {value:>7.1f}")
    print(
        f"\nListOps test accuracy {result.accuracy:.3f} on {result.examples} examples"
        f"\n(most frequent answer: {result.majority:.3f}; a table that knows the first symbol: "
        f"{result.first_symbol:.3f})\n{html}"
    )
