"""Streams give what the whole-sequence call gives, and hold nothing that grows."""

import pytest
import torch
from safetensors.torch import load, save

from astro_sim.common.errors import InputError
from bridge.retention import Retention
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.language import Decoder
from rmaat.models.registry import MEMBERS, build_model
from rmaat.models.streaming import HEARD, Stream, StreamWarning
from tests.rmaat.refusals import refuses

RECURRENT = [name for name, member in MEMBERS.items() if member.recurrent]
RULES = ["scale", "consolidate", "none"]


def made(config, laws, name="rmaat", dtype=torch.float64, **changes):
    torch.manual_seed(1)
    return build_model(name, config.replace(**changes), laws).to(dtype).eval()


def segments(tokens, lengths, size):
    for start in range(0, tokens.shape[1], size):
        part = tokens[:, start : start + size]
        yield part, (lengths - start).clamp(0, part.shape[1])


@pytest.mark.parametrize("readout", ["memory", "last", "mean"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", RECURRENT)
@torch.no_grad()
def test_a_stream_is_the_whole_sequence(config, laws, batch, name, rule, readout):
    """Rows that end in different segments, the last one short; "scale" is told T in advance."""
    model = made(config, laws, name, memory_rule=rule, readout=readout)
    tokens, lengths = batch
    total = (lengths + 5) // 6 if rule == "scale" else None
    stream = Stream(model, 3, total)
    for part, count in segments(tokens, lengths, 6):
        assert stream.push(part, count) is None
    torch.testing.assert_close(stream.logits(), model(tokens, lengths), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", RECURRENT)
@torch.no_grad()
def test_a_stream_of_a_language_model(config, laws, name, rule):
    model = made(config, laws, name, head="language", memory_rule=rule)
    tokens = torch.randint(1, 16, (2, 26))
    stream = Stream(model, 2, 5 if rule == "scale" else None)
    found = [stream.push(part) for part in tokens.split(6, dim=1)]
    torch.testing.assert_close(torch.cat(found, dim=1), model(tokens), rtol=0, atol=1e-12)
    refuses("logits: a language model gives them with each push", stream.logits)


@pytest.mark.parametrize("rule", RULES)
@torch.no_grad()
def test_the_state_can_be_saved_and_gone_on_with(config, laws, rule):
    model = made(config, laws, memory_rule=rule)
    tokens = torch.randint(1, 16, (2, 24))
    total = 4 if rule == "scale" else None
    whole, first = Stream(model, 2, total), Stream(model, 2, total)
    for n, part in enumerate(tokens.split(6, dim=1)):
        whole.push(part)
        if n < 2:
            first.push(part)
    second = Stream(model, 2, total).load_state_dict(load(save(first.state_dict())))
    for part in tokens.split(6, dim=1)[2:]:
        second.push(part)
    assert torch.equal(second.logits(), whole.logits())


@torch.no_grad()
def test_packed_documents_are_reset_row_by_row(config, laws):
    """Row 0 holds documents of 1 and 3 segments, row 1 of 2 and 2: each reads as if it stood alone."""
    for rule in RULES:
        model = made(config, laws, memory_rule=rule)
        tokens = torch.randint(1, 16, (2, 24))
        stream = Stream(model, 2, torch.tensor([1, 2]) if rule == "scale" else None)
        parts = tokens.split(6, dim=1)
        stream.push(parts[0])
        found = [Stream(model, 2).load_state_dict(stream.state_dict()).logits()[0]] if rule != "scale" else []
        stream.reset(torch.tensor([True, False]), total=3 if rule == "scale" else None)
        stream.push(parts[1])
        stream.reset(torch.tensor([False, True]), total=2 if rule == "scale" else None)
        stream.push(parts[2])
        stream.push(parts[3])
        found += list(stream.logits())
        expected = [model(tokens[:1, :6])[0]] if rule != "scale" else []
        expected += [model(tokens[:1, 6:])[0], model(tokens[1:, 12:])[0]]
        torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=0, atol=1e-12)
        assert torch.equal(stream.reset().memory, model.encoder.begin(2).memory)


@pytest.mark.parametrize("readout", ["memory", "mean"])
def test_detach_cuts_the_gradient(config, laws, readout):
    model = made(config, laws, memory_rule="none", readout=readout)
    model.train()
    stream = Stream(model, 1)
    stream.push(torch.full((1, 6), 3))
    stream.detach().push(torch.full((1, 6), 5))
    stream.logits().sum().backward()
    grad = model.encoder.embedding.weight.grad
    assert torch.equal(grad[3], torch.zeros_like(grad[3]))
    assert (grad[5] != 0).any()


@torch.no_grad()
def test_what_a_stream_holds_does_not_grow(config, laws):
    """Peak bytes over 10 and 60 segments: holding a memory more for each would add 5 kB."""
    for rule in ("consolidate", "none"):
        model = made(config, laws, memory_rule=rule, dtype=torch.float32)
        stream, part = Stream(model, 1), torch.ones(1, 6, dtype=torch.int64)

        def push(count, stream=stream, part=part):
            for _ in range(count):
                stream.push(part)

        push(2)
        if rule == "consolidate":  # said once, before it is measured
            with pytest.warns(StreamWarning, match="after 31 segments"):
                push(40)
        few, many = peak_extra_bytes(lambda: push(10)), peak_extra_bytes(lambda: push(60))
        assert abs(many - few) < 1_000
        assert torch.isfinite(stream.logits()).all()


def test_a_row_without_tokens_stays_as_it_is(config, laws):
    model = made(config, laws, memory_rule="none", dropout=0.0)
    stream = Stream(model, 2)
    stream.push(torch.ones(2, 6, dtype=torch.int64))
    before = stream.state_dict()
    stream.push(torch.full((2, 6), 4), torch.tensor([0, 6]))
    after = stream.state_dict()
    for name in before:
        assert torch.equal(before[name][0], after[name][0])
    assert not torch.equal(before["memory"][1], after["memory"][1])
    assert after["segments"].tolist() == [1, 2]


def test_laws_that_need_their_end(config, laws):
    turned, flat = laws.perturbed("reversed"), laws.perturbed("flat")
    model = made(config, turned, memory_rule="consolidate")
    refuses("T: reversed laws need the number of segments in advance; expected total", Stream, model)
    tokens = torch.randint(1, 16, (1, 18))
    for each, total in ((model, 3), (made(config, flat, memory_rule="consolidate"), None)):
        stream = Stream(each, 1, total)
        for part in tokens.split(6, dim=1):
            stream.push(part)
        torch.testing.assert_close(stream.logits(), each(tokens), rtol=0, atol=1e-12)


@torch.no_grad()
def test_bad_use_is_refused(config, laws):
    model = made(config, laws, memory_rule="scale")
    ones = torch.ones(2, 6, dtype=torch.int64)
    refuses("T: the memory rule 'scale' needs the number of segments in advance", Stream, model)
    for total in (0, 2.5, torch.tensor([3, 0]), True, "three", torch.tensor([])):
        refuses("T: expected a whole number of segments from 1, got", Stream, model, 2, total)
    refuses(r"T: expected one number or 2 of them, got shape \(3,\)", Stream, model, 2, torch.tensor([1, 2, 3]))
    refuses("batch: expected a whole number from 1, got 0", Stream, model, 0, 3)
    stream = Stream(model, 2, torch.tensor([2, 1]))
    refuses("logits: row 0 has seen no segment yet", stream.logits)
    stream.push(ones)
    refuses("T: row 0 was announced with 2 segments and has seen 1", stream.logits)
    refuses("T: row 1 was announced with 1 segments, and this is number 2", stream.push, ones)
    refuses("tokens: expected 2 rows, got 1", stream.push, ones[:1])
    with pytest.raises(InputError, match="segment: expected at most 6 tokens, got 7"):
        stream.push(torch.ones(2, 7, dtype=torch.int64), torch.tensor([7, 0]))
    refuses(r"lengths: expected 2 whole numbers from 0 to 6, got \[7, 0\]", stream.push, ones, torch.tensor([7, 0]))
    for lengths in (torch.tensor([2.5, 1.0]), torch.tensor([], dtype=torch.int64)):
        refuses("lengths: expected 2 whole numbers from 0 to 6, got", stream.push, ones, lengths)
    refuses("tokens: expected ids from 0 to 15, got 99 to 99", stream.push, 99 * ones)
    refuses(r"rows: expected bool of shape \(2,\), got torch.int64 \(2,\)", stream.reset, torch.tensor([1, 0]))
    state = stream.state_dict()
    refuses(r"rows: expected bool of shape \(2,\), got list", stream.reset, [True, False])
    with pytest.raises(InputError, match="state: expected ended, memory, model, seen, segments, total, got seen"):
        stream.load_state_dict({"seen": state["seen"]})
    with pytest.raises(InputError, match=r"state: memory is torch.float64 \(1, 3, 8\), expected torch.float64 \(2, 3"):
        stream.load_state_dict({**state, "memory": state["memory"][:1]})
    unbounded = Stream(made(config, laws, memory_rule="consolidate"), 2)
    unbounded.push(ones)
    with pytest.raises(InputError, match="total: the other rows have no T; expected it for all rows or for none"):
        unbounded.reset(torch.tensor([True, False]), total=3)
    assert unbounded.push(ones) is None
    refuses("stream: pairs have two streams", Stream, made(config, laws, head="match"), 1, 1)


@pytest.mark.parametrize("name", MEMBERS)
@torch.no_grad()
def test_a_decoder_is_the_whole_sequence(config, laws, name):
    """Token by token and in pieces across segments, against all tokens at once."""
    model = made(config, laws, name, head="language")
    tokens = torch.randint(1, 16, (2, 26))
    inputs = torch.nn.functional.pad(tokens, (1, -1))
    decoder = Decoder(model, 2, 5 if model.config.memory_rule == "scale" else None)
    pieces = [decoder.feed(part) for part in (*inputs[:, :14].split(1, dim=1), inputs[:, 14:])]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_short_segment_ends_a_sequence(config, laws):
    """What came after it made 1.15 of difference to the whole-sequence call, and was taken without a word."""
    model = made(config, laws, memory_rule="none")
    six, four = torch.ones(2, 6, dtype=torch.int64), torch.ones(2, 4, dtype=torch.int64)
    stream = Stream(model, 2)
    stream.push(six, torch.tensor([6, 4]))
    stream.push(six, torch.tensor([6, 0]))  # nothing for the row that has ended
    before = stream.state_dict()
    for tokens, lengths in ((six, None), (four, None), (six, torch.tensor([0, 1]))):
        with pytest.raises(
            InputError, match="tokens: the sequence of row 1 ended with a segment of fewer than 6 tokens"
        ):
            stream.push(tokens, lengths)
    assert all(torch.equal(value, before[name]) for name, value in stream.state_dict().items())
    again = Stream(model, 2).load_state_dict(before)
    refuses("the sequence of row 1 ended", again.push, six)
    again.reset(torch.tensor([True, False]))
    refuses("the sequence of row 1 ended", again.push, six)
    again.reset(torch.tensor([False, True])).push(four)
    refuses("the sequence of row 0 ended", again.push, six)
    torch.testing.assert_close(again.logits()[1], model(four)[1], rtol=0, atol=1e-12)
    language = Stream(made(config, laws, head="language"), 1)
    language.push(four[:1])
    refuses("the sequence of row 0 ended", language.push, four[:1])


def shifted(model):
    model.retention.shift.data.add_(0.1)
    return model


def other_weights(model):
    model.encoder.memory.data.mul_(2.0)
    return model


@torch.no_grad()
def test_a_state_belongs_to_its_model(config, laws, other_laws):
    """Another rule, other laws, another readout or other weights go on from it wrongly; how a model trains does not."""
    config = config.replace(trainable_laws=True, memory_rule="consolidate")
    stream = Stream(made(config, laws), 1)
    stream.push(torch.ones(1, 6, dtype=torch.int64))
    state = load(save(stream.state_dict()))
    for other in (
        made(config, laws, memory_rule="none", trainable_laws=False),
        made(config, laws, readout="last"),
        made(config, laws, feedback=False),
        made(config, other_laws),
        made(config, laws, "rmt"),
        shifted(made(config, laws)),
        other_weights(made(config, laws)),
    ):
        refuses("state: of another model", Stream(other, 1).load_state_dict, state)
    for same in (made(config, laws, backward="bptt", dropout=0.3), made(config, laws, truncate_after=3)):
        assert Stream(same, 1).load_state_dict(state).segments.tolist() == [1]


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("segments", -1, "segments: expected counts from 0"),
        ("segments", 9, "total: expected T from 1, and no more segments than T"),
        ("total", 0, "total: expected T from 1"),
        ("last", 16, "last: expected ids from 0 to 15"),
        ("last", -1, "last: expected ids from 0 to 15"),
        ("memory", float("nan"), "memory: expected finite numbers"),
        ("seen", float("inf"), "seen: expected finite numbers"),
        ("ended", True, "ended: expected no end before a first segment"),
    ],
)
def test_a_state_of_no_stream(config, laws, part, value, message):
    head = "language" if part == "last" else "classify"
    stream = Stream(made(config, laws, memory_rule="scale", head=head), 2, 4)
    before = stream.state_dict()
    state = stream.state_dict()
    state[part].view(-1)[0] = value
    refuses(f"state: {message}", stream.load_state_dict, state)
    for wrong in (before[part].tolist(), before[part].to(torch.complex64)):
        refuses(f"state: {part} is (list|torch.complex64)", stream.load_state_dict, {**before, part: wrong})
    for wrong in (None, [1], {}):
        refuses(f"state: expected {', '.join(sorted(before))}, got", stream.load_state_dict, wrong)
    assert all(torch.equal(value, before[name]) for name, value in stream.state_dict().items())


