"""What is handed to mixers and models is looked at before it is computed with: one line, and no traceback of torch."""

import math

import pytest
import torch
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
    linear_attention,
)
from rmaat.models.encoder import Block
from rmaat.models.registry import MEMBERS, build_model
from rmaat.models.streaming import Stream
from tests.rmaat.refusals import refuses

VARIANTS = [SoftmaxAttention, LinearAttention, AstromorphicAttention, RetNetAttention, DiagonalStateSpace]
X = torch.zeros(2, 6, 8)
ROWS = r"rows: expected shape \(batch, rows, 8\), each from 1, got"
MASK = r"mask: expected torch.bool of shape \(2, 6\), got"


@pytest.mark.parametrize(
    ("x", "mask", "message"),
    [
        (X, torch.ones(2, 6), rf"{MASK} torch.float32 \(2, 6\)"),
        (X, torch.ones(2, 6, dtype=torch.int64), rf"{MASK} torch.int64 \(2, 6\)"),
        (X, torch.ones(3, 6, dtype=torch.bool), rf"{MASK} torch.bool \(3, 6\)"),
        (X, torch.ones(1, 6, dtype=torch.bool), rf"{MASK} torch.bool \(1, 6\)"),
        (X, torch.ones(2, 1, dtype=torch.bool), rf"{MASK} torch.bool \(2, 1\)"),
        (X, torch.ones(6, dtype=torch.bool), rf"{MASK} torch.bool \(6,\)"),
        (X, [[True] * 6] * 2, f"{MASK} list"),
        (X[0], None, rf"{ROWS} torch.float32 \(6, 8\)"),
        (X[None], None, rf"{ROWS} torch.float32 \(1, 2, 6, 8\)"),
        (X[..., :4], None, rf"{ROWS} torch.float32 \(2, 6, 4\)"),
        (X[:, :0], None, rf"{ROWS} torch.float32 \(2, 0, 8\)"),
        (X[:0], None, rf"{ROWS} torch.float32 \(0, 6, 8\)"),
        (X.tolist(), None, f"{ROWS} list"),
        (X.double(), None, "rows: expected torch.float32, which the weights have, got torch.float64"),
        (X.long(), None, "rows: expected torch.float32, which the weights have, got torch.int64"),
    ],
)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_and_masks_of_a_mixer(variant, causal, x, mask, message):
    layer = variant(8, 2, causal)
    refuses(message, layer, x, mask)
    if causal and mask is None:
        refuses(message, layer.extend, x)


@pytest.mark.parametrize("variant", VARIANTS)
def test_mixers_that_cannot_be(variant):
    for width, heads, message in (
        (8, 0, "heads: expected a whole number from 1, got 0"),
        (8, -2, "heads: expected a whole number from 1, got -2"),
        (0, 1, "width: expected a whole number from 1, got 0"),
        (8.0, 2, "width: expected a whole number from 1, got 8.0"),
        (8, 3, "width: expected a multiple of heads = 3, got 8"),
    ):
        refuses(message, variant, width, heads)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiagonalStateSpace(8, 2, states=0), "states: expected a whole number from 1, got 0"),
        (lambda: AstromorphicAttention(8, 2, rule=Rule(math.nan)), "exponent: expected a finite number, got nan"),
        (lambda: AstromorphicAttention(8, 2, rule=Rule(m_scale=0.0)), "m_scale: expected a finite number above 0"),
        (lambda: RelativePosition(0, 4, 1, 5, 0.3), "heads: expected a whole number from 1, got 0"),
        (lambda: RelativePosition(2, 4, -1, 5, 0.3), "memory_rows: expected a whole number from 0, got -1"),
        (lambda: RelativePosition(2, 4, 0, 0, 0.3), "rows: expected a whole number from 1, got 0"),
        (lambda: RelativePosition(2, 4, 1, 5, -0.3), "decay: expected a finite number from 0, got -0.3"),
        (lambda: RelativePosition(2, 4, 1, 5, math.nan), "decay: expected a finite number from 0, got nan"),
    ],
)
def test_constants_that_cannot_be(make, message):
    refuses(message, make)


@pytest.mark.parametrize("causal", [False, True])
def test_functions_look_at_masks_and_at_relative_position(causal):
    q, k, v = torch.randn(3, 2, 2, 6, 4)
    for attend in (lambda mask: astromorphic(q, k, v, None, mask, Rule(), causal),
                   lambda mask: linear_attention(q, k, v, mask, causal)):  # fmt: skip
        for mask in (torch.ones(2, 6), torch.ones(1, 6, dtype=torch.bool)):
            refuses(MASK, attend, mask)
    # A single row, or a single head, would be spread over all of them.
    for shape in ((2, 1, 4), (1, 6, 4), (2, 7, 4), (6, 4)):
        with pytest.raises(InputError, match=r"shared: expected phi\(R\) of shape \(2, 6, 4\), got torch.float32"):
            astromorphic(q, k, v, torch.ones(shape), None, Rule(), causal)


