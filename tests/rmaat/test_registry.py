"""The family: every model under one roof keeps the same promises."""

import pytest
import torch

from astro_sim.common.errors import InputError
from rmaat.config import MODELS, RMAATConfig
from rmaat.models.classifier import SequenceClassifier
from rmaat.models.language import LanguageModel
from rmaat.models.registry import MEMBERS, RMAAT, build_model, count_parameters, get, resolve, without_effect
from rmaat.models.streaming import Stream
from tests.rmaat.refusals import refuses

RECURRENT = [name for name, member in MEMBERS.items() if member.recurrent]
AT_ONCE = [name for name in MEMBERS if name not in RECURRENT]


def made(name, config, laws, dtype=torch.float64):
    torch.manual_seed(1)
    return build_model(name, config, laws).to(dtype).eval()


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_padding_and_order_change_nothing(config, laws, batch, name, dtype, bound, readout):
    model = made(name, config.replace(readout=readout), laws, dtype)
    tokens, lengths = batch
    expected = model(tokens, lengths)
    longer = torch.where((longer := torch.nn.functional.pad(tokens, (0, 40))) == 0, 7, longer)
    torch.testing.assert_close(model(longer, lengths), expected, rtol=0, atol=bound)
    alone = torch.cat([model(tokens[i : i + 1, :n]) for i, n in enumerate(lengths)])
    torch.testing.assert_close(alone, expected, rtol=0, atol=bound)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(tokens[order], lengths[order]), expected[order], rtol=0, atol=bound)


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_pairs_may_be_swapped(config, laws, name):
    """Two towers of one encoder, of unequal lengths; what stands in the padding does not matter."""
    model = made(name, config.replace(head="match"), laws)
    tokens, lengths = torch.randint(1, 16, (3, 2, 20)), torch.tensor([[20, 9], [3, 20], [7, 7]])
    expected = model(tokens, lengths)
    torch.testing.assert_close(model(tokens.flip(1), lengths.flip(1)), expected, rtol=0, atol=1e-13)
    other = tokens.clone()
    other[0, 1, 9:] = 3
    torch.testing.assert_close(model(other, lengths), expected, rtol=0, atol=1e-12)
    other[0, 1, 0] = 1 + other[0, 1, 0] % 15
    assert (model(other, lengths)[0] - expected[0]).abs().max() > 1e-6
    for wrong in (lengths.T, lengths.flatten()):
        refuses("lengths: expected 6 whole numbers from 1 to 20", model, tokens, wrong)
    refuses(r"tokens: expected pairs, \(batch, 2, length\), got \(3, 20\)", model, tokens[:, 0])


# At LRA's small size, at the paper's kind of size, and for language modelling.
SIZES = [
    RMAATConfig(vocabulary=257, classes=2),
    RMAATConfig(vocabulary=257, classes=2, width=128, depth=4, feedforward=256, memory_tokens=16, segment_length=512),
    RMAATConfig(vocabulary=257, head="language", width=96, depth=3, feedforward=192),
    RMAATConfig(vocabulary=257, classes=2, memory_tokens=128),  # a tenth of all parameters are memory rows
]


@pytest.mark.parametrize("config", SIZES, ids=["small", "large", "language", "memory"])
@pytest.mark.parametrize("name", MEMBERS)
def test_parameters_match_within_three_percent(config, laws, name):
    goal, _ = count_parameters(build_model("rmaat", config, laws))
    model = build_model(name, config, laws)
    found, position = count_parameters(model)
    assert abs(found / goal - 1) < 0.03
    rows = {
        "rmaat": config.segment_length + config.memory_tokens * (2 if config.causal else 1), "at": config.max_length
    }.get(name, 0)  # fmt: skip
    assert position == config.width * rows  # W: heads x width / heads x rows
    assert found + position == sum(p.numel() for p in model.parameters())
    if name in ("rlt", "rmt", "rmaat") or config.memory_tokens < 16:
        return
    assert abs(found / goal - 1) < 0.01 or model.config.feedforward != config.feedforward


@pytest.mark.parametrize("name", MEMBERS)
def test_a_resolved_configuration_stays_as_it_is(config, laws, name):
    once = resolve(name, config.replace(feedforward=64, match_parameters=True), laws)
    assert resolve(name, once, laws) == once
    assert build_model(name, once, laws).config == once


def test_matching_can_be_left_out_and_can_be_impossible(config, laws):
    assert build_model("s4d", config, laws).config.feedforward == 12
    with pytest.raises(InputError, match="match_parameters: 'retnet' has more parameters than rmaat"):
        build_model("retnet", config.replace(feedforward=1, match_parameters=True), laws)


