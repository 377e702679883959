"""Runs that end in the middle: kill -9, a full disk, and two that go on at once.

    python -m tests.fuzz.kill --kills 100 --inside 30 --seed 0

A training run is killed at random moments, ``--inside`` of them while it writes a checkpoint, and goes on in another
process, `EACH` times before it is let end; its weights, metrics and moments must then be those of a run in one go, to
the bit. Every verb that writes meets a disk that is full after so many bytes (a small tmpfs; needs root), and must
leave what was there as it was. Two processes that go on with one run at once: one is refused, and the run is whole.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import torch

import astro_sim
import bridge
from astro_sim.common.errors import InputError
from bridge.laws import Laws
from rmaat.__main__ import main as rmaat
from rmaat.records import checkpoints
from rmaat.tasks import writer
from rmaat.training.run import train
from tests.rmaat.run_folders import same_weights, without_clock

EACH = 10  # kills of a run before it is let end
SETTINGS = {
    "width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 8, "memory_tokens": 2, "steps": 60,
    "batch": 4, "dropout": 0.1, "checkpoint_every": 3, "log_every": 2, "validate_every": 6, "device": "cpu",
}  # fmt: skip


class BrokenError(Exception):
    """A promise that did not hold."""


def prepare(at: Path) -> None:
    """Data, laws, and a run in one go."""
    ltp = astro_sim.simulate("ltp", cycles=8, interval=1.0)
    astro_sim.write(ltp, at / "ltp.nc")
    bridge.fit_laws(ltp, draws=0).save(at / "laws.json")
    writer.prepare("listops", at / "data", {"train": 32, "valid": 8, "test": 8, "min_length": 4, "max_length": 40})
    _train(at, at / "whole")


def _train(at: Path, run: Path) -> None:
    known = (run / "run.json").is_file()
    laws = None if known else Laws.load(at / "laws.json")
    train("listops", at / "data", laws, run, settings=None if known else SETTINGS, resume=run.exists())


def _forked(at: Path, run: Path) -> int:
    """Train in a child of this process, which has all modules loaded already; its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _train(at, run)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def kill_at_random(at: Path, kills: int, inside: int, seed: int) -> None:
    """Kill and go on, and hold the end against the run in one go."""
    random, left, began = Random(seed), kills, time.monotonic()
    hit = 0
    while left > 0:
        run = at / "killed"
        shutil.rmtree(run, ignore_errors=True)
        for _ in range(min(EACH, left)):
            child = _forked(at, run)
            hit += _kill(child, run, random, within=hit < inside)
            left -= 1
        child = _forked(at, run)
        if os.waitpid(child, 0)[1] != 0:
            raise BrokenError("a run that was killed did not go on")
        _require_same(at / "whole", run)
    if hit < inside:
        raise BrokenError(f"{hit} kills inside a checkpoint, expected {inside}")
    print(f"{kills} kills, {hit} of them inside a checkpoint: bitwise the same ({time.monotonic() - began:.0f} s)")


def _kill(child: int, run: Path, random: Random, within: bool) -> bool:
    """Kill at a random moment, or while a checkpoint is written; whether it was one of those."""
    writing = run / "checkpoints"
    begun, wait = time.monotonic(), random.uniform(0, 1.0)
    skip = random.randrange(4)  # checkpoints to let pass
    while True:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False  # it ended before
        if within and writing.is_dir() and _temporary(writing):
            if skip == 0:
                time.sleep(random.uniform(0, 0.004))
                found = _temporary(writing)
                break
            skip -= 1
            while _temporary(writing) and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.0005)
        elif not within and time.monotonic() - begun > wait:
            found = writing.is_dir() and _temporary(writing)
            break
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return bool(found)


def _temporary(folder: Path) -> bool:
    return any(name.startswith((".step-", ".best-")) for name in os.listdir(folder))