@pytest.mark.parametrize("head", ["classify", "match", "language"])
@pytest.mark.parametrize("name", MEMBERS)
def test_tokens_and_lengths_of_a_model(config, laws, name, head):
    model = build_model(name, config.replace(head=head), laws).eval()
    shape = (2, 2, 7) if head == "match" else (2, 7)
    tokens = torch.ones(shape, dtype=torch.int64)
    for wrong in (tokens.float(), tokens.int(), tokens[0], tokens[..., :0], tokens[:0], tokens.tolist(), None):
        refuses("tokens: expected (int64 of shape|pairs, )", model, wrong)
    refuses("tokens: are on meta, expected cpu, where the model is", model, tokens.to("meta"))
    for wrong in (tokens - 2, tokens + 15):
        refuses("tokens: expected ids from 0 to 15, got ", model, wrong)
    lengths = torch.full(shape[:-1], 7)
    for wrong in (
        lengths.float(),
        lengths > 0,
        lengths.to(torch.complex64),
        lengths[:1],
        lengths + 1,
        lengths * 0,
        lengths.tolist(),
    ):
        refuses("lengths: expected . whole numbers from 1 to 7, got", model, tokens, wrong)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
@pytest.mark.parametrize("name", MEMBERS)
def test_a_trace_is_refused(config, laws, name):
    """It would keep the number of rows of its example, and be wrong at any other."""
    model = build_model(name, config, laws).eval()
    message = "torch.jit.trace: would be right at the length of its example alone; expected torch.compile"
    refuses(message, torch.jit.trace, model, torch.ones(1, 6, dtype=torch.int64))
    refuses(message, torch.jit.trace, model.encoder.blocks[0].attention, torch.zeros(1, 6, 8))


@pytest.mark.parametrize(("dtype", "readout"), [(torch.float16, "mean"), (torch.bfloat16, "last")])
@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_half_precision_is_finite_and_near_on_long_input(config, laws, name, dtype, readout):
    """Weights and rows have 11 or 8 bits, sums have float32: some roundings apart from float32, at 3,000 tokens."""
    torch.manual_seed(1)
    longer = config.replace(segment_length=1024, width=32, readout=readout)
    model = build_model(name, longer, laws).eval()
    for norm in (part for part in model.modules() if isinstance(part, nn.LayerNorm) and part.elementwise_affine):
        norm.bias.add_(200.0)  # of a trained model: rows that do not cancel in a sum
    tokens, lengths = torch.randint(1, 16, (2, 3000)), torch.tensor([3000, 2500])
    expected = model(tokens, lengths)
    found = model.to(dtype)(tokens, lengths)
    assert found.dtype == dtype
    assert torch.isfinite(found).all()
    bits = {torch.float16: 11, torch.bfloat16: 8}[dtype]
    assert (found.float() - expected).abs().max() <= 2.0 ** (6 - bits) * expected.abs().max()


@pytest.mark.parametrize("variant", [LinearAttention, AstromorphicAttention])
@torch.no_grad()
def test_a_block_in_float16_bears_results_beyond_its_range(config, variant):
    """Large rows: what is read grows with their power of 1.75 or so, while the norm behind it divides by its size."""
    torch.manual_seed(0)
    block = Block(variant(32, 2), config.replace(width=32)).eval()
    x = 3e3 * torch.randn(1, 200, 32)
    if isinstance(block.attention, AstromorphicAttention):
        assert block.attention(x).abs().max() > torch.finfo(torch.float16).max
    expected, _ = block(x, None, None)
    found, _ = block.half()(x.half(), None, None)
    assert found.dtype == torch.float16
    assert (found.float() - expected).abs().max() < 0.02 * expected.abs().max()
    with torch.autocast("cpu", torch.float16):
        near, _ = block.float()(x, None, None)
    assert (near.float() - expected).abs().max() < 0.02 * expected.abs().max()
    alone = variant(32, 2).half()
    assert alone(x.half() / 3e3).dtype == torch.float16


@torch.no_grad()
def test_relative_position_of_large_weights_is_finite_in_half(config, laws, batch):
    """R is cubic in W; trained weights need not be small."""
    for dtype in (torch.float16, torch.bfloat16):
        model = build_model("rmaat", config, laws).eval()
        model.encoder.relative.weight.mul_(40.0)
        assert model.encoder.relative().abs().max() > torch.finfo(torch.float16).max
        expected, found = model(*batch), model.to(dtype)(*batch)
        assert (found.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(
    ("dtype", "readout"), [(torch.float16, "mean"), (torch.float16, "memory"), (torch.bfloat16, "last")]
)
@torch.no_grad()
def test_a_long_stream_in_half_precision_is_the_sequence(config, laws, dtype, readout):
    model = build_model("rmaat", config.replace(memory_rule="none", readout=readout), laws).eval()
    model.encoder.blocks[-1].norm_feedforward.bias.add_(300.0)
    model = model.to(dtype)
    tokens, stream = torch.randint(1, 16, (1, 6 * 120)), Stream(model, 1)
    for part in tokens.split(6, dim=1):
        stream.push(part)
    expected = model(tokens)
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(stream.logits(), expected, rtol=0, atol=2.0**-6 * float(expected.abs().max()))
