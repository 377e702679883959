"""What every attention variant promises, and each against its own definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from astro_sim.common.errors import InputError
from rmaat.attention import (
    AstromorphicAttention,
    DiagonalStateSpace,
    LinearAttention,
    RelativePosition,
    RetNetAttention,
    Rule,
    SoftmaxAttention,
    astromorphic,
    astromorphic_reference,
    feature_map,
    linear_attention,
    linear_reference,
    softmax_reference,
)
from rmaat.attention.features import power, reciprocal
from rmaat.attention.position import rotate
from rmaat.attention.retnet import retention_reference
from rmaat.attention.scan import causal_read, decayed_sums
from rmaat.attention.state_space import kernel, kernel_reference
from tests.rmaat.refusals import refuses

VARIANTS = [SoftmaxAttention, LinearAttention, AstromorphicAttention, RetNetAttention, DiagonalStateSpace]
# Relative to the largest entry: rounding of sums over some seventy rows.
BOUND = {torch.float32: 1e-6, torch.float64: 1e-12}


def error(fast, slow):
    return float(((fast - slow).abs().max() / slow.abs().max()).detach())


def rows(dtype=torch.float64, batch=2, count=70, width=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, count, width, generator=g, dtype=dtype)
    mask = torch.rand(batch, count, generator=g) < 0.7
    mask[:, :3] = True
    return x, mask


def heads(layer, x):
    """Queries, keys and values of every head, by the projection's matrix cut in three."""
    return [
        torch.stack((x @ w.T).split(x.shape[-1] // layer.heads, dim=-1), dim=1)
        for w in layer.project.weight.split(x.shape[-1])
    ]


def joined(y):
    return torch.cat(list(y.unbind(1)), dim=-1)


def literal(layer, x, mask):
    """What a layer computes, from the definition of its variant."""
    if isinstance(layer, DiagonalStateSpace):
        a = torch.complex(-layer.log_decay.exp(), layer.frequency)
        step = layer.log_step.exp()[:, None] * a
        c = torch.complex(layer.read[..., 0], layer.read[..., 1]) * (torch.exp(step) - 1) / a
        table = kernel_reference(step, c, x.shape[1])  # (directions, d, L)
        u = torch.where(mask[..., None], x, 0.0)
        y = layer.skip * u
        for n in range(x.shape[1]):
            for j in range(x.shape[1]):
                if j <= n:
                    y[:, n] = y[:, n] + table[0, :, n - j] * u[:, j]
                elif not layer.causal:
                    y[:, n] = y[:, n] + table[1, :, j - n - 1] * u[:, j]
        a, b = layer.out(nn.functional.gelu(y)).chunk(2, dim=-1)
        return a * torch.sigmoid(b)
    q, k, v = heads(layer, x)
    if isinstance(layer, SoftmaxAttention):
        y = softmax_reference(q, k, v, mask, layer.causal)
    elif isinstance(layer, LinearAttention):
        y = linear_reference(q, k, v, mask, layer.causal)
    elif isinstance(layer, AstromorphicAttention):
        y = astromorphic_reference(q, k, v, None, mask, layer.rule, layer.causal)
    else:
        places = torch.arange(q.shape[2])
        q, k = rotate(q, places), rotate(k, places) * k.shape[-1] ** -0.5
        y = retention_reference(q, k, v, layer.decay, mask, layer.causal)
        y = (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        gate = layer.gate(x)
        return layer.out(gate * torch.sigmoid(gate) * joined(y))
    return layer.out(joined(y))


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_its_definition(variant, causal, dtype):
    """The definition in float64 throughout: the bound on float32 is that of the fast path alone."""
    layer = variant(8, 2, causal).double()
    x, mask = rows()
    with torch.no_grad():
        slow = literal(layer, x, mask)[mask]
        fast = layer.to(dtype)(x.to(dtype), mask)[mask]
    # RetNet divides each head by its own deviation, where differences of products are small: ten times the rounding.
    room = 10 if variant is RetNetAttention else 1
    assert error(fast.double(), slow) < room * BOUND[dtype]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_outside_the_mask_change_nothing(variant, causal):
    """They may be large, or NaN, or more rows; gradients stay finite."""
    layer = variant(8, 2, causal).double()
    x, mask = rows()
    expected = layer(x, mask)
    assert torch.isfinite(expected).all()
    for other in (1e3 * torch.randn_like(x), torch.full_like(x, torch.nan)):
        again = layer(torch.where(mask[..., None], x, other), mask)
        assert torch.isfinite(again).all()
        torch.testing.assert_close(again[mask], expected[mask], rtol=0, atol=1e-12)
    again[mask].sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())
    padded = layer(nn.functional.pad(x, (0, 0, 0, 45)), nn.functional.pad(mask, (0, 45)))[:, :70]
    torch.testing.assert_close(padded[mask], expected[mask], rtol=0, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_wanted_rows_are_those_of_the_whole(variant, causal, masked):
    layer = variant(8, 2, causal).double()
    x, mask = rows()
    torch.testing.assert_close(layer(x), layer(x, torch.ones_like(mask)), rtol=0, atol=1e-14)
    mask = mask if masked else None
    for wanted in (slice(3), slice(60, None)):
        found, whole = layer(x, mask, rows=wanted), layer(x, mask)[:, wanted]
        real = slice(None) if mask is None else mask[:, wanted]
        torch.testing.assert_close(found[real], whole[real], rtol=0, atol=1e-13)


@pytest.mark.parametrize("variant", VARIANTS)
def test_causal_rows_do_not_see_what_follows(variant):
    layer = variant(8, 2, True).double()
    x, _ = rows()
    changed = x.clone()
    changed[:, 40:] += 10.0
    before, after = layer(x), layer(changed)
    # The state space convolves by Fourier transforms, which leave rounding of later rows in earlier ones.
    torch.testing.assert_close(before[:, :40], after[:, :40], rtol=0, atol=1e-12)
    assert (before[:, 40:] - after[:, 40:]).abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("variant", [SoftmaxAttention, LinearAttention, AstromorphicAttention, RetNetAttention])
def test_causal_equals_bidirectional_on_the_last_row(variant):
    """The state space is left out: read from its end, a sequence has parameters of its own."""
    both, causal = variant(8, 2).double(), variant(8, 2, True).double()
    causal.load_state_dict(both.state_dict())
    x, _ = rows()
    torch.testing.assert_close(both(x)[:, -1], causal(x)[:, -1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("with_position", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_sequence_in_pieces_is_the_sequence(variant, with_position):
    """The recurrent form, by single rows and by pieces across chunks of 64, against all rows at once."""
    layer = variant(8, 2, True).double()
    x, _ = rows(count=150)
    shared = RelativePosition(2, 4, 0, 150, 0.3).double().features().detach() if with_position else None
    whole, pieces, state = layer(x, shared=shared), [], None
    for start, end in [(0, 1), (1, 2), (2, 70), (70, 134), (134, 150)]:
        part = None if shared is None else shared[:, start:end]
        piece, state = layer.extend(x[:, start:end], state, part)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_a_causal_one_goes_on(variant):
    refuses(f"{variant.__name__}: only a causal one can go on row by row", variant(8, 2).extend, torch.zeros(1, 1, 8))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients(variant, causal):
    """Finite differences in float64 for the input and every parameter, some rows masked."""
    torch.manual_seed(0)
    layer = variant(4, 2, causal).double()
    x, mask = rows(count=6, width=4)
    names = [name for name, _ in layer.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]

    def run(x, *parameters):
        y = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, mask))
        return torch.where(mask[..., None], y, 0.0)

    assert torch.autograd.gradcheck(run, [x.requires_grad_(), *values], fast_mode=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision_under_autocast_stays_near(variant):
    """bfloat16 has 8 bits: 2 % of the largest entry is five roundings."""
    layer = variant(8, 2)
    x, mask = rows(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(x, mask)
    assert error(half[mask].float(), layer(x, mask)[mask]) < 0.02


@pytest.mark.parametrize("m_scale", [None, 50.0])
@pytest.mark.parametrize(("causal", "sigmoid"), [(False, False), (False, True), (True, False)])
def test_without_feedback(causal, sigmoid, m_scale):
    """y_n = phi(q_n) act(H / m): against the definition, and no division by the response."""
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, 20, 4, generator=g, dtype=torch.float64) for _ in range(3))
    relative = torch.randn(2, 20, 4, generator=g, dtype=torch.float64)
    mask = torch.rand(2, 20, generator=g) < 0.8
    mask[:, 0] = True
    rule = Rule(0.25, m_scale, sigmoid, feedback=False)
    slow = astromorphic_reference(q, k, v, relative, mask, rule, causal)
    fast = astromorphic(q, k, v, feature_map(relative), mask, rule, causal)
    assert error(fast * mask[:, None, :, None], slow) < 1e-12


def test_linear_attention_over_silent_keys_is_zero():
    q, v = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 3, 4)
    k = torch.full_like(q, -1e4).requires_grad_()
    y, _ = linear_attention(q, k, v)
    assert torch.equal(y, torch.zeros_like(y))
    y.sum().backward()
    assert torch.isfinite(k.grad).all()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), chunk=st.integers(1, 50), cut=st.integers(0, 40), seed=st.integers(0, 99))
def test_causal_read_for_any_length_chunk_and_start(count, chunk, cut, seed):
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, count, 3, generator=g, dtype=torch.float64) for _ in range(3))
    expected = (q @ k.transpose(1, 2)).tril() @ v
    first, state = causal_read(q[:, :cut], k[:, :cut], v[:, :cut], chunk) if 0 < cut < count else (q[:, :0], None)
    start = cut if 0 < cut < count else 0
    second, state = causal_read(q[:, start:], k[:, start:], v[:, start:], chunk, state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, k.transpose(1, 2) @ v, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 70), decay=st.floats(0.001, 5.0), tensor=st.booleans())