def _require_same(one: Path, other: Path) -> None:
    if not same_weights(one, other):
        raise BrokenError("other weights than those of a run in one go")
    if without_clock(one) != without_clock(other):
        raise BrokenError("other metrics than those of a run in one go")
    last = [checkpoints(run)[-1] for run in (one, other)]
    if (last[0] / "optimizer.safetensors").read_bytes() != (last[1] / "optimizer.safetensors").read_bytes():
        raise BrokenError("other moments than those of a run in one go")
    if left := [path.name for path in other.rglob(".*") if path.name != ".lock"]:
        raise BrokenError(f"half-written files are left: {left}")


def two_at_once(at: Path) -> None:
    """Two processes go on with one run: one is refused in a line, the other ends as if it had been alone."""
    run = at / "shared"
    shutil.rmtree(run, ignore_errors=True)
    child = _forked(at, run)
    while not (run / "checkpoints").is_dir() or not checkpoints(run):
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    first = _forked(at, run)
    time.sleep(0.05)
    try:
        _train(at, run)
        second = "ended"
    except InputError as error:
        second = str(error)
    status = os.waitpid(first, 0)[1]
    if (status == 0) == (second == "ended"):
        raise BrokenError(f"of two at once, the first ended with {status} and the second: {second}")
    _require_same(at / "whole", run)
    print(f"two at once: one refused ({second if status == 0 else 'the first'}), the run is whole")


@contextmanager
def small_disk(kilobytes: int) -> Iterator[Path]:
    """A file system of so many kilobytes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def full_disks(at: Path, sizes: tuple[int, ...] = (4, 40, 400)) -> None:
    """Every verb that writes, on a disk that fills up: exit status 2 in one line, or whole; what was there stays."""
    trees = [
        word for n in ("train=400", "valid=8", "test=8", "min_length=10", "max_length=60") for word in ("--set", n)
    ]
    training = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    laws, data, run = str(at / "laws.json"), str(at / "data"), str(at / "whole")
    verbs: dict[str, list[str]] = {
        "simulate": ["simulate", "ltp", "--set", "cycles=2", "--out", "x.nc"],
        "sweep": ["simulate", "ltp", "--set", "cycles=1", "--sweep", "tau_p_l=30:90:3", "--out", "s.nc"],
        "fit": ["fit", str(at / "ltp.nc"), "--draws", "2000", "--family", "exponential", "--out", "l.json"],
        "data": ["data", "listops", *trees, "--out", "data"],
        "train": ["train", "listops", "--laws", laws, "--data", data, *training, "--out", "run"],
        "report": ["report", laws, "--out", "r.html"],
        "figure": ["figure", "retention", laws, "--out", "f.pdf"],
        "compare": ["compare", run, "--out", "c.json"],
    }
    full = 0
    for name, words in verbs.items():
        for size in sizes:
            with small_disk(size) as disk:
                kept = disk / "kept.txt"
                kept.write_text("kept")
                status, told = _verb([str(disk / w) if w == words[-1] else w for w in words])
                visible = sorted(path.name for path in disk.iterdir())
                hidden = [path for path in visible if path.startswith(".") and path != ".lock"]
                lines = [line for line in told.splitlines() if not line.startswith("rmaat: warning")]
                if status not in (0, 2) or len(lines) > (1 if status else 0) or hidden or kept.read_text() != "kept":
                    raise BrokenError(f"{name} on {size} kB: status {status}, {visible}, told {told!r}")
                full += status == 2
                out = disk / words[-1]
                if status == 2 and out.is_file():
                    raise BrokenError(f"{name} on {size} kB: refused, and {out.name} is there")
    if not full:
        raise BrokenError("no disk was full")
    print(f"full disks: {len(verbs) * len(sizes)} tried, {full} were full and told so in a line")


def _verb(words: list[str]) -> tuple[int, str]:
    """A verb in this process, with what it prints on stderr."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.close(read)
        status = 99
        try:
            status = rmaat(words)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def main(arguments: Any = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--inside", type=int, default=30, help="of them, while a checkpoint is written")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)  # a fork copies no threads
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        prepare(at)
        kill_at_random(at, asked.kills, asked.inside, asked.seed)
        two_at_once(at)
        if os.geteuid() == 0:
            full_disks(at)
        else:
            print("full disks: not tried, since mounting one needs root")
    return 0


if __name__ == "__main__":
    sys.exit(main())
