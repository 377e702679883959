"""AMRB: the same gradients as back-propagation through time, in a fraction of the memory."""

import warnings
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from astro_sim.common.errors import InputError
from rmaat.amrb import affordable, bytes_kept, kinds, run_segments
from rmaat.config import RMAATConfig
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.registry import MEMBERS, RMAAT, build_model


def gradients(config, laws, tokens, lengths, dtype=torch.float64, mode="train"):
    torch.manual_seed(1)
    model = RMAAT(config, laws).to(dtype).train(mode == "train")
    torch.manual_seed(2)  # dropout draws the same masks in every backward setting
    logits = model(tokens, lengths)
    cross_entropy(logits, torch.zeros(len(tokens), dtype=torch.int64)).backward()
    return logits.detach(), {name: parameter.grad for name, parameter in model.named_parameters()}


def largest_difference(a, b):
    """Relative to the largest gradient of the parameter."""
    return max(
        float((a[name] - b[name]).abs().max() / b[name].abs().max().clamp(min=1e-300))
        for name in a
        if b[name] is not None
    )


@pytest.mark.parametrize("segments", [1, 2, 5, 16])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("rule", ["scale", "consolidate", "none"])
def test_gradients_equal_bptt(config, laws, segments, dropout, rule):
    """Short last segment, one row with padding, dropout on: equal to rounding (1e-10), and in fact bit for bit."""
    config = config.replace(dropout=dropout, memory_rule=rule)
    length = segments * config.segment_length - 2
    tokens = torch.randint(1, 16, (3, length))
    lengths = torch.tensor([length, max(1, length // 2), 1])
    logits, replayed = gradients(config.replace(backward="amrb"), laws, tokens, lengths)
    expected, full = gradients(config.replace(backward="bptt"), laws, tokens, lengths)
    assert torch.equal(logits, expected)
    assert largest_difference(replayed, full) < 1e-10
    assert all(torch.equal(replayed[name], full[name]) for name in full if full[name] is not None)


@pytest.mark.parametrize("keep", [0, 1, 3, 5, 9])
@pytest.mark.parametrize("readout", ["memory", "last", "mean"])
def test_any_number_of_kept_segments_gives_the_same(config, laws, batch, keep, readout):
    config = config.replace(dropout=0.2, readout=readout)
    _, replayed = gradients(config.replace(kept_segments=keep), laws, *batch, dtype=torch.float32)
    _, full = gradients(config.replace(backward="bptt"), laws, *batch, dtype=torch.float32)
    assert all(torch.equal(replayed[name], full[name]) for name in full if full[name] is not None)


@pytest.mark.parametrize("rule", ["scale", "consolidate", "none"])
def test_gradients_equal_bptt_in_mixed_precision(config, laws, batch, rule):
    """bfloat16 autocast, dropout on: the replay computes the same operations in the same precision, bit for bit."""
    config = config.replace(dropout=0.2, memory_rule=rule)
    found = {}
    for backward in ("amrb", "bptt"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found[backward] = gradients(config.replace(backward=backward), laws, *batch, dtype=torch.float32)
    assert torch.equal(found["amrb"][0], found["bptt"][0])
    amrb, bptt = found["amrb"][1], found["bptt"][1]
    assert all(torch.equal(amrb[name], bptt[name]) for name in bptt if bptt[name] is not None)


@pytest.mark.parametrize("head", ["classify", "match", "language"])
@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member.recurrent])
def test_every_model_that_recurs(config, laws, name, head):
    """Bit for bit in float32, dropout on, odd lengths, every k, every head."""
    config = config.replace(dropout=0.2, head=head, memory_rule="consolidate")
    tokens = torch.randint(1, 16, (4, 27))
    lengths = torch.tensor([27, 14, 3, 20])
    if head == "match":
        tokens, lengths = tokens.view(2, 2, -1), lengths.view(2, 2)

    def run(**changes):
        torch.manual_seed(1)
        model = build_model(name, config.replace(**changes), laws)
        torch.manual_seed(2)
        out = model(tokens, lengths, scores=True) if head == "language" else model(tokens, lengths)
        out.square().sum().backward()
        return {each: parameter.grad for each, parameter in model.named_parameters()}

    full = run(backward="bptt")
    assert all(grad is not None for grad in full.values())
    for keep in range(7):
        replayed = run(backward="amrb", kept_segments=keep)
        assert all(torch.equal(replayed[each], full[each]) for each in full)


def test_dropout_is_on_in_that_comparison(config, laws, batch):
    """Otherwise it would prove nothing about the replayed random state."""
    config = config.replace(dropout=0.3)
    assert not torch.equal(gradients(config, laws, *batch)[0], gradients(config, laws, *batch, mode="eval")[0])


def test_unused_parameters_get_no_gradient(config, laws, batch):
    """With one memory-free path to the head, what is not used has gradient None in both settings."""

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

        def forward(self, memory, x):
            memory = torch.tanh(self.used(memory + x))
            return memory, memory.sum(1)

    found = {}
    for backward in ("amrb", "bptt"):
        torch.manual_seed(0)
        step = Step().double()
        inputs = [(torch.randn(2, 3, 4, dtype=torch.float64),) for _ in range(4)]
        memory, outputs = run_segments(step, torch.zeros(2, 3, 4, dtype=torch.float64), inputs, backward)
        (memory.sum() + sum(output.sum() for output in outputs)).backward()
        found[backward] = {name: parameter.grad for name, parameter in step.named_parameters()}
    assert found["amrb"]["unused.weight"] is None
    assert found["bptt"]["unused.weight"] is None
    assert torch.equal(found["amrb"]["used.weight"], found["bptt"]["used.weight"])

    tokens, lengths = batch
    _, amrb = gradients(config, laws, tokens.clamp(max=3), lengths)
    assert torch.equal(
        amrb["encoder.embedding.weight"][4:], torch.zeros(12, 8, dtype=torch.float64)
    )  # tokens never seen


def test_truncated_cuts_the_gradient_between_segments(config, laws, batch):
    config = config.replace(readout="last")
    _, cut = gradients(config.replace(backward="truncated"), laws, *batch)
    _, full = gradients(config.replace(backward="bptt"), laws, *batch)
    tokens = batch[0]
    first_only = sorted(set(tokens[0, :6].tolist()) - set(tokens[0, 24:].tolist()) - set(tokens[1, 12:14].tolist())
                        - set(tokens[2, :3].tolist()))  # fmt: skip
    assert first_only
    assert torch.equal(
        cut["encoder.embedding.weight"][first_only], torch.zeros(len(first_only), 8, dtype=torch.float64)
    )
    assert (full["encoder.embedding.weight"][first_only] != 0).any()


@pytest.mark.parametrize("after", [1, 2, 3, 9])
def test_truncated_after_more_segments(after):
    """mem_{t+1} = w mem_t + x_t: the gradient of mem_6 in w is that of the segments since the last cut."""
    w = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    inputs = [(torch.tensor(float(t + 1), dtype=torch.float64),) for t in range(5)]
    memory, _ = run_segments(
        lambda m, x: (w * m + x, m), torch.zeros((), dtype=torch.float64), inputs, "truncated", truncate_after=after
    )
    memory.backward()
    first = 4 // after * after  # the last segment before which the gradient is cut
    value, expected, m = 0.0, 0.0, 0.0
    for t in range(5):
        if t == first:
            expected = 0.0
        expected = 0.5 * expected + m
        m = value = 0.5 * m + t + 1
    assert float(memory.detach()) == value
    assert float(w.grad) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["rmaat", "rmt", "rlt"])
@pytest.mark.parametrize("head", ["classify", "language"])
def test_whole_model_passes_gradcheck(config, laws, name, head):
    """Finite differences in float64 through three segments, replayed, with respect to every parameter."""
    config = config.replace(
        width=4, depth=1, feedforward=4, classes=2, memory_tokens=2, segment_length=3, head=head,
        memory_rule="consolidate", match_parameters=False, trainable_laws=True,
    )  # fmt: skip
    torch.manual_seed(3)
    model = build_model(name, config, laws).double()
    tokens, lengths = torch.randint(1, 16, (2, 8)), torch.tensor([8, 4])
    names = [name for name, _ in model.named_parameters()]
    parameters = [parameter.detach().requires_grad_() for parameter in model.parameters()]

    def run(*values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (tokens, lengths))

    assert torch.autograd.gradcheck(run, parameters, fast_mode=True)


def test_extra_memory_is_an_eighth_of_bptt_at_16_segments():
    """Tensor bytes from the profiler's record of allocations: 15 of 16 segments are replayed."""
    config = RMAATConfig(vocabulary=257, classes=2, segment_length=128, memory_tokens=8, memory_rule="none")
    tokens = torch.randint(1, 257, (4, 16 * 128))
    peaks = {}
    for backward in ("amrb", "bptt"):
        model = RMAAT(config.replace(backward=backward))

        def step(model=model):
            model.zero_grad(set_to_none=True)
            model(tokens).logsumexp(-1).sum().backward()

        step()
        model.zero_grad(set_to_none=True)
        peaks[backward] = peak_extra_bytes(step)
    assert peaks["bptt"] > 8 * peaks["amrb"]


def budgeted(keep=None, megabytes=None, backward="amrb", segments=8):
    """A training step of a model of 128 tokens a segment, and its peak extra tensor bytes in MB."""
    torch.manual_seed(0)
    config = RMAATConfig(
        vocabulary=257, classes=2, segment_length=128, memory_rule="none", backward=backward, dropout=0.1,
        kept_segments=keep, replay_mb=megabytes,
    )  # fmt: skip
    model, tokens = RMAAT(config), torch.randint(1, 257, (4, segments * 128))

    def step():
        torch.manual_seed(1)
        model(tokens).logsumexp(-1).sum().backward()

    step()
    for parameter in model.parameters():
        parameter.grad.zero_()  # gradients stand already, so what is measured is activations
    peak = peak_extra_bytes(step) / 1e6
    return model, peak


def test_a_memory_limit_chooses_how_many_segments_are_kept():
    """Measured peaks stay below the limit, a larger limit keeps more, and gradients are those of BPTT to the bit."""
    full, most = budgeted(backward="bptt")
    _, least = budgeted(keep=0)
    kept = []
    for megabytes in (least * 1.4, (least + most) / 2, most * 1.25):
        model, peak = budgeted(megabytes=megabytes)
        (chosen,) = model.encoder._kept.values()
        kept.append(chosen)
        assert peak < megabytes
        for a, b in zip(model.parameters(), full.parameters(), strict=True):
            assert torch.equal(a.grad, b.grad)
    assert kept == sorted(set(kept))
    assert kept[-1] == 8


def test_a_limit_below_one_segment_is_refused(config, laws):
    model = RMAAT(config.replace(replay_mb=1e-6), laws)
    with pytest.raises(
        InputError, match=r"replay_mb: expected at least 0.1 for segments of this size \(all replayed\)"
    ):
        model(torch.ones(2, 20, dtype=torch.int64))
    with torch.no_grad():
        model(torch.ones(2, 20, dtype=torch.int64))  # nothing is kept where nothing is trained


def test_bytes_kept_leave_the_random_state_alone():
    step = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))

    def run(memory):
        return step(memory), memory

    memory = torch.randn(2, 4)
    before = torch.get_rng_state()
    # x is there already; of Linear then nothing more is kept, and dropout keeps its mask (bool) or its scaled noise.
    assert 0 < bytes_kept(run, memory, ()) <= 4 * 4 * (2 + 4) * 2
    assert torch.equal(before, torch.get_rng_state())
    assert affordable(run, memory, [()] * 3, 1.0) == 3
    assert affordable(run, memory, [()] * 3, 1e308) == 3
    assert affordable(lambda m: (m, m), memory, [()] * 3, 1.0) == 3  # keeps nothing
    assert affordable(run, memory, [], 1.0) == 0


