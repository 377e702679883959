"""Astromorphic attention: the linear-time form against the row-by-row definition, its limits and its edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.common.errors import InputError
from rmaat.attention import (
    AstromorphicAttention,
    RelativePosition,
    Rule,
    astromorphic_reference,
    feature_map,
)
from rmaat.attention import astromorphic as attend
from rmaat.attention.features import wide
from rmaat.attention.scan import exponential_kernel
from tests.rmaat.refusals import refuses

RULES = [
    Rule(0.25),
    Rule(1.0),
    Rule(1.3),
    Rule(0.25, m_scale=50.0),
    Rule(0.25, sigmoid=True),
    Rule(0.25, 50.0, True),
]
# Relative to max |L|: rounding of sums over some seventy rows, with room.
BOUND = {torch.float32: 1e-6, torch.float64: 1e-12}


def inputs(rows, dtype, heads=2, m=5, d_v=4, batch=2, memory=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(batch, heads, rows, m, generator=g, dtype=dtype) for _ in range(2))
    v = torch.randn(batch, heads, rows, d_v, generator=g, dtype=dtype)
    relative = torch.randn(heads, rows, m, generator=g, dtype=dtype)
    mask = torch.rand(batch, rows, generator=g) < 0.7
    mask[:, :memory] = True
    return q, k, v, relative, mask


def astromorphic(q, k, v, relative, *rest, **options):
    """With R itself, as the definition takes it."""
    return attend(q, k, v, None if relative is None else feature_map(wide(relative)), *rest, **options)


def error(fast, slow, mask):
    return float(((fast - slow) * mask[:, None, :, None]).abs().max() / slow.abs().max())


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("rule", "causal"), [(r, c) for r in RULES for c in (False, True) if not (c and r.sigmoid)])
@pytest.mark.parametrize("with_relative", [True, False])
def test_equals_the_definition(dtype, causal, rule, with_relative):
    q, k, v, relative, mask = inputs(70, dtype)
    relative = relative if with_relative else None
    slow = astromorphic_reference(q, k, v, relative, mask, rule, causal)
    assert error(astromorphic(q, k, v, relative, mask, rule, causal, chunk=16), slow, mask) < BOUND[dtype]


@settings(max_examples=30)
@given(rows=st.integers(1, 20), chunk=st.integers(1, 25), causal=st.booleans(), seed=st.integers(0, 99))
def test_equals_the_definition_for_any_length_and_chunk(rows, chunk, causal, seed):
    q, k, v, relative, mask = inputs(rows, torch.float64, memory=min(1, rows), seed=seed)
    slow = astromorphic_reference(q, k, v, relative, mask, Rule(0.25), causal)
    assert error(astromorphic(q, k, v, relative, mask, Rule(0.25), causal, chunk), slow, mask) < 1e-12


def test_is_linear_attention_in_the_limit():
    """No H_astro, alpha 1: phi(Q) phi(K)^T V / (phi(Q) sum phi(k))."""
    q, k, v, _, mask = inputs(30, torch.float64)
    scores = (feature_map(q) @ feature_map(k).transpose(-1, -2)) * mask[:, None, None, :]
    expected = scores @ v / scores.sum(-1, keepdim=True)
    assert error(astromorphic(q, k, v, None, mask, Rule(1.0)), expected, mask) < 1e-12


def test_causal_rows_ignore_what_follows():
    """To the bit, in float32, with huge numbers behind and chunks that the cut goes through."""
    q, k, v, relative, mask = inputs(33, torch.float32)
    before = astromorphic(q, k, v, relative, mask, Rule(0.25), causal=True, chunk=8)
    changed = [part.clone() for part in (q, k, v)]
    for part in changed:
        part[:, :, 20:] += 1e8
    after = astromorphic(*changed, relative, mask, Rule(0.25), causal=True, chunk=8)
    assert torch.equal(before[:, :, :20], after[:, :, :20])
    assert not torch.equal(before[:, :, 20:], after[:, :, 20:])


def test_a_silent_presynaptic_state_gives_zero_and_finite_gradients():
    """Keys so negative that phi(K) underflows: C = 0, the read is 0, and 0^alpha must not leak its infinite slope."""
    q, _, v, relative, mask = inputs(6, torch.float32)
    k = torch.full_like(q, -1e4).requires_grad_()
    out = astromorphic(q, k, v, relative, mask, Rule(0.25))
    assert torch.equal(out, torch.zeros_like(out))
    out.sum().backward()
    assert torch.isfinite(k.grad).all()


def test_feature_map_is_elu_plus_one_and_stays_positive():
    x = torch.linspace(-40, 40, 401, dtype=torch.float64)
    torch.testing.assert_close(feature_map(x), torch.nn.functional.elu(x) + 1, rtol=1e-12, atol=1e-15)
    assert (feature_map(torch.tensor([-17.5, -60.0])) > 0).all()  # where elu(x) + 1 is 0 in float32
    zero = torch.zeros(1, requires_grad=True)
    feature_map(zero).backward()
    assert zero.grad == 1.0  # both branches meet here with slope 1; counted once


def test_half_precision_is_computed_in_float32():
    q, k, v, relative, mask = inputs(40, torch.float32)
    half = [part.bfloat16() for part in (q, k, v, relative)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = astromorphic(*half, mask, Rule(0.25))
    assert out.dtype == torch.float32
    expected = astromorphic(*(part.float() for part in half), mask, Rule(0.25))
    assert torch.equal(out, expected)


def test_mean_form_does_not_grow_with_length_and_the_literal_form_does():
    """Repeating every row four times leaves the mean form as it is and multiplies the literal one by 4^(1 - alpha)."""
    q, k, v, _, mask = inputs(8, torch.float64)
    mask[:] = True
    again = [part.repeat(1, 1, 4, 1) for part in (q, k, v)]
    for rule, growth in ((Rule(0.25), 1.0), (Rule(0.25, 50.0), 4**0.75)):
        short = astromorphic(q, k, v, None, mask, rule)
        long = astromorphic(*again, None, mask.repeat(1, 4), rule)[:, :, :8]
        torch.testing.assert_close(long, growth * short, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("memory", "tokens"), [(0, 1), (1, 1), (4, 0), (3, 37), (8, 64)])
def test_relative_position_equals_its_matrix_form(memory, tokens):
    layer = RelativePosition(2, 5, memory, tokens, decay=0.3).double()
    torch.testing.assert_close(layer(), layer.reference(), rtol=1e-12, atol=1e-13)


@settings(max_examples=40)
@given(rows=st.integers(1, 70), decay=st.floats(0.01, 5.0))
def test_exponential_kernel_equals_its_matrix(rows, decay):
    x = torch.randn(rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(rows))
    place = torch.arange(rows, dtype=torch.float64)
    matrix = torch.exp(-decay * (place[:, None] - place).abs())
    torch.testing.assert_close(exponential_kernel(x, decay), matrix @ x, rtol=1e-11, atol=1e-12)


def test_gradients_of_the_attention_in_float64():
    q, k, v, relative, mask = inputs(7, torch.float64, heads=1, m=3, d_v=2)
    parts = [part.requires_grad_() for part in (q, k, v, relative)]
    for rule, causal in ((Rule(0.25), False), (Rule(0.25), True), (Rule(0.6, 5.0, True), False)):
        assert torch.autograd.gradcheck(
            lambda q, k, v, r, rule=rule, causal=causal: astromorphic(q, k, v, r, mask, rule, causal, chunk=4),
            parts,
        )
    layer = RelativePosition(1, 2, 1, 3, decay=0.5).double()
    weight = layer.weight.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: torch.func.functional_call(layer, {"weight": w}, ()), [weight])


@pytest.mark.parametrize("causal", [False, True])
def test_module_attends_per_head(causal):
    """Projections, heads with their relative positions, output: against the definition head by head."""
    layer = AstromorphicAttention(8, 2, causal=causal).double()
    position = RelativePosition(2, 4, memory_rows=3, tokens=7, decay=0.5).double()
    x = torch.randn(2, 10, 8, dtype=torch.float64)
    mask = torch.rand(2, 10) < 0.8
    mask[:, :3] = True
    w_q, w_k, w_v = layer.project.weight.split(8)
    heads = []
    for head in range(2):
        rows = slice(4 * head, 4 * head + 4)
        q, k, v = ((x @ w[rows].T)[:, None] for w in (w_q, w_k, w_v))
        relative = position.reference()[head : head + 1]
        heads.append(astromorphic_reference(q, k, v, relative, mask, Rule(0.25), causal)[:, 0])
    expected = layer.out(torch.cat(heads, dim=-1))
    found = layer(x, mask, position.features())
    torch.testing.assert_close(found[mask], expected[mask], rtol=1e-12, atol=1e-13)


def test_relative_position_keeps_its_precision_under_autocast():
    layer = RelativePosition(2, 5, 3, 37, decay=0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(), layer.float()())
        assert layer().dtype == torch.float32


def test_sigmoid_is_refused_with_causal():
    refuses("sigmoid: not with causal attention", AstromorphicAttention, 8, 2, True, Rule(0.25, sigmoid=True))
    q, k, v, relative, mask = inputs(4, torch.float64)
    with pytest.raises(InputError, match="sigmoid: not with causal attention"):
        astromorphic(q, k, v, relative, mask, Rule(0.25, sigmoid=True), causal=True)