@torch.no_grad()
def test_a_stream_that_stops_listening_says_so_once(config, laws):
    """At the push that reaches it, of the row that does; the number is that of the law's own factors."""
    model, part = made(config, laws, memory_rule="consolidate"), torch.ones(2, 6, dtype=torch.int64)
    heard = int((laws.online(100) < HEARD).argmax())
    assert laws.online(100)[heard] < HEARD <= laws.online(100)[heard - 1]
    assert model.retention.heard(HEARD) == heard
    stream = Stream(model, 2)
    for t in range(heard):  # warnings are errors here
        stream.push(part, torch.tensor([6, 6 if t > 3 else 0]))
    with pytest.warns(
        StreamWarning, match=f"after {heard} segments less than 0.001 of a segment .* exponential law"
    ) as caught:
        stream.push(part)
    assert caught[0].filename == __file__
    for _ in range(10):
        stream.push(part)
    with pytest.warns(StreamWarning, match=f"after {heard} segments") as caught:
        Stream(model, 2, torch.tensor([3, heard + 1]))
    assert caught[0].filename == __file__
    Stream(model, 2, heard)
    for rule in ("scale", "none"):
        Stream(made(config, laws, memory_rule=rule), 2, 10_000)


def test_how_long_a_law_is_listened_to(laws):
    for law, expected in ((laws.perturbed("flat"), 1_000), (laws, 31)):
        assert Retention(law).heard(HEARD) == expected
        assert Retention(law).heard(HEARD, total=expected) is None
        assert Retention(law).heard(HEARD, total=expected + 1) == expected
    turned = laws.perturbed("reversed")
    below = turned.online(400) < 0.15
    expected = int(below.argmax()) if below.any() else None
    assert Retention(turned).heard(0.15, total=400) == expected