@pytest.mark.parametrize("head", ["classify", "language"])
def test_a_memory_limit_holds_whatever_the_padding(head):
    """A full batch first, then one of the same shape with padding: masked segments keep more, and are measured too."""
    config = RMAATConfig(vocabulary=257, head=head, classes=2, segment_length=128, memory_rule="none", replay_mb=32.0)
    torch.manual_seed(0)
    model, tokens = build_model("rmt", config), torch.randint(1, 257, (4, 8 * 128 + 1))
    parameters = sum(p.numel() for p in model.parameters()) * 4 / 1e6

    def step(lengths):
        model(tokens, lengths, *([True] if head == "language" else [])).logsumexp(-1).sum().backward()

    chosen = set()
    for lengths in (None, torch.tensor([1025, 140, 500, 700]), torch.tensor([1025, 1025, 1025, 1000])):
        step(lengths)
        for parameter in model.parameters():
            parameter.grad.zero_()
        # Gradients stand already; replays add theirs in parts, up to one set at a time.
        assert peak_extra_bytes(lambda lengths=lengths: step(lengths)) / 1e6 < 32.0 + parameters
        chosen = set(model.encoder._kept.values())
    assert max(chosen) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backward": "replay"}, "backward: expected 'amrb', 'bptt' or 'truncated', got 'replay'"),
        ({"keep": -1}, "expected keep from 0 and truncate_after from 1, got -1 and 1"),
        ({"truncate_after": 0}, "expected keep from 0 and truncate_after from 1, got 1 and 0"),
        ({"keep": 1.5}, "expected keep from 0 and truncate_after from 1, got 1.5 and 1"),
        ({"truncate_after": None}, "expected keep from 0 and truncate_after from 1, got 1 and None"),
    ],
)
def test_bad_settings_of_a_replay_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        run_segments(lambda m: (m, m), torch.zeros(1), [()], **given)


