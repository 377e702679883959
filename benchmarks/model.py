"""One training step of our models and of other packages' models: same bytes, width, depth, readout and loss.

The packages (extra "peers") are measured where they are installed; nothing else imports them. performer-pytorch imports
distutils, which from Python 3.12 on only setuptools brings.
"""

import ctypes
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.registry import Benchmark
from rmaat.config import RMAATConfig
from rmaat.models.classifier import ClassificationHead
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.encoder import sinusoids
from rmaat.models.registry import MEMBERS, build_model

BATCH, SEGMENTS, SEGMENT = 4, 8, 512
VOCABULARY, WIDTH, DEPTH, HEADS, FEEDFORWARD, MEMORY = 257, 128, 2, 4, 256, 16
REPEATS, SLOW, SLOW_REPEATS = 5, 3.0, 2
CONFIG = RMAATConfig(
    vocabulary=VOCABULARY, classes=2, width=WIDTH, depth=DEPTH, heads=HEADS, feedforward=FEEDFORWARD,
    segment_length=SEGMENT, max_length=SEGMENTS * SEGMENT, memory_tokens=MEMORY, memory_rule="none",
    presynaptic_exponent=0.25, spatial_decay=1.0, readout="mean", match_parameters=False,
)  # fmt: skip

Step = Callable[[Tensor], None]
Built = tuple[nn.Module, Step]


@dataclass(frozen=True)
class Row:
    """What is measured.

    Attributes
    ----------
    model : str
    build : callable
        Makes the model and its training step.
    backward : str
        How the step goes back through segments; "-" for models without.
    beside : str, optional
        ``backward`` of the rmt that it is compared with.
    package : str, optional
        Where the model comes from, if not from us.
    note : str
    """

    model: str
    build: Callable[[], Built]
    backward: str = "-"
    beside: str | None = None
    package: str | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """Unlike any other row's."""
        return f"{self.model}, {self.backward}"


def _tokens(segments: int = SEGMENTS, length: int = SEGMENT) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, VOCABULARY, (BATCH, segments * length), generator=generator)


def _labels(tokens: Tensor) -> Tensor:
    return torch.zeros(len(tokens), dtype=torch.int64)


def _trained(model: nn.Module, loss: Callable[[Tensor], Tensor] | None = None) -> Built:
    """A model with its step; the loss by default that of 2 classes."""

    def step(tokens: Tensor) -> None:
        model.zero_grad(set_to_none=True)
        (cross_entropy(model(tokens), _labels(tokens)) if loss is None else loss(tokens)).backward()

    return model, step


# -- ours ------------------------------------------------------------------------------------------------------------
def _ours(name: str, compiled: bool = False, **changes: Any) -> Built:
    model = build_model(name, CONFIG.replace(**changes))
    return _trained(model.compile_segments() if compiled else model)


def _our_rows() -> list[Row]:
    rows = [Row(name, partial(_ours, name)) for name, member in MEMBERS.items() if not member.recurrent]
    for name in ("rmt", "rlt", "rmaat"):
        rows += [Row(name, partial(_ours, name, backward=each), each, each) for each in ("amrb", "bptt")]
    rows.append(
        Row(
            "rmaat",
            partial(_ours, "rmaat", kept_segments=4),
            "amrb, 4 kept",
            "amrb",
            note="kept_segments = 4; beside rmt with 1",
        )
    )
    for name in ("rmt", "rmaat"):
        both = "amrb, compiled"
        rows.append(Row(name, partial(_ours, name, compiled=True), both, both, note="compile_segments()"))
    return rows


