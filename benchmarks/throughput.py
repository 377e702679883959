"""Tokens a second of training on Text with the small preset, and how long the loop waits for data.

Reviews are random bytes of lengths like IMDB's (log-normal, median 970 bytes, cut at 4,096), since speed depends on
nothing else; only real tokens are counted. Every setting trains in turns of a few steps, so that a slow minute of the
machine meets all.
"""

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
from rmaat.family import build_model
from rmaat.tasks import storage
from rmaat.tasks.text import TextSettings
from rmaat.training.loop import Loop
from rmaat.training.processes import Processes
from rmaat.training.settings import build_settings, of_model

MEDIAN, SPREAD = 970, 0.6  # bytes; of the logarithm
REVIEWS, ROUNDS, STEPS = 1_600, 5, 3
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
    path = Path(__file__).resolve().parents[1] / "configs" / "lra-small" / "text.toml"
    asked = {**of_model(load_toml(path), model, str(path)), **changes, "device": "cpu"}
    config, training, _ = build_settings(asked, 257, 2, "classify", 4_096)
    torch.manual_seed(0)
    network = build_model(model, config, training_step.laws()).train()
    return Loop(network, data, training, Path("unused"), "", Processes("cpu"))


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
        storage.prepare("text", root / "data", TextSettings(valid_share=0.0), source=root / "aclImdb")
        data = storage.load(root / "data", "text")
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
    return [
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


BENCHMARK = Benchmark("training on Text, small preset: real tokens a second", check, measure)
