"""What is said of a model at work, against slower ways to know it."""

import json

import pytest
import torch

from rmaat.models import diagnostics
from rmaat.models.registry import MEMBERS, build_model
from rmaat.models.streaming import Stream
from rmaat.records import read_run
from rmaat.tasks import data_folder
from rmaat.training.evaluation import inspect
from rmaat.training.run import train
from tests.rmaat.refusals import refuses


def made(name, config, laws, **changes):
    torch.manual_seed(1)
    return build_model(name, config.replace(**changes), laws).double().eval()


@pytest.mark.parametrize("name", MEMBERS)
def test_influence_is_the_derivative_of_the_logits(config, laws, batch, name):
    """Against finite differences of the embedding: token by token, direction by direction, for one segment."""
    model = made(name, config, laws, vocabulary=40)
    tokens, lengths = batch
    tokens = tokens.clone()
    tokens[1, 6:12] = torch.arange(20, 26)  # ids that stand nowhere else: their rows of the table are these places
    found = diagnostics.segment_influence(model, tokens, lengths)
    assert found.shape == (3, 5)
    step, total = 1e-5, 0.0
    with torch.no_grad():
        table = model.encoder.embedding.weight
        for token in range(20, 26):
            for feature in range(8):
                ends = []
                for sign in (1, -1):
                    table[token, feature] += sign * step
                    ends.append(model(tokens, lengths)[1])
                    table[token, feature] -= sign * step
                total += float(((ends[0] - ends[1]) / (2 * step)).square().sum())
    assert float(found[1, 1]) == pytest.approx(total**0.5, rel=1e-6)  # the error of central differences
    assert (found[2, 1:] == 0).all()  # three tokens: one segment
    assert (found[0] > 0).all()


def test_influence_of_a_language_model_is_that_of_its_last_token(config, laws):
    model = made("rmaat", config, laws, head="language", memory_rule="consolidate", vocabulary=12)
    tokens = torch.randint(1, 12, (2, 15))
    found = diagnostics.segment_influence(model, tokens)
    # The last token is predicted, not read: what stands in the last segment before it reaches its logits.
    assert (found > 0).all()
    alone = diagnostics.segment_influence(model, tokens[:, :13])  # the last segment is the last token
    assert (alone[:, :2] > 0).all()
    assert (alone[:, 2] == 0).all()
    later = tokens.clone()
    later[:, -1] = 1 + later[:, -1] % 11
    torch.testing.assert_close(diagnostics.segment_influence(model, later), found, rtol=1e-12, atol=0)


def test_random_directions_estimate_the_norm():
    """200 outputs through a linear map: the squared norm is known, and 16 directions find it to some 10 %."""
    x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(20, 200, dtype=torch.float64)
    (norms,) = diagnostics._derivative_norms(x.flatten(1) @ weight, [x], seed=0)
    expected = weight.view(4, 5, 200).square().sum((1, 2)).sqrt()
    # A squared norm of 1,000 terms from 16 directions has a relative deviation near sqrt(2 / 16 / 5) = 0.16.
    assert ((norms / expected - 1).abs() < 0.3).all()
    assert (norms / expected - 1).abs().max() > 1e-6  # estimated, not exact


@pytest.mark.parametrize("rule", ["scale", "consolidate", "none"])
def test_memory_norms_and_what_is_kept_of_the_first(config, laws, rule):
    model = made("rmaat", config, laws, memory_rule=rule)
    tokens = torch.randint(1, 16, (2, 24))
    norms = diagnostics.memory_norms(model, tokens)
    stream = Stream(model, 2, 4)
    with torch.no_grad():
        for t, part in enumerate(tokens.split(6, dim=1)):
            stream.push(part)
            torch.testing.assert_close(
                norms[:, t], stream.memory.norm(dim=-1).square().mean(1).sqrt(), rtol=1e-12, atol=0
            )
    kept = diagnostics.kept_of_first(model, tokens, [1, 2, 4])
    assert kept[0] > kept[1] > kept[2] > 0
    for totals in ([], [0]):
        refuses("totals: expected numbers of segments from 1", diagnostics.kept_of_first, model, tokens, totals)
    pairs = made("rmaat", config, laws, head="match")
    refuses("inspect: pairs have two towers", diagnostics.look, pairs, tokens, torch.tensor([24, 24]))
    refuses("tokens: expected 30 for T = 5, got 24", diagnostics.kept_of_first, model, tokens, [5])
    factors = laws.retention(4)
    expected = {"scale": factors.prod(), "consolidate": factors[0], "none": 1.0}[rule]
    assert diagnostics.direct_weight(model, 4) == pytest.approx(expected, rel=1e-12)


def test_what_is_kept_of_the_first_is_the_derivative_of_the_memory(config, laws):
    """Exactly, from the Jacobian of mem_3 in the first segment's rows of the embedding."""
    model = made("rmaat", config, laws, memory_rule="consolidate", memory_tokens=1)
    tokens = torch.cat([torch.arange(1, 7), torch.full((6,), 9)])[None]
    table = model.encoder.embedding.weight.detach().clone()

    def memory(rows):
        full = torch.cat([table[:1], rows, table[7:]])
        stream = None
        original = model.encoder.embedding.weight
        del model.encoder.embedding.weight
        model.encoder.embedding.weight = full
        try:
            stream = Stream(model, 1)
            for part in tokens.split(6, dim=1):
                stream.push(part)
            return stream.memory.flatten()
        finally:
            del model.encoder.embedding.weight
            model.encoder.embedding.weight = original

    jacobian = torch.autograd.functional.jacobian(memory, table[1:7])
    (found,) = diagnostics.kept_of_first(model, tokens, [2])
    assert found == pytest.approx(float(jacobian.norm()), rel=1e-10)  # 8 outputs: exact directions


def test_inspect_leaves_a_file_that_the_record_reads(listops, laws, tmp_path, capsys):
    settings = {
        "width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 8, "memory_tokens": 2, "steps": 2,
        "device": "cpu", "match_parameters": False,
    }  # fmt: skip
    for name in ("rmaat", "transformer"):
        run = tmp_path / name
        train("listops", listops, laws, run, name, settings)
        found = inspect(run, examples=3)
        assert read_run(run).diagnostics.model_dump() == found
        assert found["examples"] == 3
        segments = -(-int(data_folder.load(listops).splits["test"].lengths.max()) // 8)
        assert len(found["influence"]) == segments > 4
        assert all(value > 0 for value in found["influence"])
        if name == "rmaat":
            assert len(found["memory_norm"]) == segments
            assert [row["T"] for row in found["first"]][:2] == [1, 2]
            assert found["first"][0]["measured"] == 1.0
        else:
            assert found["memory_norm"] is None
            assert found["first"] is None
    refuses("examples: expected at least 1, got 0", inspect, run, examples=0)
    from rmaat.__main__ import main

    assert main(["inspect", str(tmp_path / "rmaat"), "--examples", "2"]) == 0
    assert "kept of segment 1" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "transformer"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first"] is None