# -- other packages' --------------------------------------------------------------------------------------------------
class _Readout(nn.Module):
    """The mean over an encoder's rows, LayerNorm and Linear, as our models read."""

    def __init__(self, encoder: nn.Module, features: int = WIDTH, **asked: Any) -> None:
        super().__init__()
        self.encoder, self.asked = encoder, asked
        self.head = ClassificationHead(features, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        rows = self.encoder(tokens, **self.asked)
        return self.head((rows[0] if isinstance(rows, tuple) else rows).mean(1))


class _Words(nn.Module):
    """Embedding and sinusoidal positions, for an encoder without its own."""

    positions: Tensor

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.register_buffer("positions", sinusoids(SEGMENTS * SEGMENT, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encoder(self.embedding(tokens) + self.positions[: tokens.shape[1]])


def _peer(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _torch_encoder() -> Built:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, FEEDFORWARD, 0.0, "gelu", batch_first=True)
    return _trained(_Readout(_Words(nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False))))


def _performer() -> Built:
    encoder = _peer("performer_pytorch", "PerformerLM")(
        num_tokens=VOCABULARY, max_seq_len=SEGMENTS * SEGMENT, dim=WIDTH, depth=DEPTH, heads=HEADS,
        dim_head=WIDTH // HEADS, ff_mult=FEEDFORWARD // WIDTH, tie_embed=True,
    )  # fmt: skip
    return _trained(_Readout(encoder, return_encodings=True))


def _linear_attention() -> Built:
    encoder = _peer("linear_attention_transformer", "LinearAttentionTransformerLM")(
        num_tokens=VOCABULARY, dim=WIDTH, depth=DEPTH, max_seq_len=SEGMENTS * SEGMENT, heads=HEADS,
        dim_head=WIDTH // HEADS, return_embeddings=True,
    )  # fmt: skip
    return _trained(_Readout(encoder))


def _nystrom() -> Built:
    encoder = _peer("nystrom_attention", "Nystromformer")(
        dim=WIDTH, depth=DEPTH, dim_head=WIDTH // HEADS, heads=HEADS, num_landmarks=64
    )
    return _trained(_Readout(_Words(encoder)))


def _rmt_package(segment: int = SEGMENT, **changes: Any) -> nn.Module:
    """As near to Bulatov's as it gets: one residual stream, no XL memories; fused attention, as ours has."""
    package = RMT_PACKAGE.replace("-", "_")
    settings: dict[str, Any] = {
        "num_tokens": VOCABULARY, "depth": DEPTH, "num_memory_tokens": MEMORY, "seq_len": segment,
        "dim_head": WIDTH // HEADS, "heads": HEADS, "ff_mult": FEEDFORWARD // WIDTH, "use_flash_attn": True,
        "use_xl_memories": False, "num_residual_streams": 1,
    }  # fmt: skip
    transformer = _peer(package, "RecurrentMemoryTransformer")(WIDTH, **(settings | changes))
    return _peer(package, "RecurrentMemoryTransformerWrapper")(transformer)


def _rmt_readout() -> Built:
    return _trained(_Readout(_rmt_package(causal=False), VOCABULARY))


def _rmt_language(replay: bool, segment: int = SEGMENT, **changes: Any) -> Built:
    wrapper = _rmt_package(segment, **changes)

    def step(tokens: Tensor) -> None:
        wrapper.zero_grad(set_to_none=True)
        tokens = torch.cat([tokens, tokens[:, :1]], dim=1)  # the last is only predicted
        if replay:
            wrapper(tokens, memory_replay_backprop=True)  # goes back by itself
        else:
            wrapper(tokens, return_loss=True)[0].backward()

    return wrapper, step


class _Memformer(nn.Module):
    """Memformer's encoder and a head, of the form that its replay calls: (tokens, label, memory) -> (..., loss)."""

    def __init__(self, segment: int) -> None:
        super().__init__()
        self.memformer: Any = _peer("memformer", "Memformer")(
            dim=WIDTH, num_memory_slots=MEMORY, encoder_only=True, mem_update_attn_heads=HEADS,
            enc_num_tokens=VOCABULARY, enc_max_seq_len=segment, enc_depth=DEPTH, enc_heads=HEADS,
        )  # fmt: skip
        self.head = ClassificationHead(WIDTH, 2)

    @property
    def encoder(self) -> Any:
        return self.memformer.encoder

    def get_initial_mem(self, batch: int) -> Tensor:
        return self.memformer.get_initial_mem(batch)

    def forward(self, src: Tensor, tgt: Tensor | None = None, mems: Tensor | None = None, **_: Any) -> Any:
        rows, memory = self.memformer(src, mems=mems)
        loss = torch.zeros((), requires_grad=True) if tgt is None else cross_entropy(self.head(rows.mean(1)), tgt)
        return rows, memory, loss

    def loss(self, tokens: Tensor, last: bool) -> Tensor:
        """The loss without replay, from the rows of the last segment or of all."""
        memory, means = None, []
        for segment in tokens.split(self.encoder.max_seq_len, dim=1):
            rows, memory, _ = self(segment, mems=memory)
            means.append(rows.mean(1))
        return cross_entropy(self.head(means[-1] if last else torch.stack(means).mean(0)), _labels(tokens))


def _memformer(replay: bool, segment: int = SEGMENT, last: bool = False) -> Built:
    model = _Memformer(segment)
    if not replay:
        return _trained(model, partial(model.loss, last=last))

    def step(tokens: Tensor) -> None:
        model.zero_grad(set_to_none=True)
        _peer("memformer.mrbp", "memory_replay_backprop")(model, tokens, _labels(tokens))

    return model, step


RMT, RMT_PACKAGE = "RecurrentMemoryTransformer", "recurrent-memory-transformer-pytorch"
RMT_NOTE = (
    "use_flash_attn, one residual stream, no XL memories; read and write memory and a null key: 545 keys a segment for "
    "our 528; GEGLU of 170, as many weights as 256; "
)
BIG = "feedforward 4 x width = 512 is fixed"


def _peer_rows() -> list[Row]:
    language = "its replay takes only its own loss, the next byte's, with causal segments"
    memformer = f"{BIG}; cross-attention to the memory in every block, GRU update of it; encoder only; "
    return [
        Row("torch.nn.TransformerEncoder", _torch_encoder, note="full attention by scaled_dot_product_attention"),
        Row("PerformerLM", _performer, package="performer-pytorch", note="110 random features; rotary positions"),
        Row(
            "LinearAttentionTransformerLM", _linear_attention, package="linear-attention-transformer",
            note=f"softmax of q and k (Efficient Attention), no local heads; {BIG}; axial positions",
        ),
        Row(
            "Nystromformer", _nystrom, package="nystrom-attention",
            note=f"64 landmarks, with its convolution over 33 values; {BIG}; embedding and positions ours",
        ),
        Row(
            RMT, _rmt_readout, "bptt", "bptt", RMT_PACKAGE,
            RMT_NOTE + "not causal; the readout reads the 257 logits of each token: its wrapper gives nothing before",
        ),
        Row(f"{RMT}, next byte", partial(_rmt_language, False), "bptt", "bptt", RMT_PACKAGE, RMT_NOTE + language),
        Row(f"{RMT}, next byte", partial(_rmt_language, True), "replay", "amrb", RMT_PACKAGE, RMT_NOTE + language),
        Row("Memformer", partial(_memformer, False), "bptt", "bptt", "memformer", memformer + "readout over all"),
        Row(
            "Memformer", partial(_memformer, True), "replay", "amrb", "memformer",
            memformer + "readout over the last segment: its replay takes no other loss",
        ),
    ]  # fmt: skip


def _gradients(build: Callable[[], Built], tokens: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model, step = build()
    step(tokens)
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def _difference(build: Callable[[bool], Built], tokens: Tensor) -> float:
    """Of the gradients with replay from those without, relative to these."""
    replayed, kept = (_gradients(partial(build, replay), tokens) for replay in (True, False))
    flat = [torch.cat([found[name].flatten().double() for name in kept]) for found in (replayed, kept)]
    return float((flat[0] - flat[1]).norm() / flat[1].norm())


def _remarks(packages: set[str | None]) -> dict[str, str]:
    """How far the gradients of the packages' replays are from those of their own BPTT, by row."""
    tokens, found = _tokens(4, 16), {}
    if RMT_PACKAGE in packages:
        without, default = (
            _difference(partial(_rmt_language, segment=16, use_xl_memories=xl), tokens) for xl in (False, True)
        )
        found[f"{RMT}, next byte, replay"] = (
            f"; its gradients differ from its BPTT's by {without:.0e}, by {default:.2f} with its default XL memories, "
            "which its forward pass leaves out"
        )
    if "memformer" in packages:
        difference = _difference(partial(_memformer, segment=16, last=True), tokens)
        found["Memformer, replay"] = f"; its gradients differ from its BPTT's by {difference:.0e}"
    return found


# -- measuring --------------------------------------------------------------------------------------------------------
def _installed(package: str | None) -> bool:
    if package is None:
        return True
    try:
        import_module(package.replace("-", "_"))
    except ImportError as error:
        print(f"model: without {package}: {error}", file=sys.stderr)
        return False
    return True


def _rows() -> list[Row]:
    peers = _peer_rows()
    here = {package for package in dict.fromkeys(row.package for row in peers) if _installed(package)}
    return [*_our_rows(), *(row for row in peers if row.package in here)]


def _start(row: Row) -> Built:
    torch.manual_seed(0)
    return row.build()


def _status(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024 / 1e6


def _growth(row: Row) -> float | None:
    """MB by which this process's resident memory grows at most in a step; None where the system does not tell.

    getrusage's ru_maxrss would not do: a child starts with the peak of its parent, and no peak can be reset.
    """
    model, step = _start(row)
    step(_tokens(2))  # libraries load, and what is compiled is compiled
    model.zero_grad(set_to_none=True)
    try:
        ctypes.CDLL(None).malloc_trim(0)  # freed memory that the allocator holds would be used again, uncounted
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except (OSError, AttributeError):
        return None
    before = _status("VmRSS:")
    step(_tokens())
    return _status("VmHWM:") - before


def _growth_alone(row: Row) -> float | None:
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.model", row.key]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(f"{row.key}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _timed(step: Step, tokens: Tensor) -> float:
    started = time.process_time()
    step(tokens)
    return time.process_time() - started


def check() -> None:
    """AMRB and BPTT give the same gradients, bit for bit, in every model that recurs."""
    tokens = _tokens(3, 16)
    for name in ("rmt", "rlt", "rmaat"):
        replayed, kept = (
            _gradients(partial(_ours, name, segment_length=16, backward=backward), tokens)
            for backward in ("amrb", "bptt")
        )
        if replayed.keys() != kept.keys() or not all(torch.equal(replayed[each], kept[each]) for each in kept):
            raise RuntimeError(f"{name}: AMRB and BPTT differ; nothing to measure")


def measure() -> list[dict[str, Any]]:
    """CPU seconds as medians of interleaved steps; tensor MB from a profiled step, resident MB from a process each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # packages call what torch and Python have deprecated
        return _measure()


def _measure() -> list[dict[str, Any]]:
    rows, tokens = _rows(), _tokens()
    remarks = _remarks({row.package for row in rows})
    built, numbers, extra, repeats = {}, {}, {}, {}
    for row in rows:
        built[row.key] = model, step = _start(row)
        step(tokens)  # warm-up
        numbers[row.key] = sum(p.numel() for p in model.parameters() if p.grad is not None)
        repeats[row.key] = SLOW_REPEATS if _timed(step, tokens) > SLOW else REPEATS
        model.zero_grad(set_to_none=True)
        extra[row.key] = peak_extra_bytes(partial(step, tokens)) / 1e6
        model.zero_grad(set_to_none=True)
    seconds: dict[str, list[float]] = {row.key: [] for row in rows}
    for repeat in range(REPEATS):
        for key, (model, step) in built.items():
            if repeat < repeats[key]:
                seconds[key].append(_timed(step, tokens))
                model.zero_grad(set_to_none=True)
    cpu = {key: statistics.median(each) for key, each in seconds.items()}
    resident = {row.key: _growth_alone(row) for row in rows}
    return [
        {
            "model": row.model if row.package is None else f"{row.model} ({row.package} {version(row.package)})",
            "backward": row.backward,
            "parameters": numbers[row.key],
            "cpu_s": round(cpu[row.key], 3),
            "times faster than full attention": round(cpu["transformer, -"] / cpu[row.key], 2),
            "times faster than rmt, same backward": (
                None if row.beside is None else round(cpu[f"rmt, {row.beside}"] / cpu[row.key], 2)
            ),
            "extra_mb": round(extra[row.key], 1),
            "rss_mb": None if (grown := resident[row.key]) is None else round(grown, 1),
            "note": row.note + remarks.get(row.key, ""),
        }
        for row in rows
    ]


BENCHMARK = Benchmark(
    "one training step, batch 4, 4096 bytes (8 segments of 512), width 128, depth 2, 4 heads, feedforward 256, 16 "
    "memory tokens: CPU seconds, peak extra tensor MB, peak growth of resident MB",
    check,
    measure,
)

if __name__ == "__main__":
    (wanted,) = [row for row in [*_our_rows(), *_peer_rows()] if row.key == sys.argv[1]]
    print(json.dumps(_growth(wanted)))