def test_decayed_sums_are_their_recurrence(count, decay, tensor):
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    expected, state = [], torch.zeros(2, dtype=torch.float64)
    for row in x:
        state = state * torch.exp(torch.tensor(-decay, dtype=torch.float64)) + row
        expected.append(state)
    found = decayed_sums(x, torch.tensor([[decay]], dtype=torch.float64) if tensor else decay)
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 200), seed=st.integers(0, 99))
def test_state_space_kernel_from_short_tables(length, seed):
    g = torch.Generator().manual_seed(seed)
    step = torch.complex(-torch.rand(3, 4, generator=g), 3 * torch.randn(3, 4, generator=g)).to(torch.complex128)
    gain = torch.randn(2, 3, 4, generator=g, dtype=torch.complex128)
    expected = kernel_reference(step, gain, length)
    torch.testing.assert_close(kernel(step, gain, length), expected, rtol=0, atol=1e-11)  # phases up to 200 * 10


def test_feature_map_has_its_own_backward():
    """Against autograd through the formula, second derivatives too, and per example under vmap."""
    x = torch.linspace(-4, 4, 33, dtype=torch.float64).requires_grad_()
    formula = x.clamp(max=0).exp() + x.relu()
    (expected,) = torch.autograd.grad(formula.sum(), x)
    (found,) = torch.autograd.grad(feature_map(x).sum(), x)
    # At 0 autograd counts the slope of the clamp alone.
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    away = torch.tensor([-2.0, -0.3, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(feature_map, [away])
    assert torch.autograd.gradgradcheck(feature_map, [away])
    mapped = torch.func.vmap(torch.func.grad(lambda z: feature_map(z).sum()))(away.detach()[:, None])
    torch.testing.assert_close(mapped[:, 0], away.clamp(max=0).exp(), rtol=1e-12, atol=0)


def test_power_and_reciprocal_are_tame_at_zero():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    for function, expected, slope in ((lambda z: power(z, 0.5), [0.0, 2.0], 0.25), (reciprocal, [0.0, 0.25], -1 / 16)):
        y = function(x)
        assert y.tolist() == expected
        (grad,) = torch.autograd.grad(y.sum(), x)
        assert grad.tolist() == [0.0, slope]


def test_constants_are_the_papers():
    """RetNet: rates, and angles between neighbours; S4D-Lin: A; relative position: the spread of W."""
    layer = RetNetAttention(16, 4)
    expected = -torch.log(1 - torch.tensor([1 / 32, 1 / 64, 1 / 128, 1 / 256], dtype=torch.float64))
    torch.testing.assert_close(layer.decay, expected, rtol=1e-14, atol=0)
    ones = torch.cat([torch.ones(3, 4), torch.zeros(3, 4)], dim=1).double()  # angle 0 in every pair
    turned = rotate(ones, torch.arange(3))
    angles = torch.atan2(turned[1, 4:], turned[1, :4])
    torch.testing.assert_close(angles, torch.tensor([1.0, 0.1, 0.01, 0.001]).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(rotate(ones, torch.arange(1, 4))[:2], turned[1:], rtol=0, atol=1e-15)
    space = DiagonalStateSpace(4, 1, states=3)
    torch.testing.assert_close(-space.log_decay.exp(), torch.full((4, 3), -0.5))
    torch.testing.assert_close(space.frequency[0], torch.tensor([0.0, 3.14159265, 6.28318531]))
    steps = DiagonalStateSpace(4000, 1).log_step.exp()
    assert 1e-3 <= steps.min() < 1.1e-3
    assert 0.09 < steps.max() <= 0.1
    position = RelativePosition(4, 32, 16, 512, 0.3)
    assert float(position.weight.detach().std()) == pytest.approx(528**-0.5, rel=0.02)  # 67,584 draws: 0.3 %


def test_retnet_needs_pairs_of_features():
    for width, count in ((8, 8), (6, 2), (7, 1)):
        with pytest.raises(
            InputError, match=f"width: expected an even number of features a head, got {width // count}"
        ):
            RetNetAttention(width, count)


def test_tiny_responses_do_not_overflow():
    """phi near the smallest number of float32: the quotient's 1 / x would be infinite."""
    for size in (46.0, 80.0, 95.0):
        q = torch.full((1, 1, 4, 2), -size, requires_grad=True)
        y, _ = linear_attention(q, q, torch.ones(1, 1, 4, 2))
        z = astromorphic(q, torch.zeros_like(q), torch.ones(1, 1, 4, 2), None, None, Rule(0.25))
        assert torch.isfinite(y).all()
        assert torch.isfinite(z).all()
        (y.sum() + z.sum()).backward()
        assert torch.isfinite(q.grad).all()
