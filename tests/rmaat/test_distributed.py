"""Gradients of a batch that is cut up, over processes or over time, are those of the whole batch; AMRB included.

Two processes meet over gloo and a file, once for all cases, and each case leaves a JSON file: a start costs seconds, a
case does not. Every rank has half of the examples. With FSDP2 both must have as many segments: each segment gathers the
parameters of its blocks. What ranks differ in here is padding, with DDP also the number of segments.
"""

import contextlib
import json
import traceback
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.registry import build_model

RANKS = 2
PATIENCE = 600.0  # s, for all cases together; they take 10 s on an idle machine
BOUND = {"float32": 1e-6, "float64": 1e-10}  # sums over examples in another order: some roundings of each precision
SMALL = RMAATConfig(
    vocabulary=16, classes=5, width=8, depth=2, heads=2, feedforward=12, segment_length=6, memory_tokens=3
)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rmaat scale": ("rmaat", {"memory_rule": "scale"}),
    "rmaat consolidate": ("rmaat", {"memory_rule": "consolidate"}),
    "rmt": ("rmt", {}),
    "language": ("rmaat", {"head": "language", "classes": None}),
}


@dataclass(frozen=True)
class Case:
    """One comparison."""

    over: str  # "ddp" or "fsdp2"
    model: str  # of MODELS
    keep: int  # segments that AMRB does not replay
    dtype: str  # "float32" or "float64"
    trainable: bool = False  # laws that training may move, which every segment's factor depends on
    lengths: tuple[int, ...] = (22, 9, 20, 22)  # of the examples; the first half is rank 0's
    halves: bool = False  # every rank runs its examples one after the other; gradients meet after the last
    unused: bool = False  # whether DDP looks for parameters without a gradient

    def __str__(self) -> str:
        words = [self.over, self.model, f"keep {self.keep}", self.dtype]
        words += ["trainable"] * self.trainable + ["halves"] * self.halves + ["unused"] * self.unused
        return ", ".join(words) + ("" if self.lengths == Case.lengths else f", {self.lengths}")


PLAIN = [
    Case(over, model, keep, dtype)
    for over in ("ddp", "fsdp2")
    for model in MODELS
    for keep, dtype in ((0, "float64"), (2, "float64"), (0, "float32"))
]
TRAINABLE = [
    Case(over, model, 0, "float64", trainable=True)
    for over in ("ddp", "fsdp2")
    for model in ("rmaat scale", "rmaat consolidate", "language")
]
HALVES = [Case(over, "rmaat scale", 0, "float64", lengths=(22, 9, 20, 12), halves=True) for over in ("ddp", "fsdp2")]
UNEQUAL = [Case("ddp", model, 0, "float64", lengths=(22, 9, 11, 8)) for model in ("rmaat scale", "language")]
# With one segment all parameters have a gradient but trainable laws, which act between segments.
ONE_SEGMENT = [
    Case("ddp", "language", 0, "float64", lengths=(6, 5, 4, 6)),
    Case("ddp", "rmaat scale", 0, "float64", trainable=True, lengths=(6, 5, 4, 6), unused=True),
    Case("fsdp2", "rmaat scale", 0, "float64", trainable=True, lengths=(6, 5, 4, 6)),
]
CASES = [*PLAIN, *TRAINABLE, *HALVES, *UNEQUAL, *ONE_SEGMENT]