# --- steps of one's own


class Own(nn.Module):
    """A memory of two tensors in a dict, one of them of whole numbers, beside a number."""

    def __init__(self, *more):
        super().__init__()
        self.read, self.more = nn.Linear(4, 4), nn.Sequential(*more)

    def forward(self, memory, x):
        (state, seen), count = memory["parts"], memory["count"]
        state = self.more(torch.tanh(self.read(state + x)))
        return {"parts": (state, seen + 1), "count": count + 1}, state.sum(1)


def start():
    return {"parts": (torch.zeros(6, 4, requires_grad=True), torch.zeros(6, dtype=torch.int64)), "count": 0}


def own_run(make, backward, call=None, **options):
    """Gradients, buffers, and what comes out."""
    torch.manual_seed(0)
    module = make()
    segments = [(torch.randn(6, 4),) for _ in range(5)]
    torch.manual_seed(1)
    memory, outputs = run_segments(call(module) if call else module, first := start(), segments, backward, **options)
    (memory["parts"][0].square().sum() + torch.stack(outputs).square().sum()).backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    gradients["mem_1"] = first["parts"][0].grad
    return gradients, {name: value.clone() for name, value in module.named_buffers()}, memory


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def spectral():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the older form changes its buffers in the forward pass, too
        return nn.utils.spectral_norm(nn.Linear(4, 4))


