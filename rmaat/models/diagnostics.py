"""Looking into a model at work: what it holds in memory, and what of a sequence reaches its output.

All gradients here are taken through streams, that is by full back-propagation through time, whatever the model's own
backward setting: the two agree.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.profiler import ProfilerActivity, profile

from astro_sim.common.errors import InputError
from rmaat.models.base import Model
from rmaat.models.segments import Segments
from rmaat.models.streaming import Stream

TOTALS = (1, 2, 4, 8, 16)  # T at which the first segment is looked for
PROBES = 16


def peak_extra_bytes(work: Callable[[], object]) -> int:
    """Highest sum of CPU tensor bytes allocated and not yet freed while ``work`` runs, above where it started.

    From the profiler's own record of allocations, so those inside operators count too; resident memory would mislead
    by a factor of 2 to 4.
    """
    gc.collect()  # what is collected while the work runs would count as freed by it
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    profiler: Any = record.profiler
    kineto = profiler.kineto_results
    changes = [(event.start_ns(), event.nbytes()) for event in kineto.events() if event.name() == "[memory]"]
    held = peak = 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        held += size
        peak = max(peak, held)
    return peak


def segment_influence(model: Model, tokens: Tensor, lengths: Tensor | None = None, seed: int = 0) -> Tensor:
    """How much the output would change with the tokens of each segment.

    Parameters
    ----------
    model : Model
        Any of the family; a segment of a model without segments is a stretch of ``segment_length`` tokens.
    tokens, lengths : Tensor
        As for the model.
    seed : int
        Of the random directions.

    Returns
    -------
    Tensor, (batch, T)
        Frobenius norm of the derivative of the logits (of a language model: those of the last token) with respect to
        the embedded tokens of each segment; 0 where an example has no such segment. Exact up to 16 logits, beyond
        that estimated from as many random directions.
    """
    cut = _cut(model, tokens, lengths)
    with _embedded(model) as parts:
        if model.recurs:
            output = _streamed(model, cut)[1]
        else:
            logits = model(tokens, lengths)
            output = logits if model.classifies else _at_end(logits, cut)
    norms = _derivative_norms(output, parts, seed)  # per part (B, L)
    places = torch.cat(norms, dim=1)[:, : tokens.shape[1]].square()
    if not model.classifies:  # what enters at n is the token before it; the last one is only predicted
        places = pad(places[:, 1:], (0, 1))
    return torch.stack([places[:, cut.span(t)].sum(1) for t in range(cut.count)], dim=1).sqrt()


@torch.no_grad()
def memory_norms(model: Model, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Norm of the memory rows after each segment, root mean square over rows, (batch, T)."""
    cut = _cut(model, tokens, lengths)
    norms: list[Tensor] = []
    _streamed(model, cut, lambda stream: norms.append(stream.memory.square().sum(-1).mean(-1).sqrt()))
    return torch.stack(norms, dim=1)


def kept_of_first(model: Model, tokens: Tensor, totals: Sequence[int] = TOTALS, seed: int = 0) -> list[float]:
    """What the memory after T segments still knows of the first one.

    Parameters
    ----------
    model : Model
        One that recurs.
    tokens : Tensor of int64, (batch, length)
        Full segments, at least as many as the largest of ``totals``.
    totals : sequence of int
        T, each the end of a sequence of its own.
    seed : int
        Of the random directions.

    Returns
    -------
    list of float
        Frobenius norm of the derivative of mem_{T+1} with respect to the embedded tokens of segment 1, root mean
        square over the batch, estimated from 16 random directions.

    Raises
    ------
    InputError
        A model without segments, or too few tokens.
    """
    size = model.recurrent.config.segment_length
    if not totals or min(totals) < 1:
        raise InputError(f"totals: expected numbers of segments from 1, got {list(totals)}")
    if tokens.shape[1] < size * max(totals):
        raise InputError(f"tokens: expected {size * max(totals)} for T = {max(totals)}, got {tokens.shape[1]}")
    kept = []
    for total in totals:
        with _embedded(model) as parts:
            stream, _ = _streamed(model, _cut(model, tokens[:, : total * size], None))
        norms = _derivative_norms(stream.memory.flatten(1), parts[:1], seed)[0]
        kept.append(float(norms.square().sum(1).mean().sqrt()))
    return kept