def examples(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Tokens, padded with 0, and their lengths."""
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randint(1, SMALL.vocabulary, (len(lengths), max(lengths)), generator=generator)
    for row, length in zip(tokens, lengths, strict=True):
        row[length:] = 0
    return tokens, torch.tensor(lengths)


def loss_of(model: nn.Module, tokens: Tensor, lengths: Tensor, language: bool) -> Tensor:
    """The mean over examples, through ``forward``, where both wrappers act."""
    if language:
        return (model(tokens, lengths, scores=True)[:, 0] / 20.0).mean()
    return cross_entropy(model(tokens, lengths), tokens[:, 0] % 5)


def make(case: Case, laws: Laws) -> nn.Module:
    torch.manual_seed(1)
    name, changes = MODELS[case.model]
    config = SMALL.replace(**changes, kept_segments=case.keep, trainable_laws=case.trainable)
    return build_model(name, config, laws).to(getattr(torch, case.dtype))


def largest_difference(found: dict[str, Tensor | None], expected: dict[str, Tensor | None]) -> float:
    """Relative to the largest gradient of each parameter; infinite where only one of the two has a gradient."""
    worst = 0.0
    for name, goal in expected.items():
        value = found[name]
        if goal is None or value is None:
            worst = worst if goal is value else float("inf")
        else:
            worst = max(worst, float((value - goal).abs().max() / goal.abs().max().clamp(min=1e-300)))
    return worst


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def compare(case: Case, laws: Laws, rank: int) -> dict[str, Any]:
    """One case, on one rank."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    tokens, lengths = examples(case.lengths)
    language = case.model == "language"
    model = make(case, laws)
    whole = deepcopy(model)
    loss_of(whole, tokens, lengths, language).backward()

    size = len(tokens) // RANKS
    mine = slice(rank * size, (rank + 1) * size)
    wrapped: Any
    sharded = case.over == "fsdp2"
    if not sharded:
        wrapped = DistributedDataParallel(model, find_unused_parameters=case.unused)
    else:
        mesh = distributed.device_mesh.init_device_mesh("cpu", (RANKS,))
        for block in model.encoder.blocks:  # pyright: ignore
            fully_shard(block, mesh=mesh)
        wrapped = fully_shard(model, mesh=mesh)
        assert all(isinstance(parameter, DTensor) for parameter in model.parameters())

    for _ in range(2):  # DDP tells of parameters without a gradient in the step after
        model.zero_grad(set_to_none=True)
        if case.halves:
            first, second = tokens[mine].split(1), lengths[mine].split(1)
            for k, part in enumerate(zip(first, second, strict=True)):
                last = k + 1 == len(first)
                if sharded:
                    wrapped.set_requires_gradient_sync(last)
                with contextlib.nullcontext() if sharded or last else wrapped.no_sync():
                    (loss_of(wrapped, *part, language) / len(first)).backward()
        else:
            loss_of(wrapped, tokens[mine], lengths[mine], language).backward()
    found = {name: g.full_tensor() if isinstance(g, DTensor) else g for name, g in gradients(model).items()}
    return {"difference": largest_difference(found, gradients(whole))}


def work(rank: int, folder: str) -> None:
    """All cases, on one rank; rank 0 leaves what it found."""
    torch.set_num_threads(1)
    here = Path(folder)
    distributed.init_process_group(
        "gloo", init_method=f"file://{here / 'meeting'}", rank=rank, world_size=RANKS, timeout=timedelta(seconds=300)
    )
    laws = Laws.load(here / "laws.json")
    cases = [Case(**{**one, "lengths": tuple(one["lengths"])}) for one in json.loads((here / "cases.json").read_text())]
    for k, case in enumerate(cases):
        try:
            found = compare(case, laws, rank)
        except Exception:
            found = {"error": traceback.format_exc()}
        (here / f"{k}-{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(laws: Laws, start_ranks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[Case, list[dict[str, Any]]]:
    """What both ranks found, of every case."""
    folder = tmp_path_factory.mktemp("ranks")
    laws.save(folder / "laws.json")
    (folder / "cases.json").write_text(json.dumps([asdict(case) for case in CASES]))
    start_ranks(work, (str(folder),), PATIENCE)
    read = {}
    for k, case in enumerate(CASES):
        read[case] = [json.loads((folder / f"{k}-{rank}.json").read_text()) for rank in range(RANKS)]
    return read


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_over_two_processes_equal_those_of_the_whole_batch(results, case):
    """To rounding: halves of a sum are added in another order."""
    for found in results[case]:
        assert "error" not in found, found["error"]
        assert found["difference"] < BOUND[case.dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("model", MODELS)
def test_gradient_accumulation_gives_the_gradients_of_the_whole_batch(laws, model, dtype):
    """Halves one after the other, each loss weighed by its share of the examples: equal to rounding."""
    case = Case("one process", model, 0, dtype)
    tokens, lengths = examples((22, 9, 14, 3))
    language = model == "language"
    whole, parts = make(case, laws), make(case, laws)
    loss_of(whole, tokens, lengths, language).backward()
    for half in (slice(2), slice(2, 4)):
        (loss_of(parts, tokens[half], lengths[half], language) / 2).backward()
    assert largest_difference(gradients(parts), gradients(whole)) < {"float32": 1e-6, "float64": 1e-12}[dtype]
