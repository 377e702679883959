"""RMAAT as a whole: the law reaches the output, padding does not, and bad input is refused."""

import pytest
import torch

from astro_sim.common.errors import InputError
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.base import evaluating
from rmaat.models.encoder import sinusoids
from rmaat.models.registry import RMAAT, build_model
from tests.rmaat.refusals import refuses

RULES = ["scale", "consolidate", "none"]
READOUTS = ["memory", "last", "mean"]


def logits(config, laws, batch, dtype=torch.float64):
    torch.manual_seed(1)
    model = RMAAT(config, laws).to(dtype).eval()
    with torch.no_grad():
        return model(*batch)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("rule", ["scale", "consolidate"])
def test_changing_the_law_changes_the_output(config, laws, other_laws, batch, rule, readout):
    """A block that began with LayerNorm would fail this silently: it ignores the scale of the memory rows."""
    config = config.replace(memory_rule=rule, readout=readout, presynaptic_exponent=0.25, spatial_decay=1.0)
    difference = (logits(config, laws, batch) - logits(config, other_laws, batch)).abs()
    assert difference[0].max() > 1e-4  # five segments; far above rounding (1e-16)


def test_the_rule_none_ignores_the_law(config, laws, other_laws, batch):
    config = config.replace(memory_rule="none")
    assert torch.equal(logits(config, laws, batch), logits(config, other_laws, batch))
    assert torch.equal(logits(config, laws, batch), logits(config, None, batch))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_padding_changes_nothing(config, laws, batch, rule, readout, dtype, bound):
    config = config.replace(memory_rule=rule, readout=readout)
    tokens, lengths = batch
    expected = logits(config, laws, batch, dtype)
    longer = torch.nn.functional.pad(tokens, (0, 40))
    filled = torch.where(longer == 0, 7, longer)  # what stands in the padding does not matter either
    torch.testing.assert_close(logits(config, laws, (longer, lengths), dtype), expected, rtol=0, atol=bound)
    torch.testing.assert_close(logits(config, laws, (filled, lengths), dtype), expected, rtol=0, atol=bound)
    alone = torch.cat([logits(config, laws, (tokens[i : i + 1, :n], None), dtype) for i, n in enumerate(lengths)])
    torch.testing.assert_close(alone, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("rule", RULES)
def test_permuting_the_batch_permutes_the_output(config, laws, batch, rule):
    config = config.replace(memory_rule=rule)
    tokens, lengths = batch
    order = torch.tensor([2, 0, 1])
    again = logits(config, laws, (tokens[order], lengths[order]))
    torch.testing.assert_close(again, logits(config, laws, batch)[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("readout", ["memory", "last"])
@pytest.mark.parametrize("rule", RULES)
def test_memory_carries_the_first_segment_to_the_end(config, laws, rule, readout):
    config = config.replace(memory_rule=rule, readout=readout)
    tokens = torch.randint(1, 16, (1, 24))
    changed = tokens.clone()
    changed[0, 0] = 1 + tokens[0, 0] % 15
    assert not torch.equal(logits(config, laws, (tokens,)), logits(config, laws, (changed,)))


@pytest.mark.parametrize("rule", RULES)
def test_memory_reaches_the_head_in_long_sequences(config, laws, rule):
    """At T = 64 "scale" hands on 1e-5 of what it wrote; the head must not see zeros."""
    config = config.replace(memory_rule=rule, readout="memory", segment_length=2)
    tokens = torch.randint(1, 16, (2, 128))
    different = logits(config, laws, (tokens,), torch.float32)
    assert (different[0] - different[1]).abs().max() > 1e-3  # logits of order one; the bias alone would give 0


def test_a_segment_must_not_be_longer_than_the_model_is(config, laws):
    model = RMAAT(config, laws)
    tokens = torch.ones(1, 7, dtype=torch.int64)
    with pytest.raises(InputError, match="segment: expected at most 6 tokens, got 7"):
        model.segment(model.encoder.begin(1), tokens, tokens > 0, torch.ones(1), torch.tensor([True]), None)


def test_exponent_and_decay_come_from_setting_then_laws_then_paper(config, laws):
    both = laws.document.model_copy(
        update={
            name: laws.document.retention.amplitude.model_copy(update={"value": value, "unit": unit})
            for name, value, unit in (("presynaptic_exponent", 0.7, "1"), ("spatial_decay", 0.3, "1/spacing"))
        }
    )
    rich = Laws(both)
    for given, chosen, expected in (
        (None, rich, 0.7),
        (None, laws, 0.25),
        (0.4, rich, 0.4),
        (None, None, 0.25),
    ):
        changed = config.replace(presynaptic_exponent=given, memory_rule="none").with_laws(chosen)
        assert changed.presynaptic_exponent == expected
    assert config.with_laws(rich).spatial_decay == 0.3
    assert config.replace(tokens_per_spacing=4.0).with_laws(rich).spatial_decay == 0.075
    assert config.with_laws(laws).spatial_decay == 1.0


def test_sinusoids():
    table = sinusoids(50, 8)
    position = torch.arange(50.0)
    for i in range(4):
        angle = position / 10_000 ** (2 * i / 8)
        torch.testing.assert_close(table[:, 2 * i], angle.sin(), rtol=0, atol=1e-5)  # float32 angles up to 50
        torch.testing.assert_close(table[:, 2 * i + 1], angle.cos(), rtol=0, atol=1e-5)
    assert sinusoids(3, 5).shape == (3, 5)


def test_settings_switch_parts_off(config, laws, batch):
    base = logits(config, laws, batch)
    for change in ({"relative_position": False}, {"normalisation": "paper"}, {"sigmoid": True}):
        assert not torch.equal(logits(config.replace(**change), laws, batch), base)


@pytest.mark.parametrize(("rule", "merged"), [("consolidate", True), ("scale", False), ("none", False)])
@torch.no_grad()
def test_the_readout_memory_reads_what_it_says(config, laws, rule, merged):
    """Under "consolidate" the memory that is handed on; else what the last segment wrote, before any factor."""
    torch.manual_seed(1)
    model = RMAAT(config.replace(memory_rule=rule, readout="memory"), laws).double().eval()
    tokens, encoder = torch.randint(1, 16, (2, 18)), model.encoder
    factors, shared = encoder.factors([3, 3], 3), encoder.shared()
    memory = encoder.begin(2)
    for t, part in enumerate(tokens.split(6, dim=1)):
        memory, written, _ = encoder(memory, part, None, factors[:, t], None, shared)
    read = memory if merged else written
    torch.testing.assert_close(model(tokens), model.head(read.mean(1)), rtol=0, atol=1e-13)
    if rule != "none":
        assert (memory - written).abs().max() > 1e-3


@torch.no_grad()
def test_padding_beyond_the_longest_is_cut(config, laws):
    model = build_model("transformer", config.replace(max_length=10), laws).eval()
    tokens, lengths = torch.randint(1, 16, (2, 14)), torch.tensor([10, 4])
    torch.testing.assert_close(model(tokens, lengths), model(tokens[:, :10], lengths), rtol=0, atol=0)


def test_evaluation_mode_ends_as_it_began(config, laws):
    model = RMAAT(config, laws)
    model.encoder.blocks[0].eval()

    def stop_inside():
        with evaluating(model):
            assert not any(part.training for part in model.modules())
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop_inside()
    assert model.training
    assert model.encoder.blocks[1].training
    assert not model.encoder.blocks[0].training


def bad(tokens, lengths=None):
    return tokens, lengths


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (bad(torch.tensor([[1, 16]])), "tokens: expected ids from 0 to 15, got 1 to 16"),
        (bad(torch.tensor([[-1, 3]])), "tokens: expected ids from 0 to 15, got -1 to 3"),
        (
            bad(torch.tensor([1, 2])),
            r"tokens: expected int64 of shape \(batch, length\), got torch.int64 \(2,\)",
        ),
        (bad(torch.tensor([[1.0]])), r"tokens: expected int64 of shape \(batch, length\), got torch.float32"),
        (
            bad(torch.tensor([[1, 2]]), torch.tensor([3])),
            r"lengths: expected 1 whole numbers from 1 to 2, got \[3\]",
        ),
        (
            bad(torch.tensor([[1, 2]]), torch.tensor([0])),
            r"lengths: expected 1 whole numbers from 1 to 2, got \[0\]",
        ),
        (
            bad(torch.tensor([[1, 2]]), torch.tensor([1.5])),
            r"lengths: expected 1 whole numbers from 1 to 2, got \[1.5\]",
        ),
        (bad(torch.tensor([[1, 2]]), torch.tensor([1, 1])), "lengths: expected 1 whole numbers"),
    ],
)
def test_bad_input_is_refused(config, laws, given, message):
    model = RMAAT(config, laws)
    refuses(message, model, *given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_length": 0}, "segment_length: expected greater than or equal to 1 .tokens., got 0"),
        ({"memory_tokens": 0}, "memory_tokens: expected greater than or equal to 1, got 0"),
        ({"memory_rule": "scales"}, "memory_rule: expected 'scale', 'consolidate' or 'none', got 'scales'"),
        ({"backward": "rtrl"}, "backward: expected 'amrb', 'bptt' or 'truncated', got 'rtrl'"),
        ({"width": 10, "heads": 4}, "width: expected a multiple of heads = 4, got 10"),
        ({"dropout": 1.0}, "dropout: expected less than 1, got 1.0"),
        ({"presynaptic_exponent": -0.1}, "presynaptic_exponent: expected greater than 0 or 'paper', got -0.1"),
        ({"memory_token": 3}, "unknown setting 'memory_token' of RMAATConfig; did you mean 'memory_tokens'?"),
    ],
)
def test_bad_settings_are_refused(change, message):
    refuses(message.replace("?", r"\?"), RMAATConfig, **{"vocabulary": 16, "classes": 10, **change})


def test_models_are_built_by_name(config, laws):
    assert isinstance(build_model("rmaat", config, laws), RMAAT)
    refuses(r"unknown model 'rmat'; did you mean 'rmaat'\?", build_model, "rmat", config, laws)
    refuses("memory_rule: 'consolidate' needs laws", build_model, "rmaat", config)
