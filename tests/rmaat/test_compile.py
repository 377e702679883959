"""A compiled segment: the numbers of the plain one, replayed with the masks and by the code of its forward pass.

Most tests take the backend "aot_eager": tracing, guards, partition and saved tensors are those of inductor, without its
code generation, which takes a minute. One slow test has inductor itself.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.registry import build_model

# torch's own, as it traces: it looks at the .grad of every input, and makes an object of an autograd function.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*autograd.function.Function.* should not be instantiated:DeprecationWarning"),
]

Found = tuple[torch.Tensor, dict[str, torch.Tensor]]


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    """Code that was compiled elsewhere is not found, and neither is this file's."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def ragged() -> tuple[torch.Tensor, torch.Tensor]:
    """Three segments, the last of 4 tokens in place of 6, where one row has padding and one is nothing else."""
    tokens, lengths = torch.randint(1, 16, (3, 16)), torch.tensor([16, 14, 2])
    for row, length in zip(tokens, lengths, strict=True):
        row[length:] = 0
    return tokens, lengths


def run(name: str, config: RMAATConfig, laws: Laws, lengths: bool = True, **options: Any) -> Found:
    """Logits and gradients; with options the segments are compiled."""
    torch.manual_seed(1)
    model = build_model(name, config, laws)
    if options:
        model.compile_segments(**options)
    torch.manual_seed(2)  # weights, data and masks are the same in every setting
    tokens, real = ragged()
    torch.manual_seed(3)
    logits = model(tokens, real if lengths else None)
    cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    return logits.detach(), {key: value for key, value in gradients.items() if value is not None}


def largest_difference(found: Found, expected: Found) -> float:
    """Relative to the largest logit, and to the largest gradient of each parameter."""
    assert found[1].keys() == expected[1].keys()
    pairs = [(found[0], expected[0]), *((found[1][key], expected[1][key]) for key in expected[1])]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def all_equal(a: Found, b: Found) -> bool:
    return torch.equal(a[0], b[0]) and a[1].keys() == b[1].keys() and all(torch.equal(a[1][k], b[1][k]) for k in a[1])


@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.2])
@pytest.mark.parametrize("name", ["rmaat", pytest.param("rmt", marks=pytest.mark.slow)])
def test_compiled_equals_plain_and_amrb_equals_bptt(config, laws, name, dropout):
    """Compiled against plain: to 1e-5, since sums may be ordered anew. AMRB against BPTT, both compiled: bit for bit.

    With dropout that holds only if the replay draws the masks of the forward pass. The laws of rmaat are
    trained, through every segment.
    """
    config = config.replace(dropout=dropout, depth=1, memory_rule="consolidate", kept_segments=0)
    config = config.replace(trainable_laws=name == "rmaat")
    plain = run(name, config, laws)
    amrb = run(name, config, laws, backend="aot_eager")
    bptt = run(name, config.replace(backward="bptt"), laws, backend="aot_eager")
    assert largest_difference(amrb, plain) < 1e-5
    assert all_equal(amrb, bptt)


def test_a_shorter_last_segment_does_not_change_the_code_of_a_replay(config, laws):
    """Without padding it differs in length alone: code for any length, torch's default, would replay the others."""
    config = config.replace(depth=1, kept_segments=0)
    amrb = run("rmt", config, laws, lengths=False, backend="aot_eager")
    assert all_equal(amrb, run("rmt", config.replace(backward="bptt"), laws, lengths=False, backend="aot_eager"))


def test_dropout_is_on_in_that_comparison(config, laws):
    """Otherwise it would prove nothing about masks."""
    with_masks, without = (run("rmaat", config.replace(dropout=p), laws) for p in (0.2, 0.0))
    assert largest_difference(with_masks, without) > 0.01


