"""Buffers that no file holds have their values whatever way a model is made, moved, copied or loaded."""

import copy
import io
import multiprocessing

import pytest
import torch
from accelerate import init_empty_weights
from torch import nn

from bridge.constants import Constants
from rmaat.models.registry import MEMBERS, build_model
from tests.rmaat.refusals import refuses

HEADS = ("classify", "language")


def made(name, config, laws, head="classify"):
    torch.manual_seed(1)
    return build_model(name, config.replace(head=head), laws).eval()


def unsaved(model):
    saved = model.state_dict()
    return {name: value for name, value in model.named_buffers() if name not in saved}


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def on_meta_to_empty(build, state):
    with torch.device("meta"):
        model = build()
    model.to_empty(device="cpu")
    model.load_state_dict(state, strict=True)
    return model


def on_meta_assigned(build, state):
    with torch.device("meta"):
        model = build()
    model.load_state_dict(state, strict=True, assign=True)
    return model


def empty_parameters(build, state, buffers=False):
    with init_empty_weights(include_buffers=buffers):
        model = build()
    model.load_state_dict(state, strict=True, assign=True)
    return model


def empty_parameters_and_buffers(build, state):
    return empty_parameters(build, state, buffers=True)


@pytest.mark.parametrize("way", [on_meta_to_empty, on_meta_assigned, empty_parameters, empty_parameters_and_buffers])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_a_model_that_was_made_without_values(config, laws, batch, name, head, way):
    """The law of those that recur is trained, so that it, too, has parameters there."""
    trained = MEMBERS[name].recurrent
    config = config.replace(trainable_laws=trained, memory_rule="consolidate" if trained else None)
    model = made(name, config, laws, head)
    found = way(lambda: build_model(name, config.replace(head=head), laws), model.state_dict()).eval()
    assert same(unsaved(found), unsaved(model))
    assert torch.equal(found(*batch), model(*batch))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", MEMBERS)
def test_every_buffer_that_is_not_saved_is_a_constant(config, laws, name, head):
    model = made(name, config, laws, head)
    held = {id(value) for part in model.modules() if isinstance(part, Constants) for value in part.buffers(False)}
    assert unsaved(model)
    assert {id(value) for value in unsaved(model).values()} == held


def pickled(model):
    """There and back by torch's own pickle, which this package never reads by itself."""
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_changes_of_precision_and_copies_keep_them(config, laws, batch, name):
    model = made(name, config, laws)
    constants, expected = unsaved(model), model(*batch)
    for again in (pickled(model), copy.deepcopy(model)):
        assert same(unsaved(again), constants)
        assert torch.equal(again(*batch), expected)
    other = copy.deepcopy(model)
    for change in ("half", "bfloat16", "double", "float"):
        getattr(other, change)()
        assert same(unsaved(other), constants), change
    assert same(unsaved(other.to("meta").to_empty(device="cpu")), constants)


@torch.no_grad()
def test_the_default_type_when_a_model_is_made_changes_no_constant(config, laws):
    expected = unsaved(made("rmaat", config, laws))
    torch.set_default_dtype(torch.float64)
    try:
        assert same(unsaved(made("rmaat", config, laws)), expected)
    finally:
        torch.set_default_dtype(torch.float32)


@torch.no_grad()
def test_shared_memory_stays_shared(config, laws):
    model = made("rmaat", config, laws).share_memory()
    assert all(value.is_shared() for value in model.buffers())


@pytest.mark.parametrize("kind", [None, "flat", "random", "reversed", "slower"])
@torch.no_grad()
def test_models_with_laws_can_be_pickled(config, laws, batch, kind):
    """Laws of every kind, those that were trained too, and a model whose segments are compiled, which a copy is not."""
    law = laws if kind is None else laws.perturbed(kind)
    trained = law.parametric
    model = made("rmaat", config.replace(trainable_laws=trained), law)
    if trained:
        model.retention.shift.fill_(0.3)
    expected = model(*batch)
    model.compile_segments(backend="eager")
    for again in (pickled(model), copy.deepcopy(model)):
        assert again._compiled is None
        assert torch.equal(again(*batch), expected)
        assert again.retention.laws.digest == law.digest
        if trained:
            assert again.retention.trained().digest == model.retention.trained().digest


def answer(model, tokens, lengths):
    with torch.no_grad():
        return model(tokens, lengths).tolist()


def test_a_model_can_be_sent_to_another_process(config, laws, batch):
    model = made("rmaat", config, laws)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(answer, (model, *batch))
    assert found == answer(model, *batch)


@pytest.mark.parametrize("trainable", [True, False])
def test_a_state_of_other_laws_is_refused_before_anything_is_changed(config, laws, other_laws, trainable):
    config = config.replace(trainable_laws=trainable, presynaptic_exponent=0.25, spatial_decay=1.0)
    model, other = made("rmaat", config, laws), made("rmaat", config, other_laws)
    with torch.no_grad():
        other.encoder.embedding.weight.add_(1.0)
    before = copy.deepcopy(model.state_dict())
    for state in (other.state_dict(), pickled(other.state_dict())):
        refuses(r"state: of a model with other laws \(digest \w{12}, these have \w{12}\)", model.load_state_dict, state)
    assert same(model.state_dict(), before)
    both = nn.ModuleList([model])
    refuses("state: of a model with other laws", both.load_state_dict, nn.ModuleList([other]).state_dict())
    model.load_state_dict(made("rmaat", config, laws).state_dict())
    model.load_state_dict(dict(other.state_dict()))  # weights alone, whose laws nobody knows
