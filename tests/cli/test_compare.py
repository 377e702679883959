"""`rmaat compare`: what it prints and keeps, and one line with exit status 2 for bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

import analysis
from analysis.comparison.text import sentences
from rmaat.__main__ import main
from tests.analysis.handmade_runs import row, table, write


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Three seeds of two models; the second has another 30 examples of 200 wrong."""
    generator, found = np.random.default_rng(0), []
    for seed in range(3):
        right = generator.random(200) < 0.6
        other = right & ~(np.arange(200) < 30 + 2 * seed)
        found += [write(tmp_path / f"rmaat-{seed}", "rmaat", seed, right)]
        found += [write(tmp_path / f"rmt-{seed}", "rmt", seed, other)]
    return [str(path) for path in found]


def test_two_tables_and_the_verdict_are_printed(runs, capsys):
    assert main(["compare", *runs, "--baseline", "rmt"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert " ".join(printed[0].split()) == "arm seed numbers mean accuracy (%) 95 % interval over of each seed"
    assert [line.split()[0] for line in printed[1:3]] == ["rmt", "rmaat"]
    assert printed[4].startswith("against rmt")
    assert printed[5].endswith("better")
    assert printed[7] == sentences(analysis.compare(runs, "rmt"))[0]
    assert printed[9] == "paired over seeds; variation of seeds and of test examples"


def test_json_is_printed_and_kept(runs, tmp_path, capsys):
    out = tmp_path / "new" / "comparison.json"
    assert main(["compare", *runs, "--json", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())
    assert json.loads(out.read_text())["baseline"] == "rmaat"


def test_a_table_is_compared_a_task_at_a_time(tmp_path, capsys):
    rows = [row(name, seed, 0.4 + 0.01 * seed, name) for name in ("rmaat", "rmt") for seed in range(2)]
    path = table(tmp_path / "lra.json", *rows, row("rmaat", 0, 0.5, task="text"))
    assert main(["compare", str(path)]) == 2
    assert "runs of different tasks: listops" in capsys.readouterr().err
    assert main(["compare", str(path), "--task", "listops"]) == 0
    assert "no difference shown between rmt and rmaat: the same with every seed (2 seeds)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--baseline", "rma", "unknown baseline 'rma', no arm, model or run folder; did you mean 'rmaat'?"),
        ("--task", "text", "task 'text': no evaluated run of it; known: listops"),
        ("--out", "x.txt", "x.txt: expected a name that ends in .json"),
    ],
)
def test_bad_input_is_told_in_one_line(runs, option, value, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *runs, option, value]) == 2
    assert capsys.readouterr() == ("", f"rmaat: {message}\n")
    assert not (tmp_path / "x.txt").exists()
