"""Other packages' models, each with its training step, where they are installed (extra "peers").

Nothing else imports these packages. performer-pytorch imports distutils, which from
Python 3.12 on only setuptools brings.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.speed.step import CONFIG, SEGMENT, gradients, labels, random_bytes, train
from rmaat.models.classifier import ClassificationHead
from rmaat.models.encoder import sinusoids

LENGTH = 8 * SEGMENT
VOCABULARY, WIDTH, DEPTH, HEADS, MEMORY = (
    CONFIG.vocabulary, CONFIG.width, CONFIG.depth, CONFIG.heads, CONFIG.memory_tokens,
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
        self.register_buffer("positions", sinusoids(LENGTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.encoder(self.embedding(tokens) + self.positions[: tokens.shape[1]])


def _peer(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _read(encoder: nn.Module, features: int = WIDTH, **asked: Any) -> Built:
    model = _Readout(encoder, features, **asked)
    return model, partial(train, model)


def _torch_encoder() -> Built:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, CONFIG.feedforward, 0.0, "gelu", batch_first=True)
    return _read(_Words(nn.TransformerEncoder(layer, DEPTH, enable_nested_tensor=False)))


def _performer() -> Built:
    encoder = _peer("performer_pytorch", "PerformerLM")(
        num_tokens=VOCABULARY, max_seq_len=LENGTH, dim=WIDTH, depth=DEPTH, heads=HEADS, dim_head=WIDTH // HEADS,
        ff_mult=CONFIG.feedforward // WIDTH, tie_embed=True,
    )  # fmt: skip
    return _read(encoder, return_encodings=True)


def _linear_attention() -> Built:
    encoder = _peer("linear_attention_transformer", "LinearAttentionTransformerLM")(
        num_tokens=VOCABULARY, dim=WIDTH, depth=DEPTH, max_seq_len=LENGTH, heads=HEADS, dim_head=WIDTH // HEADS,
        return_embeddings=True,
    )  # fmt: skip
    return _read(encoder)


def _nystrom() -> Built:
    encoder = _peer("nystrom_attention", "Nystromformer")(
        dim=WIDTH, depth=DEPTH, dim_head=WIDTH // HEADS, heads=HEADS, num_landmarks=64
    )
    return _read(_Words(encoder))


def _rmt(segment: int = SEGMENT, **changes: Any) -> nn.Module:
    """As near to Bulatov's as it gets: one residual stream, no XL memories; fused attention, as ours has."""
    package = RMT_PACKAGE.replace("-", "_")
    settings: dict[str, Any] = {
        "num_tokens": VOCABULARY, "depth": DEPTH, "num_memory_tokens": MEMORY, "seq_len": segment,
        "dim_head": WIDTH // HEADS, "heads": HEADS, "ff_mult": CONFIG.feedforward // WIDTH, "use_flash_attn": True,
        "use_xl_memories": False, "num_residual_streams": 1,
    }  # fmt: skip
    transformer = _peer(package, "RecurrentMemoryTransformer")(WIDTH, **(settings | changes))
    return _peer(package, "RecurrentMemoryTransformerWrapper")(transformer)


def _rmt_readout() -> Built:
    return _read(_rmt(causal=False), VOCABULARY)


def _rmt_language(replay: bool, segment: int = SEGMENT, **changes: Any) -> Built:
    wrapper = _rmt(segment, **changes)

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
        return cross_entropy(self.head(means[-1] if last else torch.stack(means).mean(0)), labels(tokens))


def _memformer(replay: bool, segment: int = SEGMENT, last: bool = False) -> Built:
    model = _Memformer(segment)

    def step(tokens: Tensor) -> None:
        model.zero_grad(set_to_none=True)
        if replay:
            _peer("memformer.mrbp", "memory_replay_backprop")(model, tokens, labels(tokens))
        else:
            model.loss(tokens, last).backward()

    return model, step


RMT, RMT_PACKAGE = "RecurrentMemoryTransformer", "recurrent-memory-transformer-pytorch"
RMT_NOTE = (
    "use_flash_attn, one residual stream, no XL memories; read and write memory and a null key: 545 keys a segment for "
    "our 528; GEGLU of 170, as many weights as 256; "
)
RMT_LANGUAGE = RMT_NOTE + "its replay takes only its own loss, the next byte's, with causal segments"
BIG = "feedforward 4 x width = 512 is fixed"
MEMFORMER = f"{BIG}; cross-attention to the memory in every block, GRU update of it; encoder only; "
PEERS = (
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
    Row(f"{RMT}, next byte", partial(_rmt_language, False), "bptt", "bptt", RMT_PACKAGE, RMT_LANGUAGE),
    Row(f"{RMT}, next byte", partial(_rmt_language, True), "replay", "amrb", RMT_PACKAGE, RMT_LANGUAGE),
    Row("Memformer", partial(_memformer, False), "bptt", "bptt", "memformer", MEMFORMER + "readout over all"),
    Row(
        "Memformer", partial(_memformer, True), "replay", "amrb", "memformer",
        MEMFORMER + "readout over the last segment: its replay takes no other loss",
    ),
)  # fmt: skip


def rows() -> list[Row]:
    """Those of `PEERS` that are installed; stderr says which are not."""
    missing = set()
    for package in dict.fromkeys(row.package for row in PEERS if row.package is not None):
        try:
            import_module(package.replace("-", "_"))
        except ImportError as error:
            missing.add(package)
            print(f"model: without {package}: {error}", file=sys.stderr)
    return [row for row in PEERS if row.package not in missing]


def remarks(packages: set[str | None]) -> dict[str, str]:
    """How far the gradients of the packages' replays are from those of their own BPTT, by `Row.key`."""
    texts = {}
    if RMT_PACKAGE in packages:
        without, default = (_difference(partial(_rmt_language, segment=16, use_xl_memories=xl)) for xl in (False, True))
        texts[f"{RMT}, next byte, replay"] = (
            f"; its gradients differ from its BPTT's by {without:.0e}, by {default:.2f} with its default XL memories, "
            "which its forward pass leaves out"
        )
    if "memformer" in packages:
        difference = _difference(partial(_memformer, segment=16, last=True))
        texts["Memformer, replay"] = f"; its gradients differ from its BPTT's by {difference:.0e}"
    return texts


def _difference(build: Callable[[bool], Built]) -> float:
    """Of the gradients with replay from those without, relative to these."""
    left = []
    for replay in (True, False):
        torch.manual_seed(0)
        model, step = build(replay)
        step(random_bytes(64))
        left.append(gradients(model))
    replayed, kept = (torch.cat([grads[name].flatten().double() for name in left[1]]) for grads in left)
    return float((replayed - kept).norm() / kept.norm())