class Holder:
    def __init__(self, module):
        self.inside = [module]

    def run(self, *arguments):
        return self.inside[0](*arguments)


def closure(module):
    def step(memory, x):
        return module(memory, x)

    return step


def itself(module):
    return module


CALLS = [itself, lambda module: module.forward, closure, partial, lambda module: Holder(module).run]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Own(nn.Dropout(0.3)),
        lambda: Own(nn.BatchNorm1d(4), nn.Dropout(0.3)),
        lambda: Own(nn.BatchNorm1d(4, momentum=None)),
        lambda: Own(spectral()),
        lambda: Own(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))),
    ],
)
def test_memories_of_any_form_and_buffers_that_a_step_changes(make, call):
    """Gradients are those of BPTT to the bit, and a replay leaves the running statistics as the forward pass did."""
    expected, buffers, after = own_run(make, "bptt")
    assert (after["count"], after["parts"][1].tolist()) == (5, [5] * 6)
    for keep in (0, 2):
        found, others, memory = own_run(make, "amrb", call, keep=keep)
        assert equal(found, expected)
        assert equal(others, buffers)
        assert torch.equal(memory["parts"][0], after["parts"][0])
    cut, _, _ = own_run(make, "truncated", call)
    assert not equal(cut, expected)


def test_a_budget_for_memories_of_any_form():
    torch.manual_seed(0)
    module = Own(nn.BatchNorm1d(4))
    before = {name: value.clone() for name, value in module.named_buffers()}
    segments = [(torch.randn(6, 4),) for _ in range(4)] + [(torch.randn(6, 1),)]
    assert len(kinds(segments)) == 2
    assert len(kinds([({"x": torch.zeros(2)}, [1]), ({"x": torch.ones(2)}, [1]), ({"x": torch.ones(2)}, [2])])) == 2
    found = [bytes_kept(call(module), start(), segments[0]) for call in CALLS]
    assert set(found) == {found[0]}  # parameters are known, however the step reaches them
    # tanh's output, BatchNorm's input being the same, and four numbers of its statistics twice: 6 * 4 * 4 and 2 * 16
    assert 6 * 4 * 4 <= found[0] <= 3 * 6 * 4 * 4 + 2 * 16
    assert equal(dict(module.named_buffers()), before)
    assert affordable(module, start(), segments, 1.0) == 5
    many = segments[:1] * 4_000  # whose memories alone, of 96 + 48 bytes, take 0.6 MB
    with pytest.raises(InputError, match="replay_mb: expected at least 0.6 for segments of this size"):
        affordable(module, start(), many, 0.5)
    for megabytes in (0, -1.0, float("nan"), "2"):
        with pytest.raises(InputError, match="megabytes: expected a number above 0, got"):
            affordable(module, start(), segments, megabytes)


