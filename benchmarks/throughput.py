"""Tokens a second of training on Text with the small preset, and how long the loop waits for data.

Reviews are random bytes of lengths like IMDB's (log-normal, median 970 bytes, cut at 4,096), since speed depends on
nothing else; only real tokens are counted. Every setting trains in turns of a few steps, so that a slow minute of the
machine meets all; the preset in two processes of one thread each (torchrun, DDP) trains once before and once after.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from astro_sim.common.settings import load_toml
from benchmarks import training_step
from benchmarks.registry import Benchmark
from rmaat.models.registry import build_model
from rmaat.settings import RunSettings, of_model
from rmaat.tasks import storage
from rmaat.tasks.text import TextSettings
from rmaat.training.loop import Loop
from rmaat.training.processes import Processes

MEDIAN, SPREAD = 970, 0.6  # bytes; of the logarithm
REVIEWS, ROUNDS, STEPS = 1_600, 5, 3
PRESET = Path(__file__).resolve().parents[1] / "configs" / "lra-small" / "text.toml"
SETTINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("all segments kept (the preset)", "rmaat", {}),
    ("AMRB, the last segment kept", "rmaat", {"kept_segments": 1}),
    ("BPTT", "rmaat", {"backward": "bptt"}),
    ("BPTT", "rlt", {"backward": "bptt"}),
    ("BPTT", "rmt", {"backward": "bptt"}),
    ("at once", "at", {}),
    ("at once", "transformer", {}),
)


def reviews(folder: Path) -> None:
    """Random reviews in the layout of the aclImdb release."""
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            (folder / split / label).mkdir(parents=True)
            count = REVIEWS // 2 if split == "train" else 1
            lengths = np.exp(generator.normal(np.log(MEDIAN), SPREAD, count)).astype(int).clip(50, 4_096)
            for number, length in enumerate(lengths):
                (folder / split / label / f"{number}_1.txt").write_bytes(generator.bytes(int(length)))


def make(data: storage.Data, model: str, changes: dict[str, Any]) -> Loop:
    """A training loop under the small preset."""
    asked = {**of_model(load_toml(PRESET), model, str(PRESET)), **changes, "device": "cpu"}
    settings = RunSettings.build(asked, 257, 2, "classify", 4_096)
    config, training = settings.model, settings.training
    torch.manual_seed(0)
    network = build_model(model, config, training_step.laws()).train()
    return Loop(network, data, training, Path("unused"), "", Processes("cpu"))


def in_two_processes(data: Path, folder: Path) -> list[tuple[float, float]]:
    """Tokens a second and share of waiting of the preset under torchrun, by logged stretches of three steps."""
    training_step.laws().save(folder / "laws.json")
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rmaat", "train", "text"]
    words += ["--laws", str(folder / "laws.json"), "--data", str(data), "--out", str(folder / "run")]
    words += ["--config", str(PRESET), "--set", "memory_rule=scale", "--set", "presynaptic_exponent=paper"]
    for setting in ("device=cpu", "steps=24", "log_every=3", "warmup=2", "select=last", "validate_examples=2"):
        words += ["--set", setting]
    done = subprocess.run(
        words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"torchrun: {done.stderr[-2000:]}")
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return [
        (row["tokens"] / row["seconds"], row["waited"] / row["seconds"]) for row in rows if row["split"] == "train"
    ][1:]  # the first warms up


def check() -> None:
    """Random reviews are as long as IMDB's: the median within 5 %, and some are cut."""
    lengths = np.exp(np.random.default_rng(0).normal(np.log(MEDIAN), SPREAD, REVIEWS))
    if not (abs(np.median(lengths) / MEDIAN - 1) < 0.05 and (lengths > 4_096).any()):
        raise RuntimeError("the reviews are not of the lengths that they should have")


def measure() -> list[dict[str, Any]]:
    """A row a setting: the median over rounds."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        reviews(root / "aclImdb")
        storage.prepare("text", root / "data", TextSettings(valid_share=0.01), source=root / "aclImdb")
        data = storage.load(root / "data", "text")
        (root / "before").mkdir()
        (root / "after").mkdir()
        two = in_two_processes(root / "data", root / "before")
        loops = [make(data, model, changes) for _, model, changes in SETTINGS]
        speeds: list[list[float]] = [[] for _ in loops]
        waits: list[list[float]] = [[] for _ in loops]
        shares = [0.0 for _ in loops]
        for turn in range(ROUNDS + 1):  # the first warms up
            for place, loop in enumerate(loops):
                with loop.ahead() as batches:
                    tokens = idle = segments = waited = 0.0
                    started = perf_counter()
                    for _ in range(STEPS):
                        before = perf_counter()
                        parts = next(batches)
                        waited += perf_counter() - before
                        found = loop.step(loop.state.step, parts)
                        loop.state.step += 1
                        tokens, idle = tokens + found["tokens"], idle + found["idle_segments"]
                        segments += found["segments"]
                    seconds = perf_counter() - started
                if turn:
                    speeds[place].append(tokens / seconds)
                    waits[place].append(waited / seconds)
                    shares[place] = idle / segments
        two += in_two_processes(root / "data", root / "after")
    rows = [
        {
            "model": model,
            "setting": what,
            "tokens/s": round(median(speed)),
            "against the preset": round(median(a / b for a, b in zip(speed, speeds[0], strict=True)), 2),
            "waiting for data": round(median(wait), 4),
            "segments only padding": round(share, 3),
        }
        for (what, model, _), speed, wait, share in zip(SETTINGS, speeds, waits, shares, strict=True)
    ]
    speed, wait = (round(median(each), digits) for each, digits in zip(zip(*two, strict=True), (None, 4), strict=True))
    against = round(speed / rows[0]["tokens/s"], 2)
    two_row = {"model": "rmaat", "setting": "the preset in two processes of one thread", "tokens/s": speed}
    two_row |= {"against the preset": against, "waiting for data": wait}
    return [rows[0], {**two_row, "segments only padding": rows[0]["segments only padding"]}, *rows[1:]]


BENCHMARK = Benchmark("training on Text, small preset: real tokens a second", check, measure)
