"""Which memory rule carries a value over k segments: from scratch, by a curriculum, and beyond the trained length.

The model reads its memory alone, after the last segment. A run from scratch trains at T = k + 1; a curriculum doubles T
until 16, going on when a stage is solved or its steps are used up. There the value stands in the first segment, which a
concave law weighs most; so a third kind of run trains with the value anywhere, a place a batch, and is examined for
every place. Training is by BPTT, whose gradients are AMRB's.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.registry import Benchmark, Kept, require
from benchmarks.speed.step import laws
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.registry import build_model
from rmaat.tasks import recall

RULES, SEEDS = ("scale", "consolidate", "none"), (0, 1, 2)
LAGS = (1, 3, 7, 15)  # from scratch
STAGES = (2, 4, 8, 16)  # segments of the curriculum
SEGMENT, BATCH, RATE, WARMUP = 32, 32, 2e-3, 50
SCRATCH_STEPS, STAGE_STEPS, WINDOW, SOLVED = 1_500, 800, 50, 0.99
EXAMINED = 1_000  # sequences an accuracy is measured on
PLACES = 16  # of the value, evenly spread, that accuracies beyond the trained length are a mean over
CONFIG = RMAATConfig(
    vocabulary=recall.SYMBOLS + 1, classes=recall.VALUES, width=32, depth=2, heads=4, feedforward=64,
    segment_length=SEGMENT, memory_tokens=8, readout="memory", backward="bptt",
)  # fmt: skip


class Learner:
    """A model, its optimiser and its stream of sequences."""

    def __init__(self, rule: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.model: Model = build_model("rmaat", CONFIG.replace(memory_rule=rule), laws())
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.01)
        self.generator = np.random.default_rng(seed)
        self.steps = 0

    def train(self, segments: int, most: int, shown: int | None = None, anywhere: bool = False) -> int:
        """Train at T = ``segments`` until solved; steps taken. ``shown`` segments at the end are all that is seen."""
        right: list[float] = []
        while len(right) < most:
            self.steps += 1
            for group in self.optimizer.param_groups:
                group["lr"] = RATE * min(1.0, self.steps / WARMUP)
            lag = int(self.generator.integers(segments)) if anywhere else segments - 1
            tokens, labels = _batch(self.generator, BATCH, segments, lag, shown)
            logits = self.model(tokens)
            self.optimizer.zero_grad()
            cross_entropy(logits, labels).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            right.append(float((logits.argmax(-1) == labels).float().mean()))
            if len(right) >= WINDOW and np.mean(right[-WINDOW:]) > SOLVED:
                break
        return len(right)

    @torch.no_grad()
    def accuracy(
        self, segments: int, lag: int | None = None, shown: int | None = None, examined: int = EXAMINED
    ) -> float:
        """Share of fresh sequences of T = ``segments`` whose value it knows."""
        lag = segments - 1 if lag is None else lag
        tokens, labels = _batch(np.random.default_rng(10_000), examined, segments, lag, shown)
        parts = zip(tokens.split(100), labels.split(100), strict=True)
        return round(sum(float((self.model(t).argmax(-1) == y).sum()) for t, y in parts) / examined, 3)

    def spread(self, segments: int) -> list[float]:
        """The accuracy for ``PLACES`` lags from 0 to T - 1, on a share of the sequences each."""
        lags = np.linspace(0, segments - 1, PLACES).round().astype(int)
        return [self.accuracy(segments, int(lag), examined=EXAMINED // PLACES) for lag in lags]


def _batch(
    generator: np.random.Generator, count: int, segments: int, lag: int, shown: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    symbols, labels = recall.sequences(generator, count, SEGMENT, segments, lag)
    symbols = symbols if shown is None else symbols[:, -shown * SEGMENT :]
    return torch.from_numpy(symbols.astype(np.int64) + 1), torch.from_numpy(labels)


BEYOND = {"at 2 T": None, "at 4 T": None, "places at 2 T": None, "places at 4 T": None}


def _row(how: str, rule: str, seed: int, segments: int, steps: int, accuracy: float, **more: Any) -> dict[str, Any]:
    named = {"training": how, "rule": rule, "seed": seed, "T": segments, "steps": steps, "accuracy": accuracy}
    return {**named, **BEYOND, "every k": None, "every place": None, **more}


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 3)


def _longer(learner: Learner, segments: int) -> dict[str, float]:
    return {"at 2 T": learner.accuracy(2 * segments), "at 4 T": learner.accuracy(4 * segments)}


def scratch(rule: str, seed: int, lag: int) -> list[dict[str, Any]]:
    """One run that knows nothing at the start."""
    learner = Learner(rule, seed)
    steps = learner.train(lag + 1, SCRATCH_STEPS)
    total = lag + 1
    return [_row("from scratch", rule, seed, total, steps, learner.accuracy(total), **_longer(learner, total))]


def curriculum(rule: str, seed: int) -> list[dict[str, Any]]:
    """One run through all stages; a row each, and at the end the accuracy at T = k + 1 for k up to the longest."""
    learner, rows = Learner(rule, seed), []
    for segments in STAGES:
        steps = learner.train(segments, STAGE_STEPS)
        accuracy = learner.accuracy(segments)
        rows.append(_row("curriculum", rule, seed, segments, steps, accuracy, **_longer(learner, segments)))
    rows[-1]["every k"] = [learner.accuracy(k + 1) for k in range(1, STAGES[-1])]
    return rows


def anywhere(rule: str, seed: int) -> list[dict[str, Any]]:
    """The curriculum with the value in any segment; a row a stage, each with the accuracy for k = 0 .. T - 1."""
    learner, rows = Learner(rule, seed), []
    for segments in STAGES:
        steps = learner.train(segments, STAGE_STEPS, anywhere=True)
        places = [learner.accuracy(segments, lag) for lag in range(segments)]
        twice, fourfold = learner.spread(2 * segments), learner.spread(4 * segments)
        more = {"at 2 T": _mean(twice), "at 4 T": _mean(fourfold), "places at 2 T": twice, "places at 4 T": fourfold}
        rows.append(_row("anywhere", rule, seed, segments, steps, _mean(places), **more, **{"every place": places}))
    return rows


def without_memory(seed: int) -> list[dict[str, Any]]:
    """A model that is shown the last segment alone, which is all that one without memory can know."""
    learner = Learner("none", seed)
    steps = learner.train(2, SCRATCH_STEPS, shown=1)
    return [_row("no memory", "none", seed, 2, steps, learner.accuracy(2, shown=1))]


def check() -> None:
    """The label is the symbol after the mark, ``lag`` segments before the end."""
    symbols, labels = recall.sequences(np.random.default_rng(0), 50, SEGMENT, 5, 3)
    places = (symbols == recall.MARK).argmax(1)
    right = (places // SEGMENT == 1).all() and (symbols[np.arange(50), places + 1] == labels).all()
    require(bool(right), "the recall task is not what it says")


def measure(kept: Kept) -> list[dict[str, Any]]:
    """A row a run and stage."""
    torch.set_num_threads(1)
    rows = []
    for seed in SEEDS:
        rows += kept(f"no memory {seed}", partial(without_memory, seed))
        for rule in RULES:
            rows += kept(f"curriculum {rule} {seed}", partial(curriculum, rule, seed))
        for lag in LAGS:
            for rule in RULES:
                rows += kept(f"scratch {rule} {seed} {lag}", partial(scratch, rule, seed, lag))
    for seed in SEEDS:
        for rule in RULES:
            rows += kept(f"anywhere {rule} {seed}", partial(anywhere, rule, seed))
    return rows


BENCHMARK = Benchmark(
    f"recall over k = T - 1 segments of {SEGMENT}, chance {1 / recall.VALUES}: accuracy on {EXAMINED} sequences",
    check,
    measure,
    resumable=True,
)
