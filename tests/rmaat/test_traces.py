"""Short-term plasticity in the attention: against its definition, in streams, in generation, under AMRB."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import elu, pad

import rmaat
from astro_sim.common.errors import InputError
from rmaat.attention import AstromorphicAttention, Rule, ShortTerm
from rmaat.attention.mixer import Parts
from rmaat.attention.scan import DecayedScan
from rmaat.attention.traces import Traces, short_term, short_term_reference
from rmaat.models.language import Decoder
from rmaat.models.streaming import Stream
from tests.rmaat.refusals import refuses

TIMES = (2.0, 4.0, 9.0, 30.0)
TOKENS = torch.randint(1, 20, (3, 29), generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([29, 13, 20])
REAL = torch.arange(29) < LENGTHS[:, None]


def build(head: str, dtype: torch.dtype = torch.float64, **settings):
    """A small model in which nothing is 0, as some weights are at first."""
    torch.manual_seed(1)
    settings = {"short_term": "laws", **settings}
    if settings["short_term"] != "none":
        settings.setdefault("time_constants", TIMES)
    config = rmaat.RMAATConfig(
        vocabulary=20, classes=None if head == "language" else 3, head=head, width=16, heads=4, feedforward=24,
        segment_length=8, memory_tokens=3, memory_rule="none", **settings,
    )  # fmt: skip
    model = rmaat.build_model("rmaat", config).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def inputs(parts: Parts, tokens: int, adaptive: bool, carried: bool, dtype: torch.dtype):
    """Rows of two examples, two heads of four features, whose padding is NaN."""
    generator = torch.Generator().manual_seed(3)
    rows = parts.memory + tokens + parts.write

    def drawn(*shape: int, uniform: bool = False) -> torch.Tensor:
        draw = torch.rand if uniform else torch.randn
        return draw(*shape, generator=generator, dtype=torch.float64).to(dtype)

    q, k, v = (drawn(2, 2, rows, 4) for _ in range(3))
    mask = torch.ones(2, rows, dtype=torch.bool)
    mask[1, parts.memory + 7 : parts.memory + tokens] = False
    decay = drawn(2, 2, tokens, uniform=True) if adaptive else drawn(2, 1, uniform=True)
    traces = Traces(drawn(2, 2, 4, 4), drawn(2, 2, 1, 4, uniform=True), drawn(2, 2, 1, 1, uniform=True))
    return q, k, v, drawn(2, rows, 4), mask, decay, traces if carried else None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rotation", [False, True])
@pytest.mark.parametrize(("adaptive", "carried", "parts"), [
    (False, False, Parts()), (True, False, Parts(3, 0)), (False, True, Parts(3, 2)), (True, True, Parts(0, 2)),
])  # fmt: skip
@pytest.mark.parametrize("rule", [Rule(0.25), Rule(1.1), Rule(1.0, m_scale=50.0), Rule(feedback=False)])
def test_equals_its_definition(rule, adaptive, carried, parts, rotation, causal, dtype):
    q, k, v, relative, mask, decay, traces = inputs(parts, 11, adaptive, carried, dtype)
    spoiled = [torch.where(mask[:, None, :, None], part, torch.nan) for part in (q, k, v)]
    arguments = (rule, decay, traces, parts, causal, rotation)
    y, after = short_term(*spoiled, elu(relative) + 1, mask, *arguments, chunk=4)
    all_decays = decay.expand(2, 2, 11)
    expected, left = short_term_reference(q, k, v, relative, mask, rule, all_decays, *arguments[2:])
    exact = 1e-12 if dtype == torch.float64 else 2e-6
    assert y.isfinite().all()
    assert (torch.where(mask[:, None, :, None], y, 0.0) - expected).abs().max() < exact * expected.abs().max()
    for part, wanted in zip(after, left, strict=True):
        assert (part - wanted).abs().max() < exact * wanted.abs().max()


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_those_of_the_definition(adaptive, causal):
    parts, rule = Parts(3, 2), Rule(1.1)
    q, k, v, relative, mask, decay, traces = inputs(parts, 11, adaptive, True, torch.float64)
    leaves = [part.requires_grad_() for part in (q, k, v, relative, decay, *traces)]
    out, after = short_term(q, k, v, elu(relative) + 1, mask, rule, decay, traces, parts, causal, True, chunk=4)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(4), dtype=out.dtype)
    weight = torch.where(mask[:, None, :, None], weight, 0.0)
    found = torch.autograd.grad((out * weight).sum() + sum(part.sin().sum() for part in after), leaves)
    with torch.no_grad():  # the definition writes in place, so its slope is measured

        def value(*parts_of: torch.Tensor) -> torch.Tensor:
            q, k, v, relative, decay, *kept = parts_of
            y, left = short_term_reference(
                q, k, v, relative, mask, rule, decay.expand(2, 2, 11), Traces(*kept), parts, causal, True
            )
            return (y * weight).sum() + sum(part.sin().sum() for part in left)

        for k_th, leaf in enumerate(leaves):
            direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(k_th), dtype=leaf.dtype)
            ends = [value(*(part + (h * direction if part is leaf else 0.0) for part in leaves)) for h in (1e-6, -1e-6)]
            slope = (ends[0] - ends[1]) / 2e-6
            assert slope == pytest.approx(float((found[k_th] * direction).sum()), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("rows", [1, 4, 5, 23])
@pytest.mark.parametrize("uniform", [False, True])
def test_both_ways_is_two_causal_passes_less_the_own_term(rows, uniform):
    """Where every row fades alike; the order of the rows is that of time."""
    generator = torch.Generator().manual_seed(rows)
    q, w, v = (torch.randn(2, 3, rows, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    decay = torch.rand(3, 1 if uniform else rows, generator=generator, dtype=torch.float64)

    def passed(decay: torch.Tensor, *parts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scan = DecayedScan(decay, rows, 4)
        return scan.read(*parts)[0], scan.sums(parts[1])[0]

    there = passed(decay, q, w, v)
    back = [part.flip(2) for part in passed(decay.flip(-1), q.flip(2), w.flip(2), v.flip(2))]
    own = ((q * w).sum(-1, keepdim=True) * v, w)
    scan = DecayedScan(decay, rows, 4, both=True)
    for both, a, b, once in zip((scan.read(q, w, v)[0], scan.sums(w)[0]), there, back, own, strict=True):
        torch.testing.assert_close(both, a + b - once, rtol=0, atol=1e-12)


ALL = {"rotation": True, "output_gate": True, "convolution": 4}
CASES = [
    *itertools.product(["laws", "trainable", "adaptive"], [{}, ALL]),
    ("none", {"output_gate": True, "convolution": 3}),
    ("adaptive", {"convolution": 4, "rotation": True, "carry_traces": False}),
]  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize(("how", "switches"), CASES)
@pytest.mark.parametrize("head", ["classify", "language"])
def test_padding_streams_and_single_tokens_give_what_the_whole_call_gives(head, how, switches):
    model = build(head, short_term=how, **switches)
    whole, other = model(TOKENS, LENGTHS), model(torch.where(REAL, TOKENS, 7), LENGTHS)
    stream, pieces = Stream(model, 3), []
    for t in range(4):
        span = slice(8 * t, min(8 * t + 8, 29))
        pieces.append(stream.push(TOKENS[:, span], (LENGTHS - 8 * t).clamp(0, span.stop - span.start)))
    streamed = stream.logits() if head == "classify" else torch.cat(pieces, dim=1)
    real = slice(None) if head == "classify" else REAL
    torch.testing.assert_close(other[real], whole[real], rtol=0, atol=1e-13)
    torch.testing.assert_close(streamed[real], whole[real], rtol=0, atol=1e-12)
    if head == "language":
        decoder, given = Decoder(model, 3), pad(TOKENS, (1, -1))
        sizes = [1, 1, 1, 5, 10, 1, 1, 9]
        by_token = torch.cat([decoder.feed(part) for part in given.split(sizes, dim=1)], dim=1)
        torch.testing.assert_close(by_token, model(TOKENS), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("how", "switches"), CASES)
@pytest.mark.parametrize("head", ["classify", "language"])
def test_amrb_is_bptt_with_carried_traces(head, how, switches):
    """In float32, bitwise, dropout on; and every parameter has a gradient."""
    gradients = []
    for backward, keep in (("bptt", None), ("amrb", 0), ("amrb", 1), ("amrb", 3)):
        model = build(
            head, torch.float32, short_term=how, dropout=0.2, backward=backward, kept_segments=keep, **switches
        )
        torch.manual_seed(5)
        out = model.train()(TOKENS, LENGTHS)
        (out if head == "classify" else out[REAL]).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for others in zip(*gradients, strict=True):
        assert others[0] is not None
        assert others[0].any()
        assert all(torch.equal(others[0], other) for other in others[1:])


@torch.no_grad()
def test_what_does_not_fade_is_the_attention_without_short_term_plasticity():
    """Tokens that never fade, within one segment: the sums of all."""
    torch.manual_seed(0)
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    for causal in (False, True):
        plain = AstromorphicAttention(8, 2, causal).double()
        fading = AstromorphicAttention(8, 2, causal, short_term=ShortTerm((1e30, 1e30))).double()
        fading.load_state_dict(plain.state_dict())
        torch.testing.assert_close(fading(x), plain(x), rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_state_that_was_saved_goes_on_alike():
    model = build("classify", convolution=4, rotation=True)
    stream = Stream(model, 3)
    stream.push(TOKENS[:, :8])
    state = stream.state_dict()
    other = Stream(model, 3).load_state_dict(state)
    for one in (stream, other):
        one.push(TOKENS[:, 8:16])
    assert torch.equal(stream.logits(), other.logits())
    for name in [name for name in state if name.startswith("traces.")]:
        with pytest.raises(InputError, match=f"state: {name}: expected finite numbers"):
            Stream(model, 3).load_state_dict({**state, name: torch.full_like(state[name], torch.nan)})
    stream.reset(torch.tensor([True, False, False]))
    fresh = Stream(model, 3)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(stream.link.layers[0].traces, fresh.link.layers[0].traces))  # noqa: B905


def test_time_constants_are_the_laws_spread_over_the_heads(laws_with_times):
    laws = laws_with_times({"fast": 0.5, "slow": 2.0, "slowest": 50.0})  # cycles of 10 s
    tokens = np.array([12.5, 50.0, 1250.0])  # of 250 a segment
    np.testing.assert_allclose(laws.time_constants(3, 250), tokens, rtol=1e-12)
    np.testing.assert_allclose(laws.time_constants(1, 250), 50.0, rtol=1e-12)
    np.testing.assert_allclose(laws.time_constants(2, 250, within=True), tokens[:2], rtol=1e-12)
    config = rmaat.RMAATConfig(vocabulary=9, classes=2, width=16, segment_length=250, short_term="trainable")
    model = rmaat.build_model("rmaat", config, laws)
    expected = laws.time_constants(4, 250)
    assert model.config.time_constants == expected
    np.testing.assert_allclose(model.encoder.blocks[0].attention.time_constants(), expected, rtol=1e-12)
    apart = rmaat.build_model("rmaat", config.replace(carry_traces=False), laws)
    assert max(apart.config.time_constants) <= 250


@pytest.mark.parametrize(("settings", "message"), [
    ({"short_term": "laws"}, "short_term: these laws hold no short-term time constants; expected laws fitted to an"),
    ({"short_term": "laws", "time_constants": (1.0, 2.0)}, "time_constants: expected 4, one a head, got 2"),
    ({"width": 12, "rotation": True}, "rotation: expected an even number of features a head, got 3"),
    ({"short_term": "laws", "sigmoid": True}, "sigmoid: not with short_term 'laws', where every row has its own H"),
    ({"short_term": "law"}, "short_term: expected 'laws', 'trainable', 'adaptive' or 'none', got 'law'"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(settings, message, laws_with_times):
    def made():
        config = rmaat.RMAATConfig(**{"vocabulary": 9, "classes": 2, "width": 16, **settings})
        return rmaat.build_model("rmaat", config, laws_with_times({}))

    refuses(message, made)


def test_laws_that_outlast_a_segment_need_carried_traces(laws_with_times):
    message = "short_term: every time constant of these laws is longer than a segment of 8 tokens"
    refuses(message, laws_with_times({"slow": 50.0}).time_constants, 4, 8, within=True)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"short_term": ShortTerm((1.0, 0.0))}, "time_constants: expected 2 finite numbers above 0, one a head, got"),
    ({"short_term": ShortTerm((1.0, 1.0), rotation=True), "width": 6}, "rotation: expected an even number of features"),
    ({"short_term": ShortTerm((1.0, 1.0)), "rule": Rule(sigmoid=True)}, "sigmoid: not with short-term plasticity"),
    ({"short_term": ShortTerm((1.0, 1.0), "o")}, "short_term: expected 'laws', 'trainable' or 'adaptive', got 'o'"),
])  # fmt: skip
def test_a_layer_refuses_what_it_cannot_have(arguments, message):
    refuses(message, AstromorphicAttention, **{"width": 8, "heads": 2, **arguments})