@pytest.mark.parametrize("place", [0, 2])
def test_a_step_that_draws_though_it_was_said_not_to(place):
    """Its replay would draw other masks: gradients were off by 0.04, without a word."""

    def step(memory, x, drop):
        memory = torch.tanh(memory + x)
        return nn.functional.dropout(memory, 0.5) if drop else memory, memory.sum()

    memory = torch.zeros(2, 3, requires_grad=True)
    segments = [(torch.ones(2, 3), t == place) for t in range(4)]
    with pytest.raises(InputError, match="draws: the step draws random numbers .* expected draws=True"):
        run_segments(step, memory, segments, draws=False)
    for options in ({"draws": True}, {"draws": False, "backward": "bptt"}):
        run_segments(step, memory, segments, **options)
    run_segments(step, memory, [(x, False) for x, _ in segments], draws=False)


@pytest.mark.parametrize("evaluated", [True, False])
def test_dropout_that_was_put_in_by_hand(config, laws, batch, evaluated):
    """It is on though the configuration has none, or though the model is evaluated."""
    found = []
    for backward in ("amrb", "bptt"):
        torch.manual_seed(1)
        model = RMAAT(config.replace(backward=backward, kept_segments=0 if backward == "amrb" else None), laws)
        model.train(not evaluated)
        model.encoder.blocks[0].dropout.train().p = 0.4
        torch.manual_seed(2)
        model(*batch).square().sum().backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert equal(*found)


@pytest.mark.parametrize(
    ("step", "segments", "message"),
    [
        (lambda m, x: (m, x), torch.ones(3, 2), "segments: expected a tuple of arguments for each"),
        (lambda m, x: (m, x), [torch.ones(1)], r"segments: expected a tuple of arguments for each, \(x,\)"),
        (lambda m, x: m, [(torch.ones(1),)], "step: expected a memory and an output in return, got Tensor"),
        (lambda m, x: (m, x, x), [(torch.ones(1),)], "step: expected a memory and an output in return, got tuple"),
        (lambda m, x: None, [(torch.ones(1),)] * 3, "step: expected a memory and an output in return, got NoneType"),
    ],
)
def test_steps_and_segments_that_are_none(step, segments, message):
    with pytest.raises(InputError, match=message):
        run_segments(step, torch.zeros(2), segments)


def test_no_segments_at_all():
    memory = torch.zeros(2)
    assert run_segments(lambda m: (m, m), memory, []) == (memory, [])