class Counting:
    """A backend that runs what was traced as it is, and counts."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        self.graphs += 1
        return graph.forward


@pytest.mark.parametrize(
    ("rule", "head"),
    [
        ("scale", "classify"),
        pytest.param("consolidate", "classify", marks=pytest.mark.slow),
        pytest.param("scale", "language", marks=pytest.mark.slow),
    ],
)
def test_number_of_compilations_does_not_grow_with_segments(config, laws, rule, head):
    """3, 6 and 12 segments share one graph, replay included: factors are tensors, and no stride tells the length."""
    backend = Counting()
    config = config.replace(memory_rule=rule, kept_segments=0, head=head)
    model = build_model("rmaat", config, laws).compile_segments(backend=backend, fullgraph=True)
    for segments in (3, 6, 12):
        model(torch.randint(1, 16, (2, segments * config.segment_length))).sum().backward()
        assert backend.graphs == 1


def test_each_shape_is_compiled_once_and_the_limit_of_torch_changes_no_gradient(config, laws):
    """Beyond the limit torch runs new shapes plainly; their replay is plain then too."""
    backend = Counting()
    model = build_model("rmaat", config.replace(kept_segments=0, dropout=0.2), laws)
    model.compile_segments(backend=backend)
    plain = build_model("rmaat", config.replace(backward="bptt", dropout=0.2), laws)
    plain.load_state_dict(model.state_dict())
    with torch._dynamo.config.patch(recompile_limit=3):
        for length in (16, 17, 15, 16):
            tokens = torch.randint(1, 16, (2, length))
            for each in (model, plain):
                each.zero_grad(set_to_none=True)
                torch.manual_seed(length)
                each(tokens).logsumexp(-1).sum().backward()
            for one, other in zip(model.parameters(), plain.parameters(), strict=True):
                assert one.grad is not None
                assert other.grad is not None
                assert (one.grad - other.grad).abs().max() <= 1e-5 * other.grad.abs().max()
    assert backend.graphs == 3


@pytest.mark.parametrize("head", ["classify", pytest.param("language", marks=pytest.mark.slow)])
def test_whole_segments_make_one_shape_of_all_lengths_and_change_no_gradient(config, laws, head):
    """Padded or not differs in whether there is a mask: two graphs at most, whatever the length."""
    backend = Counting()
    config = config.replace(kept_segments=0, head=head, classes=5 if head == "classify" else None)
    model, plain = (build_model("rmaat", config, laws) for _ in range(2))
    plain.load_state_dict(model.state_dict())
    model.compile_segments(even=True, backend=backend)
    for length in (16, 17, 15, 13, 18):
        tokens = torch.randint(1, 16, (2, length))
        outputs = []
        for each in (model, plain):
            each.zero_grad(set_to_none=True)
            outputs.append(each(tokens))
            outputs[-1].logsumexp(-1).sum().backward()
        assert outputs[0].shape == outputs[1].shape
        assert (outputs[0] - outputs[1]).abs().max() < 1e-5
        for one, other in zip(model.parameters(), plain.parameters(), strict=True):
            assert (one.grad is None) == (other.grad is None)
            if one.grad is not None and other.grad is not None:
                assert (one.grad - other.grad).abs().max() <= 1e-5 * other.grad.abs().max().clamp(min=1e-3)
    assert backend.graphs <= 2


@pytest.mark.slow
def test_amrb_needs_less_memory_than_bptt_when_compiled(laws):
    """7 of 8 segments are replayed: below a third of the bytes; what does not depend on segments is in both."""
    config = RMAATConfig(vocabulary=16, classes=2, width=32, depth=1, segment_length=64, memory_tokens=4)
    tokens = torch.randint(1, 16, (4, 8 * 64))
    peaks = {}
    for backward in ("amrb", "bptt"):
        model = build_model("rmaat", config.replace(backward=backward), laws).compile_segments(backend="aot_eager")

        def step(model=model):
            model.zero_grad(set_to_none=True)
            model(tokens).logsumexp(-1).sum().backward()

        step()
        model.zero_grad(set_to_none=True)
        peaks[backward] = peak_extra_bytes(step)
    assert 3 * peaks["amrb"] < peaks["bptt"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # torch's own, as inductor loads
def test_inductor_equals_plain_and_amrb_equals_bptt(config, laws):
    """The default backend, dropout off and on; its masks are not those of plain code, but the replay's are its own."""
    config = config.replace(kept_segments=0, depth=1, memory_rule="consolidate")
    for dropout in (0.0, 0.2):
        c = config.replace(dropout=dropout)
        amrb = run("rmaat", c, laws, backend="inductor")
        assert all_equal(amrb, run("rmaat", c.replace(backward="bptt"), laws, backend="inductor"))
        if not dropout:
            assert largest_difference(amrb, run("rmaat", c, laws)) < 1e-5
        else:
            assert largest_difference(amrb, run("rmaat", config, laws)) > 0.01