def direct_weight(model: Model, total: int) -> float:
    """What the memory rule alone leaves of mem'_2 after T segments; `MemoryRule.direct_weight`."""
    encoder = model.recurrent
    return encoder.rule.direct_weight(encoder.factors([total], total).detach()[0])


def look(model: Model, tokens: Tensor, lengths: Tensor) -> dict[str, Any]:
    """All of the above on one batch, as numbers.

    Returns
    -------
    dict
        ``influence``: per segment, root mean square over examples that have it; ``memory_norm``: likewise, or None
        without memory; ``first``: rows with ``T``, ``measured`` (`kept_of_first`, relative to T = 1) and ``direct``, as
        far as the shortest example reaches, or None; ``time_constants``: `Model.time_constants`.
    """
    if model.config.head == "match":
        raise InputError("inspect: pairs have two towers; expected a model of the head classify or language")
    cut = _cut(model, tokens, lengths)
    have = torch.tensor(cut.counts)[:, None] > torch.arange(cut.count)

    def mean(values: Tensor) -> list[float]:
        squares = torch.where(have, values.detach().cpu().double().square(), 0.0)
        return (squares.sum(0) / have.sum(0)).sqrt().tolist()

    result: dict[str, Any] = {
        "influence": mean(segment_influence(model, tokens, lengths)),
        "memory_norm": None,
        "first": None,
        "time_constants": model.time_constants(),
    }
    if model.recurs:
        result["memory_norm"] = mean(memory_norms(model, tokens, lengths))
        full = int(lengths.min()) // model.config.segment_length
        if totals := [total for total in TOTALS if total <= full]:
            kept = kept_of_first(model, tokens, totals)
            result["first"] = [
                {"T": total, "measured": value / kept[0] if kept[0] else 0.0, "direct": direct_weight(model, total)}
                for total, value in zip(totals, kept, strict=True)
            ]
    return result


def _cut(model: Model, tokens: Tensor, lengths: Tensor | None) -> Segments:
    return Segments(tokens, model.check_tokens(tokens, lengths), model.config.segment_length)


def _streamed(
    model: Model, cut: Segments, look_at: Callable[[Stream], None] = lambda stream: None
) -> tuple[Stream, Tensor]:
    """Run a batch through a stream; the stream, and logits: of the class, or of the last token of each row."""
    totals = torch.tensor(cut.counts, device=cut.tokens.device)
    stream, pieces = Stream(model, len(cut.tokens), totals, warn=False), []
    for t in range(cut.count):
        span = cut.span(t)
        real = None if cut.lengths is None else (cut.lengths - span.start).clamp(0, span.stop - span.start)
        pieces.append(stream.push(cut.tokens[:, span], real))
        look_at(stream)
    return stream, stream.logits() if model.classifies else _at_end(torch.cat(pieces, dim=1), cut)


def _at_end(logits: Tensor, cut: Segments) -> Tensor:
    """(B, L, V) -> (B, V): of the last real token."""
    if cut.lengths is None:
        return logits[:, -1]
    return logits[torch.arange(len(logits), device=logits.device), cut.lengths - 1]


@contextmanager
def _embedded(model: Model) -> Iterator[list[Tensor]]:
    """Collects what the embedding gives while the model runs."""
    parts: list[Tensor] = []

    def collect(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        parts.append(output)

    hook = model.encoder.embedding.register_forward_hook(collect)
    try:
        with torch.enable_grad():
            yield parts
    finally:
        hook.remove()


def _derivative_norms(output: Tensor, inputs: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Per example and token, the norm of the derivative of ``output`` (B, n) in each of ``inputs`` (B, L, d)."""
    count = output.shape[1]
    if count <= PROBES:
        directions = torch.eye(count, dtype=output.dtype)
    else:  # random signs: the mean of squared products is the squared norm
        signs = torch.randint(0, 2, (PROBES, count), generator=torch.Generator().manual_seed(seed))
        directions = (2.0 * signs - 1.0).to(output.dtype) * PROBES**-0.5
    # In float64: what is kept of a segment goes below what squares in float32 can hold.
    totals = [torch.zeros(part.shape[:2], dtype=torch.float64, device=output.device) for part in inputs]
    for direction in directions.to(output.device):
        grads = torch.autograd.grad(
            (output * direction).sum(), inputs, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        totals = [total + grad.double().square().sum(-1) for total, grad in zip(totals, grads, strict=True)]
    return [total.sqrt() for total in totals]
