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
from tests.rmaat.refusals import refuses


def gradients(config, laws, tokens, lengths, dtype=torch.float64, mode="train"):
    """Logits, and the gradients of the parameters that have one."""
    torch.manual_seed(1)
    model = RMAAT(config, laws).to(dtype).train(mode == "train")
    torch.manual_seed(2)  # dropout draws the same masks in every backward setting
    logits = model(tokens, lengths)
    cross_entropy(logits, torch.zeros(len(tokens), dtype=torch.int64)).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("segments", [1, 2, 16])
@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
@pytest.mark.parametrize("rule", ["scale", "consolidate", "none"])
def test_gradients_equal_bptt(config, laws, segments, precision, rule):
    """Bit for bit: a short last segment, a row with padding, dropout on, in float64 and under autocast."""
    config = config.replace(dropout=0.3, memory_rule=rule)
    length = segments * config.segment_length - 2
    batch = torch.randint(1, 16, (3, length)), torch.tensor([length, max(1, length // 2), 1])
    half = precision == "bfloat16"
    outcome = {}
    for backward in ("amrb", "bptt"):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            dtype = torch.float32 if half else torch.float64
            outcome[backward] = gradients(config.replace(backward=backward), laws, *batch, dtype)
    assert torch.equal(outcome["amrb"][0], outcome["bptt"][0])
    assert equal(outcome["amrb"][1], outcome["bptt"][1])


@pytest.mark.parametrize("head", ["memory", "last", "mean", "match", "language"])
@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member.recurrent])
def test_every_model_that_recurs(config, laws, name, head):
    """Bit for bit in float32, dropout on, odd lengths, every k, every head and readout."""
    kind = {"readout": head} if head in ("memory", "last", "mean") else {"head": head}
    config = config.replace(dropout=0.2, memory_rule="consolidate", **kind)
    tokens, lengths = torch.randint(1, 16, (4, 27)), torch.tensor([27, 14, 3, 20])
    if head == "match":
        tokens, lengths = tokens.view(2, 2, -1), lengths.view(2, 2)

    def run(**changes):
        torch.manual_seed(1)
        model = build_model(name, config.replace(**changes), laws)
        torch.manual_seed(2)
        out = model(tokens, lengths, scores=True) if head == "language" else model(tokens, lengths)
        out.square().sum().backward()
        return {key: parameter.grad for key, parameter in model.named_parameters() if parameter.grad is not None}

    full = run(backward="bptt")
    for keep in range(7):
        assert equal(run(backward="amrb", kept_segments=keep), full)


def test_dropout_is_on_in_that_comparison(config, laws, batch):
    """Otherwise it would prove nothing about the replayed random state."""
    config = config.replace(dropout=0.3)
    assert not torch.equal(gradients(config, laws, *batch)[0], gradients(config, laws, *batch, mode="eval")[0])


def test_unused_parameters_get_no_gradient(config, laws, batch):
    """What no path to the loss uses has the gradient None under both; a token that is not there has 0."""

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, memory, x):
            memory = torch.tanh(self.used(memory + x))
            return memory, memory.sum(1)

    outcome = {}
    for backward in ("amrb", "bptt"):
        torch.manual_seed(0)
        step, inputs = Step(), [(torch.randn(2, 3, 4),) for _ in range(4)]
        memory, outputs = run_segments(step, torch.zeros(2, 3, 4), inputs, backward)
        (memory.sum() + sum(output.sum() for output in outputs)).backward()
        assert step.unused.weight.grad is None
        outcome[backward] = {name: parameter.grad for name, parameter in step.used.named_parameters()}
    assert equal(outcome["amrb"], outcome["bptt"])
    _, amrb = gradients(config, laws, batch[0].clamp(max=3), batch[1])
    assert (amrb["encoder.embedding.weight"][4:] == 0).all()


def test_truncated_cuts_the_gradient_between_segments(config, laws, batch):
    """Tokens of the first segment alone have none, where BPTT gives them one."""
    (tokens, _), config = batch, config.replace(readout="last")
    last = torch.cat([tokens[0, 24:], tokens[1, 12:14], tokens[2, :3]])
    early = sorted(set(tokens[0, :6].tolist()) - set(last.tolist()))
    cut, full = (gradients(config.replace(backward=mode), laws, *batch)[1] for mode in ("truncated", "bptt"))
    assert early
    assert (cut["encoder.embedding.weight"][early] == 0).all()
    assert (full["encoder.embedding.weight"][early] != 0).any()


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


