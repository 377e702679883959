"""Causal language models: what they may see, what they score, and what they write."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from astro_sim.common.errors import InputError
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.registry import MEMBERS, build_model
from tests.rmaat.refusals import refuses


@pytest.fixture
def language(config):
    return config.replace(head="language", classes=None, max_length=40)


def made(name, config, laws, dtype=torch.float64):
    torch.manual_seed(1)
    return build_model(name, config, laws).to(dtype).eval()


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_a_token_is_predicted_from_those_before_it(language, laws, name):
    """Changing token n changes nothing up to n, and something after it, in its own segment and in later ones."""
    model = made(name, language, laws)
    tokens = torch.randint(1, 16, (1, 26))
    before = model(tokens)
    assert before.shape == (1, 26, 16)
    for n in (0, 5, 8, 13):
        changed = tokens.clone()
        changed[0, n] = 1 + tokens[0, n] % 15
        difference = (model(changed) - before).abs().amax(-1)[0]
        # The state space convolves by Fourier transforms: rounding of later tokens in earlier ones.
        assert difference[: n + 1].max() < 1e-12
        assert difference[n + 1] > 1e-9


@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member.recurrent])
@torch.no_grad()
def test_memory_carries_the_past_into_later_segments(language, laws, name):
    model = made(name, language.replace(memory_rule="consolidate"), laws)
    tokens = torch.randint(1, 16, (1, 26))
    changed = tokens.clone()
    changed[0, 2] = 1 + tokens[0, 2] % 15
    assert (model(changed) - model(tokens))[0, 24:].abs().max() > 1e-6


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_scores_are_those_of_the_logits(language, laws, name):
    model = made(name, language, laws)
    tokens, lengths = torch.randint(1, 16, (3, 26)), torch.tensor([26, 9, 13])
    logits, scores = model(tokens, lengths), model(tokens, lengths, scores=True)
    for row, length in enumerate(lengths.tolist()):
        expected = cross_entropy(logits[row, :length], tokens[row, :length], reduction="sum")
        torch.testing.assert_close(scores[row, 0], expected, rtol=1e-12, atol=0)
        assert scores[row, 1] == (logits[row, :length].argmax(-1) == tokens[row, :length]).sum()
    torch.testing.assert_close(model.loss(tokens, lengths), scores[:, 0].sum() / 48, rtol=1e-12, atol=0)
    torch.testing.assert_close(model.loss(tokens), model(tokens, scores=True)[:, 0].mean() / 26, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_padding_changes_no_score(language, laws, name):
    model = made(name, language, laws)
    tokens, lengths = torch.randint(1, 16, (2, 20)), torch.tensor([20, 7])
    other = torch.nn.functional.pad(tokens, (0, 15), value=3)
    other[1, 7:] = 5
    torch.testing.assert_close(
        model(other, lengths, scores=True), model(tokens, lengths, scores=True), rtol=0, atol=1e-11
    )
    assert model(other, lengths).shape == (2, 35, 16)


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_written_is_what_the_logits_say(language, laws, name):
    """Greedy writing against the whole-sequence call, token by token, across segments."""
    model = made(name, language, laws).train()
    total = 4 if model.config.memory_rule == "scale" else None
    prompt = torch.randint(1, 16, (2, 9))
    written = model.generate(prompt, 12, temperature=0.0, total=total)
    assert model.training
    model.eval()
    sequence = torch.cat([prompt, written], dim=1)
    if model.config.memory_rule == "scale":  # the factors are those of T = 4: so must be the call's
        sequence = torch.nn.functional.pad(sequence, (0, 24 - sequence.shape[1]), value=1)
    with torch.no_grad():
        logits = model(sequence)[:, 9:21]
    logits[..., 0] = -torch.inf
    assert torch.equal(logits.argmax(-1), written)


@torch.no_grad()
def test_draws(language, laws):
    model = made("rlt", language, laws)
    prompt = torch.randint(1, 16, (100, 3))
    assert torch.equal(model.generate(prompt, 5, seed=3), model.generate(prompt, 5, seed=3))
    assert not torch.equal(model.generate(prompt, 5, seed=3), model.generate(prompt, 5, seed=4))
    assert torch.equal(model.generate(prompt, 4, temperature=1.0, top_k=1), model.generate(prompt, 4, temperature=0.0))
    assert model.generate(prompt[:, :0], 2, seed=1).shape == (100, 2)
    same = prompt[:1].expand(100, -1)
    logits = model(torch.nn.functional.pad(same[:1], (0, 1)))[0, -1]
    likeliest = set(logits[1:].topk(3).indices.add(1).tolist())
    assert set(model.generate(same, 1, top_k=3, seed=0)[:, 0].tolist()) == likeliest  # each has at least a tenth
    assert (model.generate(same, 2, temperature=5.0, seed=0) > 0).all()
    assert torch.equal(model.generate(prompt, 2, temperature=1e-30), model.generate(prompt, 2, temperature=0.0))
    equal = made("rlt", language, laws)
    torch.nn.init.zeros_(equal.out.weight)
    torch.nn.init.zeros_(equal.out.bias)
    assert len(set(equal.generate(same, 1, top_k=2, seed=0)[:, 0].tolist())) == 2  # ties do not let a third in


def test_generation_refuses_bad_use(language, laws):
    model = made("rmt", language, laws)
    prompt = torch.ones(1, 3, dtype=torch.int64)
    for given in (
        {"count": 0}, {"count": 2.0}, {"count": 1, "temperature": -1.0}, {"count": 1, "temperature": float("nan")},
        {"count": 1, "temperature": float("inf")}, {"count": 1, "top_k": 0}, {"count": 1, "top_k": 1.5},
    ):  # fmt: skip
        with pytest.raises(InputError, match="expected whole numbers count and top_k from 1 and a finite temperature"):
            model.generate(prompt, **given)
    for wrong in (torch.ones(3, dtype=torch.int64), torch.ones(1, 3), torch.ones(0, 3, dtype=torch.int64)):
        refuses("tokens: expected int64 of shape", model.generate, wrong, 1)
    refuses("tokens: expected ids from 0 to 15, got 20 to 20", model.generate, 20 * prompt, 1)
    with pytest.raises(InputError, match="tokens: the model 'transformer' takes at most max_length = 40 of them"):
        made("transformer", language, laws).generate(prompt, 60)
    with pytest.raises(InputError, match="T: row 0 was announced with 2 segments, and this is number 3"):
        made("rmaat", language.replace(memory_rule="scale"), laws).generate(prompt, 20, total=2)
    scaled = made("rmaat", language.replace(memory_rule="scale"), laws).train()
    scaled.generate(prompt, 9, total=2)  # reads 0, the prompt, and all but the last that it writes: 12 in all
    refuses("this is number 3", scaled.generate, prompt, 10, total=2)
    assert scaled.training


def test_a_uniform_model_has_the_entropy_of_the_alphabet(language, laws):
    model = made("rmaat", language, laws)
    torch.nn.init.zeros_(model.out.weight)
    torch.nn.init.zeros_(model.out.bias)
    bits = float(model.loss(torch.randint(1, 16, (2, 20))).detach()) / math.log(2)
    assert bits == pytest.approx(4.0, rel=1e-12)  # 16 ids


def test_scores_take_less_memory_than_logits(language, laws):
    """Under AMRB the scores of a segment are replayed with it: tokens times vocabulary are never held."""
    config = language.replace(vocabulary=257, segment_length=64, memory_rule="none", backward="amrb")
    model, tokens = build_model("rmaat", config, laws), torch.randint(1, 257, (2, 1024))

    def step(scores):
        model.zero_grad(set_to_none=True)
        (model.loss(tokens) if scores else cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())).backward()

    peaks = []
    for scores in (True, False):
        step(scores)
        model.zero_grad(set_to_none=True)
        peaks.append(peak_extra_bytes(lambda scores=scores: step(scores)))
    assert peaks[1] - peaks[0] > 2 * 1024 * 257 * 4  # at least the logits themselves


def test_a_short_segment_takes_its_own_rows_of_relative_position(language, laws):
    """[read, tokens, write]: a short one leaves out tokens at the end, never the write rows."""
    encoder = made("rmaat", language, laws).encoder
    shared = encoder.shared()
    assert shared.shape[1] == 3 + 6 + 3
    assert torch.equal(encoder.of_rows(shared, 4), shared[:, [0, 1, 2, 3, 4, 5, 6, 9, 10, 11]])
    assert torch.equal(encoder.of_rows(shared, 6), shared)
