"""Runs that begin with the weights of another run: which are taken, that they are kept, and what does not fit."""

import re
import shutil

import pytest
import torch

from analysis.comparison import arms
from astro_sim.common.errors import InputError
from astro_sim.common.files import file_digest
from rmaat import from_pretrained, save_pretrained, tasks
from rmaat.__main__ import main
from rmaat.models.registry import build_model
from rmaat.records import START, read_run
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.writer import prepare
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train
from tests.rmaat.run_folders import TINY, assignments, same, weights

SMALL = {**TINY, "steps": 6, "warmup": 1, "validate_every": 3, "checkpoint_every": 2}
# A step that moves no weight: the smallest is far above a change of this size.
STILL = {**SMALL, "steps": 1, "learning_rate": 1e-30, "select": "last"}


@pytest.fixture(scope="module")
def first(listops, laws, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "first"
    train("listops", listops, laws, run, "rmaat", SMALL)
    evaluate(run)
    return run


def test_a_run_begins_where_another_ended(first, listops, laws, other_laws, tmp_path):
    """Under other laws and another seed too: no weight is drawn anew."""
    record = train("listops", listops, laws, tmp_path / "run", "rmaat", {**STILL, "seed": 3}, init_from=first)
    assert same(weights(tmp_path / "run"), weights(first))
    assert record.run.init_from.model_dump() == {
        "path": str(first), "digest": file_digest(first / "model.safetensors"), "task": "listops", "anew": [],
    }  # fmt: skip
    train("listops", listops, other_laws, tmp_path / "other", "rmaat", STILL, init_from=first)
    assert same(weights(tmp_path / "other"), weights(first))


def test_a_saved_model_is_begun_with(first, listops, laws, tmp_path):
    record = read_run(first)
    model = build_model("rmaat", record.run.config, laws)
    model.load_state_dict(weights(first))
    save_pretrained(model, tmp_path / "saved")
    assert same(from_pretrained(tmp_path / "saved").state_dict(), weights(first))
    begun = train("listops", listops, laws, tmp_path / "run", "rmaat", STILL, init_from=tmp_path / "saved")
    assert same(weights(tmp_path / "run"), weights(first))
    assert begun.run.init_from.task == "saved"


def test_a_language_model_becomes_a_classifier(laws, tmp_path, capsys):
    """All but the head, and what belongs to rows that write memory, which a classifier has not."""
    (tmp_path / "enwik8").write_bytes(bytes(torch.randint(0, 250, (2_000,)).tolist()))
    settings = Enwik8Settings(window=40, train=1_600, valid=200, test=200)
    prepare("enwik8", tmp_path / "bytes", settings, source=tmp_path / "enwik8")
    words = "from astro_sim.common.settings import Settings\nfrom rmaat.tasks import Task\n"
    words += "def prepare(settings, source, seed, writer):\n    writer.split('train', [(b'abc' * 9, 1)] * 16)\n"
    words += "    return 'abc'\nTASK = Task('abc', Settings, 256, 2, prepare)\n"
    (tmp_path / "abc.py").write_text(words)
    prepare(tmp_path / "abc.py", tmp_path / "abc", tasks.find(tmp_path / "abc.py").task.settings())
    language = train("enwik8", tmp_path / "bytes", laws, tmp_path / "language", "rmaat", SMALL)
    laws.save(tmp_path / "laws.json")
    given = assignments(STILL)
    for name, more in (("begun", ["--init-from", str(language.path)]), ("fresh", [])):
        command = ["train", "abc", "--data", str(tmp_path / "abc"), "--laws", str(tmp_path / "laws.json")]
        assert main([*command, "--out", str(tmp_path / name), *given, *more]) == 0
        printed = capsys.readouterr().out
        assert (f"begun with the weights of {language.path}; anew: head, relative position\n" in printed) == bool(more)
    begun, fresh = weights(tmp_path / "begun"), weights(tmp_path / "fresh")
    before = weights(language.path)
    for name, value in begun.items():
        # A bias that is 0 has moved by the learning rate.
        assert torch.allclose(
            value, (fresh if name.startswith(("head.", "encoder.relative.")) else before)[name], rtol=0, atol=1e-29
        )


def test_a_stopped_run_goes_on_though_the_other_is_gone(first, listops, laws, tmp_path):
    """Before its first checkpoint and after it, to the weights of a run that was not stopped."""
    shutil.copytree(first, tmp_path / "source")
    train("listops", listops, laws, tmp_path / "whole", "rmaat", SMALL, init_from=tmp_path / "source")
    for run in ("early", "late"):
        train("listops", listops, laws, tmp_path / run, "rmaat", SMALL, minutes=1e-9, init_from=tmp_path / "source")
    shutil.rmtree(tmp_path / "early" / "checkpoints", ignore_errors=True)
    shutil.rmtree(tmp_path / "source")
    for run in ("early", "late"):
        assert (tmp_path / run / START).is_file()
        train("listops", None, None, tmp_path / run, resume=True)
        assert same(weights(tmp_path / run), weights(tmp_path / "whole"))


def test_what_does_not_fit_is_told_before_anything_is_written(first, listops, laws, other_laws, tmp_path):
    out = tmp_path / "run"
    file = first / "model.safetensors"
    block = "encoder.blocks.{}.attention.out.bias"
    no_fit = f"{file}: not to begin with: '{block}' has {{}} there, the shape {{}} in this model"
    missing = "expected a finished run or a saved model; model.safetensors is missing"
    cases = [
        ({"width": 16}, first, no_fit.format(0, "the shape [8]", "[16]")),
        ({"depth": 2}, first, no_fit.format(1, "no such tensor", "[8]")),
        ({}, listops, f"{listops}: {missing}"),
        ({}, tmp_path / "nowhere", f"{tmp_path / 'nowhere'}: {missing}"),
    ]
    for settings, source, message in cases:
        with pytest.raises(InputError, match=f"^{re.escape(message)}"):
            train("listops", listops, laws, out, "rmaat", SMALL | settings, init_from=source)
        assert not out.exists()
    train("listops", listops, laws, out, "rmaat", SMALL, minutes=1e-9)
    with pytest.raises(InputError, match=f"^{out}: did not begin with the weights of {first}$"):
        train("listops", listops, laws, out, resume=True, init_from=first)


def test_runs_with_and_without_are_two_arms(first, listops, laws, tmp_path):
    train("listops", listops, laws, tmp_path / "begun", "rmaat", SMALL, init_from=first)
    evaluate(tmp_path / "begun")
    assert [*arms.arms(arms.find([first, tmp_path / "begun"])[0])] == ["rmaat", "rmaat, init_from=listops"]


def test_a_trained_law_begins_where_the_laws_put_it(listops, laws, other_laws, tmp_path):
    """Not moved by what was added to other laws; runs with and without a trainable law begin with each other."""
    free, fixed = {**SMALL, "laws.trainable": True, "learning_rate": 0.05}, {**STILL}
    train("listops", listops, laws, tmp_path / "moved", "rmaat", free)
    assert weights(tmp_path / "moved")["encoder.retention.shift"].abs().max() > 0.01
    run = train("listops", listops, other_laws, tmp_path / "free", "rmaat", {**STILL, "laws.trainable": True},
                init_from=tmp_path / "moved")  # fmt: skip
    assert run.run.init_from.anew == ["retention law"]
    assert weights(tmp_path / "free")["encoder.retention.shift"].abs().max() < 1e-20
    without = train("listops", listops, laws, tmp_path / "fixed", "rmaat", fixed, init_from=tmp_path / "moved")
    assert without.run.init_from.anew == []
    again = train("listops", listops, laws, tmp_path / "again", "rmaat", {**STILL, "laws.trainable": True},
                  init_from=tmp_path / "fixed")  # fmt: skip
    assert again.run.init_from.anew == ["retention law"]