@pytest.mark.parametrize("name", MEMBERS)
def test_each_is_what_its_name_says(config, laws, name):
    model = build_model(name, config, laws)
    assert isinstance(model, RMAAT if name == "rmaat" else SequenceClassifier)
    assert model.name == name
    assert isinstance(build_model(name, config.replace(head="language"), laws), LanguageModel)
    rule = {"rmaat": "consolidate", "rmt": "none", "rlt": "none"}.get(name)
    if rule is not None:
        assert model.config.memory_rule == rule
    assert model.config.sigmoid == (name == "at")


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("rule", ["scale", "consolidate"])
@torch.no_grad()
def test_all_that_recur_take_the_law(config, laws, other_laws, batch, name, rule):
    """A block that began with LayerNorm would not: it ignores the scale of the memory rows."""
    config = config.replace(memory_rule=rule, presynaptic_exponent=0.25, spatial_decay=1.0)
    for readout in ("memory", "last", "mean"):
        here = config.replace(readout=readout)
        difference = made(name, here, laws)(*batch) - made(name, here, other_laws)(*batch)
        assert difference[0].abs().max() > 1e-4  # five segments; far above rounding (1e-16)
    refuses(f"memory_rule: '{rule}' needs laws", build_model, name, config)


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_settings_without_effect_are_told_and_have_none(config, laws, batch, name):
    """Every setting that a model is said not to use changes nothing; every other one is used somewhere."""
    other = {
        "presynaptic_exponent": 0.7, "spatial_decay": 0.3, "tokens_per_spacing": 3.0, "relative_position": False,
        "normalisation": "paper", "m_scale": 3.0, "sigmoid": True, "feedback": False, "states": 3, "memory_tokens": 5,
        "memory_rule": "consolidate", "backward": "bptt", "kept_segments": 0, "replay_mb": 100.0, "truncate_after": 2,
        "trainable_laws": True, "max_length": 99, "heads": 4, "short_term": "laws", "time_constants": (3.0,) * 2,
        "carry_traces": False, "rotation": True, "output_gate": True, "convolution": 4,
    }  # fmt: skip
    base = made(name, config, laws)(*batch)
    for setting in get(name).unused:
        changed = config.replace(memory_rule="scale") if setting == "trainable_laws" else config
        again = made(name, changed.replace(**{setting: other[setting]}), laws)(*batch)
        assert torch.equal(again, base), setting
    assert get(name).unused == set(other) - set(_used(name))


def _used(name):
    astromorphic = {"presynaptic_exponent", "spatial_decay", "tokens_per_spacing", "relative_position",
                    "normalisation", "m_scale", "sigmoid", "feedback", "short_term", "time_constants", "rotation",
                    "output_gate", "convolution"} | ({"carry_traces"} if name == "rmaat" else set())  # fmt: skip
    recurrent = {"memory_tokens", "memory_rule", "backward", "kept_segments", "replay_mb", "truncate_after",
                 "trainable_laws"}  # fmt: skip
    return {
        *(astromorphic if name in ("rmaat", "at") else ()),
        *(recurrent if name in RECURRENT else ("max_length",)),
        *(("states",) if name == "s4d" else ("heads",)),
    }


def test_settings_that_another_leaves_no_use_for(config):
    assert without_effect("rmaat", config) == []
    for change, idle in (
        ({"backward": "bptt", "kept_segments": 2}, ["kept_segments"]),
        ({"truncate_after": 2}, ["truncate_after"]),
        ({"m_scale": 3.0}, ["m_scale"]),
        ({"relative_position": False, "spatial_decay": 2.0}, ["spatial_decay"]),
        ({"head": "language", "readout": "last"}, ["readout"]),
    ):
        assert without_effect("rmaat", config.replace(**change)) == idle


@pytest.mark.parametrize("name", AT_ONCE)
def test_models_without_segments_say_what_they_lack(config, laws, name):
    model = build_model(name, config.replace(max_length=20), laws)
    refuses("tokens: expected at most max_length = 20 of them, got 21", model, torch.ones(1, 21, dtype=torch.int64))
    with pytest.raises(InputError, match=f"readout: 'memory' needs a model with memory, and '{name}' has none"):
        build_model(name, config.replace(readout="memory"), laws)
    refuses(f"the model '{name}' has no segments and no memory", Stream, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": None}, "classes: missing"),
        ({"kept_segments": 2, "replay_mb": 5.0}, "replay_mb: chooses kept_segments, which is given"),
        ({"head": "language", "sigmoid": True}, "sigmoid: not with the head language"),
        ({"width": 10, "heads": 4}, "width: expected a multiple of heads = 4, got 10"),
        ({"presynaptic_exponent": 5.0}, "presynaptic_exponent: expected less than or equal to 4"),
        ({"presynaptic_exponent": "papers"}, "presynaptic_exponent: expected .* 'paper'"),
        ({"presynaptic_exponent": -0.1}, "presynaptic_exponent: expected greater than 0 or 'paper', got -0.1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change, message):
    refuses(message, RMAATConfig, **{"vocabulary": 16, "classes": 10, **change})


def test_an_unknown_name_is_refused(config, laws):
    assert set(MODELS) == set(MEMBERS)  # those that a setting may name
    refuses(r"unknown model 'transfomer'; did you mean 'transformer'\?", build_model, "transfomer", config, laws)
    with pytest.raises(InputError, match="head: RMAAT classifies; rmaat.build_model makes the language model"):
        RMAAT(config.replace(head="language"), laws)
