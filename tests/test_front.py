"""What a newcomer runs: the README's code, the commands, the benchmarks' checks."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.registry import NAMES, Benchmark, run
from benchmarks.studies import retrieval_words
from rmaat.__main__ import main

ROOT = Path(__file__).parents[1]
# The same commands on a small scale: shorter trees, fewer of them, four steps.
SMALLER = {
    "data": ["--set", "min_length=10", "--set", "max_length=80"],
    "train": ["--set", "steps=4", "--set", "batch=8", "--set", "device=cpu"],
}
FEWER = {"train=8000": "train=64", "valid=500": "valid=8", "test=1000": "test=8", "steps=200": "steps=2"}
FEWER |= {"train=2000": "train=32", "valid=200": "valid=8", "test=200": "test=8"}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_readme_fits_a_screen_and_a_half():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


@pytest.mark.slow
def test_the_commands_work_in_order(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "commands.md").read_text()
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if line.startswith("rmaat ")]
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    for _, verb, *words in map(shlex.split, lines):
        words = [FEWER.get(word, word) for word in words]
        smaller = [] if "pathfinder" in words else SMALLER.get(verb, [])
        assert main([verb, *words, *smaller]) == 0, (verb, words)
    table = json.loads((tmp_path / "results.json").read_text())
    assert [row["state"] for row in table["rows"]] == ["finished", "finished"]
    assert {"report.html", "astrocytes.html", "dynamics.pdf", "lra.pdf"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_readmes_python_works(tmp_path):
    (code,) = blocks((ROOT / "README.md").read_text(), "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "simulate")) for name in NAMES]
)
def test_what_the_benchmarks_compare_computes_the_same(name):
    import_module(NAMES[name]).BENCHMARK.check()


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=1, max_size=12))
def test_no_other_cut_of_a_number_is_right_more_often(examples):
    values, labels = (np.array(each) for each in zip(*examples, strict=True))
    threshold, above = retrieval_words.cut(values.astype(float), labels)
    right = {
        (each, label): int((np.where(values >= each, label, 1 - label) == labels).sum())
        for each in [*values, np.inf]
        for label in (0, 1)
    }
    assert right[threshold, above] == max(right.values())


def test_an_interrupted_benchmark_goes_on(tmp_path, monkeypatch):
    """Parts that are done are not done again; at the end the file of parts is gone."""
    done = []

    def measure(kept, stop=None):
        rows = []
        for number in range(3):
            if number == stop:
                raise KeyboardInterrupt
            rows += kept(f"part {number}", lambda number=number: [done.append(number) or {"n": number}])
        return rows

    for stop in (2, None):
        part = Benchmark("parts", lambda: None, partial(measure, stop=stop), resumable=True)
        monkeypatch.setattr(
            "benchmarks.registry.import_module", lambda name, part=part: type("M", (), {"BENCHMARK": part})
        )
        if stop is None:
            (result,) = run(["recall"], tmp_path)
        else:
            with pytest.raises(KeyboardInterrupt):
                run(["recall"], tmp_path)
            with (tmp_path / "recall.parts.jsonl").open("a") as stream:
                stream.write('["part 2", [{"n"')  # a line that was cut off
    assert done == [0, 1, 2]
    assert result["rows"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [path.name for path in tmp_path.iterdir()] == ["recall.json"]


def test_a_benchmark_keeps_machine_and_commit(tmp_path):
    (result,) = run(["macro-solver"], tmp_path)
    assert {row["solver"] for row in result["rows"]} == {"compiled RK4", "scipy solve_ivp"}
    assert set(result) == {"name", "what", "commit", "machine", "versions", "rows"}
    assert (tmp_path / "macro-solver.json").is_file()
