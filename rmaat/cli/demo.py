"""`rmaat demo`: every verb once, on small settings, from nothing to a report."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.files import require_free, write_json
from rmaat.cli.laws import fit
from rmaat.cli.simulate import simulate
from rmaat.cli.terminal import Seed
from rmaat.cli.train import data, evaluate, inspect, train
from rmaat.cli.view import report

# 24 cycles reach 98 % of saturation; 3 cycles of burn-in bring s to its periodic state.
LTP = ["cycles=24", "burn_in=3"]
# The grid of the report's sliders. The law of the bounded process depends on activity too, that of the linear one not.
SWEEP = ["tau_p_l=30,45,60,90,120", "tau_cycle=5,10,15,20", "coupling=0.1,0.5,0.9"]
SWEPT = [*LTP, "ltp_dynamics=bounded", "interval=1"]
# Short trees: on full ones so few steps end at chance with some seeds (docs/log).
DATA = ["train=4000", "valid=200", "test=1000", "min_length=200", "max_length=600"]
# Sized for less than a minute of training on two cores. ListOps is decided at the front of a tree, so the curriculum
# shows short beginnings first.
TRAINING = [
    *("steps=320", "learning_rate=4e-3", "curriculum=[1, 1, 2]", "curriculum_steps=50"),
    *("validate_every=160", "validate_examples=200", "checkpoint_every=160"),
]


# Share of the time that each step took where it was measured (docs/log), for the estimate of what is left.
SHARES = {
    "simulate": 0.03, "sweep": 0.02, "distil": 0.03, "report": 0.13, "data": 0.06, "train": 0.67, "evaluate": 0.03,
    "inspect": 0.03,
}  # fmt: skip


def demo(
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """All of it, small, in one to two minutes on two cores. The report is there after the law, and again at the end.

    Example: rmaat demo --out demo
    """
    require_free(out)
    clock = _Clock()
    datasets = {name: out / "datasets" / f"{name}.nc" for name in ("stp", "ltp", "spatial", "frequency")}
    laws, listops, run, html = out / "laws.json", out / "listops", out / "run", out / "report.html"
    for name, path in datasets.items():
        clock.step("simulate", f"simulate {name}", len(datasets))
        simulate(name, out=path, seed=seed, set_=LTP if name == "ltp" else None)
    clock.step("sweep", "simulate ltp --sweep")
    simulate("ltp", out=(sweep := out / "datasets" / "ltp_sweep.nc"), seed=seed, set_=SWEPT, sweep=SWEEP)
    clock.step("distil", "fit")
    fit([datasets[name] for name in ("ltp", "spatial", "frequency", "stp")], out=laws)
    clock.step("report", "report", 2)
    report(seen := [*datasets.values(), sweep, laws], out=html)
    clock.step("data", "data listops")
    data("listops", out=listops, seed=seed, set_=DATA)
    clock.step("train", "train listops")
    train("listops", laws=laws, data=listops, out=run, set_=[*TRAINING, f"seed={seed}"])
    clock.step("evaluate", "evaluate")
    evaluate(run)
    clock.step("inspect", "inspect")
    inspect(run)
    clock.step("report", "report", 2)
    report([*seen, run], out=html)
    _overview([*datasets.values()], laws, run, out / "overview.png")
    clock.stop()

    from rmaat.records import read_run

    record = read_run(run)
    result = record.evaluation
    assert result is not None  # it was just measured
    summary: dict[str, Any] = {"evaluation": result.model_dump(mode="json", exclude_none=True)}
    summary |= {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds()}
    write_json(
        out / "demo.json",
        summary | {name: getattr(record.run, name) for name in ("machine", "versions", "laws_digest")},
    )
    print("\nstep      seconds")
    for name, value in clock.seconds.items():
        print(f"{name:<9} {value:>7.1f}")
    print(
        f"\nListOps test accuracy {result.accuracy:.3f} on {result.examples} examples"
        f"\n(most frequent answer: {result.majority:.3f}; a table that knows the first symbol: "
        f"{result.first_symbol:.3f})\n{html}"
    )


class _Clock:
    """Tells each step with an estimate of the time left, and keeps the seconds of each."""

    def __init__(self) -> None:
        self._started = self._begun = time.perf_counter()
        self._name, self._done, self._share = "", 0.0, 0.0
        self.seconds: dict[str, float] = {}

    def step(self, name: str, words: str, of: int = 1) -> None:
        """A step begins, one of so many of its name; the one before it is done."""
        now = self._end()
        self._name, self._begun, self._share = name, now, SHARES[name] / of
        elapsed = now - self._started
        left = (
            f"about {elapsed / self._done * (1.0 - self._done):.0f} s left" if self._done > 0.05 else "a minute or two"
        )
        print(f"\n# {words} ({elapsed:.0f} s so far, {left})", flush=True)

    def stop(self) -> None:
        """The last step is done."""
        self.seconds["in all"] = round(self._end() - self._started, 1)

    def _end(self) -> float:
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = round(self.seconds.get(self._name, 0.0) + now - self._begun, 1)
            self._done += self._share
        return now

    @staticmethod
    def cpu_seconds() -> float:
        """Of this process and those that it started."""
        return round(sum(os.times()[:4]), 1)


def _overview(datasets: list[Path], laws: Path, run: Path, out: Path) -> None:
    from analysis.figures import overview, save
    from astro_sim.dataset import read
    from bridge.laws import Laws
    from rmaat.records import read_run

    save(overview([read(path) for path in datasets], Laws.load(laws), read_run(run)), out)
    print(f"{out}: the whole line in one figure")
