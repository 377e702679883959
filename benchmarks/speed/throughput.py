"""Tokens a second of training on Text with the small preset.

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
from benchmarks.registry import Benchmark, require
from benchmarks.speed.step import laws
from rmaat.models.registry import build_model
from rmaat.settings import RunSettings, of_model
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import DataFolder
from rmaat.tasks.text import TextSettings
from rmaat.tasks.writer import prepare
from rmaat.training.loop import Loop
from rmaat.training.processes import Processes

MEDIAN, SPREAD = 970, 0.6  # bytes; of the logarithm
REVIEWS, ROUNDS, STEPS = 1_600, 5, 3
PRESET = Path(__file__).resolve().parents[2] / "configs" / "lra-small" / "text.toml"
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


def make(data: DataFolder, model: str, changes: dict[str, Any]) -> Loop:
    """A training loop under the small preset."""
    asked = {**of_model(load_toml(PRESET), model, str(PRESET)), **changes, "device": "cpu"}
    settings = RunSettings.build(asked, 257, 2, "classify", 4_096)
    config, training = settings.model, settings.training
    torch.manual_seed(0)
    network = build_model(model, config, laws()).train()
    return Loop(network, data, training, Path("unused"), "", Processes("cpu"))


def turn(loop: Loop) -> float:
    """Real tokens a second of a few steps."""
    with loop.ahead() as batches:
        started, tokens = perf_counter(), 0.0
        for _ in range(STEPS):
            tokens += loop.step(loop.state.step, next(batches))["tokens"]
            loop.state.step += 1
        return tokens / (perf_counter() - started)


def in_two_processes(data: Path, folder: Path) -> list[float]:
    """Tokens a second of the preset under torchrun, by logged stretches of three steps."""
    folder.mkdir()
    laws().save(folder / "laws.json")
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rmaat", "train", "text"]
    words += ["--laws", str(folder / "laws.json"), "--data", str(data), "--out", str(folder / "run")]
    words += ["--config", str(PRESET), "--set", "memory_rule=scale", "--set", "presynaptic_exponent=paper"]
    for setting in ("device=cpu", "steps=24", "log_every=3", "warmup=2", "select=last", "validate_examples=2"):
        words += ["--set", setting]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"torchrun: {done.stderr[-2000:]}")
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return [row["tokens"] / row["seconds"] for row in rows if row["split"] == "train"][1:]  # the first warms up


def check() -> None:
    """Random reviews are as long as IMDB's: the median within 5 %, and some are cut."""
    lengths = np.exp(np.random.default_rng(0).normal(np.log(MEDIAN), SPREAD, REVIEWS))
    right = abs(np.median(lengths) / MEDIAN - 1) < 0.05 and (lengths > 4_096).any()
    require(bool(right), "the reviews are not of the lengths that they should have")


def measure() -> list[dict[str, Any]]:
    """A row a setting: the median over turns."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        reviews(root / "aclImdb")
        prepare("text", root / "data", TextSettings(valid_share=0.01), source=root / "aclImdb")
        data = data_folder.load(root / "data", "text")
        two = in_two_processes(root / "data", root / "before")
        loops = [make(data, model, changes) for _, model, changes in SETTINGS]
        rounds = [[turn(loop) for loop in loops] for _ in range(ROUNDS + 1)][1:]  # the first warms up
        two += in_two_processes(root / "data", root / "after")
    speeds = list(zip(*rounds, strict=True))
    rows = [
        {
            "model": model,
            "setting": setting,
            "tokens/s": round(median(speed)),
            "against the preset": round(median(a / b for a, b in zip(speed, speeds[0], strict=True)), 2),
        }
        for (setting, model, _), speed in zip(SETTINGS, speeds, strict=True)
    ]
    against = round(median(two) / median(speeds[0]), 2)
    both = {"model": "rmaat", "setting": "the preset in two processes of one thread", "tokens/s": round(median(two))}
    return [rows[0], {**both, "against the preset": against}, *rows[1:]]


BENCHMARK = Benchmark("training on Text, small preset: real tokens a second", check, measure)