def budgeted(segments=8, **changes):
    """A training step of a model of 64 tokens a segment, and its peak extra tensor bytes in MB."""
    torch.manual_seed(0)
    settings = {"vocabulary": 257, "classes": 2, "segment_length": 64, "memory_rule": "none", "dropout": 0.1}
    model, tokens = RMAAT(RMAATConfig(**settings, **changes)), torch.randint(1, 257, (4, segments * 64))

    def step():
        torch.manual_seed(1)
        model(tokens).logsumexp(-1).sum().backward()

    step()
    for parameter in model.parameters():
        parameter.grad.zero_()  # gradients stand already, so what is measured is activations
    return model, peak_extra_bytes(step) / 1e6


def test_extra_memory_is_an_eighth_of_bptt_at_16_segments():
    """Tensor bytes from the profiler's record of allocations: 15 of 16 segments are replayed."""
    assert budgeted(16, backward="bptt")[1] > 8 * budgeted(16, backward="amrb")[1]


def test_a_memory_limit_chooses_how_many_segments_are_kept():
    """Measured peaks stay below the limit, a larger limit keeps more, and gradients are those of BPTT to the bit."""
    full, most = budgeted(backward="bptt")
    _, least = budgeted(kept_segments=0)
    kept = []
    for megabytes in (least * 1.4, (least + most) / 2, most * 1.25):
        model, peak = budgeted(replay_mb=megabytes)
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
        replayed, others, memory = own_run(make, "amrb", call, keep=keep)
        assert equal(replayed, expected)
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
    (kept,) = {bytes_kept(call(module), start(), segments[0]) for call in CALLS}  # however parameters are reached
    # tanh's output, BatchNorm's input being the same, and four numbers of its statistics twice: 6 * 4 * 4 and 2 * 16
    assert 6 * 4 * 4 <= kept <= 3 * 6 * 4 * 4 + 2 * 16
    assert equal(dict(module.named_buffers()), before)
    assert affordable(module, start(), segments, 1.0) == 5
    many = segments[:1] * 4_000  # whose memories alone, of 96 + 48 bytes, take 0.6 MB
    refuses("replay_mb: expected at least 0.6 for segments of this size", affordable, module, start(), many, 0.5)
    for megabytes in (0, -1.0, float("nan"), "2"):
        refuses("megabytes: expected a number above 0, got", affordable, module, start(), segments, megabytes)


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
    outcome = []
    for changes in ({"backward": "amrb", "kept_segments": 0}, {"backward": "bptt"}):
        torch.manual_seed(1)
        model = RMAAT(config.replace(**changes), laws).train(not evaluated)
        model.encoder.blocks[0].dropout.train().p = 0.4
        torch.manual_seed(2)
        model(*batch).square().sum().backward()
        outcome.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert equal(*outcome)


ONE = [(torch.ones(1),)]
STEPS = "expected keep from 0 and truncate_after from 1, got "


def good(m, x):
    return m, x


@pytest.mark.parametrize(
    ("step", "segments", "options", "message"),
    [
        (good, ONE, {"backward": "replay"}, "backward: expected 'amrb', 'bptt' or 'truncated', got 'replay'"),
        (good, ONE, {"keep": -1}, f"{STEPS}-1 and 1"),
        (good, ONE, {"truncate_after": 0}, f"{STEPS}1 and 0"),
        (good, ONE, {"keep": 1.5}, f"{STEPS}1.5 and 1"),
        (good, ONE, {"truncate_after": None}, f"{STEPS}1 and None"),
        (good, torch.ones(3, 2), {}, "segments: expected a tuple of arguments for each"),
        (good, [torch.ones(1)], {}, r"segments: expected a tuple of arguments for each, \(x,\)"),
        (lambda m, x: m, ONE, {}, "step: expected a memory and an output in return, got Tensor"),
        (lambda m, x: (m, x, x), ONE, {}, "step: expected a memory and an output in return, got tuple"),
        (lambda m, x: None, ONE * 3, {}, "step: expected a memory and an output in return, got NoneType"),
    ],
)
def test_what_cannot_be_run_is_refused(step, segments, options, message):
    memory = torch.zeros(2)
    refuses(message, run_segments, step, memory, segments, **options)
    assert run_segments(step, memory, []) == (memory, [])