@torch.no_grad()
def test_prompts_and_inputs_that_are_none(config, laws):
    model = made(config, laws, head="language", memory_rule="none")
    for prompt in ([[3, 4, 0]], [[0, 3, 4]], [[3, 0, 4]]):
        with pytest.raises(
            InputError, match="prompt: holds the id 0, which is padding; expected prompts of one length"
        ):
            model.generate(torch.tensor(prompt), 2)
    refuses("tokens: expected int64 of shape .*, got list", model.generate, [[3, 4]], 2)
    for seed in (2**64, 1.5, "one"):
        with pytest.raises(InputError, match="seed: expected a whole number of 64 bits, got"):
            model.generate(torch.ones(1, 2, dtype=torch.int64), 2, seed=seed)
    with pytest.raises(InputError, match="finite temperature from 0, got 2, None and warm"):
        model.generate(torch.ones(1, 2, dtype=torch.int64), 2, temperature="warm")
    assert model.generate(torch.empty(2, 0, dtype=torch.int64), 3, seed=1).shape == (2, 3)
    decoder = Decoder(model, 2)
    for inputs in (torch.ones(2, 0, dtype=torch.int64), torch.ones(2, 3), torch.ones(2, dtype=torch.int64), [[1]]):
        refuses(r"inputs: expected int64 of shape \(2, n\), got", decoder.feed, inputs)
    refuses("inputs: expected 2 rows, got 1", decoder.feed, torch.ones(1, 3, dtype=torch.int64))
    refuses("decoder: expected a language model, got RMAAT", Decoder, made(config, laws), 2)
    refuses("batch: expected a whole number from 1, got 0", Decoder, model, 0)
