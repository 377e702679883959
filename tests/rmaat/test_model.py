"""RMAAT as a whole: the law reaches the output, padding does not, and bad input is refused."""

import pytest
import torch

from astro_sim.common.errors import InputError
from bridge.laws import Laws
from rmaat.models.base import evaluating
from rmaat.models.encoder import sinusoids
from rmaat.models.registry import RMAAT, build_model

RULES = ["scale", "consolidate", "none"]
READOUTS = ["memory", "last", "mean"]


def logits(config, laws, batch, dtype=torch.float64):
    torch.manual_seed(1)
    model = RMAAT(config, laws).to(dtype).eval()
    with torch.no_grad():
        return model(*batch)


def test_the_rule_none_ignores_the_law(config, laws, other_laws, batch):
    config = config.replace(memory_rule="none")
    assert torch.equal(logits(config, laws, batch), logits(config, other_laws, batch))
    assert torch.equal(logits(config, laws, batch), logits(config, None, batch))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("rule", RULES)
def test_padding_and_order_change_nothing(config, laws, batch, rule, readout):
    """Nor what stands in the padding; a batch has the logits of its sequences alone."""
    config = config.replace(memory_rule=rule, readout=readout)
    (tokens, lengths), expected = batch, logits(config, laws, batch)
    longer, order = torch.nn.functional.pad(tokens, (0, 40)), torch.tensor([2, 0, 1])
    alone = torch.cat([logits(config, laws, (tokens[i : i + 1, :n], None)) for i, n in enumerate(lengths)])
    for again in (
        logits(config, laws, (longer, lengths)),
        logits(config, laws, (longer.masked_fill(longer == 0, 7), lengths)),
        logits(config, laws, (tokens[order], lengths[order]))[order.argsort()],
        alone,
    ):
        torch.testing.assert_close(again, expected, rtol=0, atol=1e-12)


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
        ("paper", rich, 0.25),
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
    link = encoder.begin(2)
    for t, part in enumerate(tokens.split(6, dim=1)):
        link, written, _ = encoder(link, part, None, factors[:, t], None, shared)
    read = link.memory if merged else written
    torch.testing.assert_close(model(tokens), model.head(read.mean(1)), rtol=0, atol=1e-13)
    if rule != "none":
        assert (link.memory - written).abs().max() > 1e-3


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
