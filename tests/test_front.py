"""What a newcomer runs: the README's commands and code, the benchmarks' checks."""

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
from bridge import evidence
from rmaat.__main__ import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# The same commands on a small scale: shorter trees, fewer of them, four steps.
SMALLER = {
    "data": ["--set", "min_length=10", "--set", "max_length=80"],
    "train": ["--set", "steps=4", "--set", "batch=8", "--set", "device=cpu"],
}
FEWER = {"train=8000": "train=64", "valid=500": "valid=8", "test=1000": "test=8", "steps=200": "steps=2"}
FEWER |= {"train=2000": "train=32", "valid=200": "valid=8", "test=200": "test=8"}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_the_readmes_commands_work_in_order(tmp_path, monkeypatch):
    commands = [
        shlex.split(line) for block in blocks("bash") for line in block.splitlines() if line.startswith("rmaat ")
    ]
    line = [*["simulate"] * 4, "fit", "data", "train", "evaluate", "report"]
    astrocytes = [*["simulate"] * 4, "report", "figure"]
    assert [words[1] for words in commands] == [*line, *astrocytes, "models", "data", "reproduce", "compare", "figure"]
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    for _, verb, *words in commands:
        words = [FEWER.get(word, word) for word in words]
        smaller = [] if "pathfinder" in words else SMALLER.get(verb, [])
        assert main([verb, *words, *smaller]) == 0, (verb, words)
    table = json.loads((tmp_path / "results.json").read_text())
    assert [row["state"] for row in table["rows"]] == ["finished", "finished"]
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "astrocytes.html").is_file()
    assert (tmp_path / "dynamics.pdf").is_file()
    assert (tmp_path / "lra.pdf").is_file()


@pytest.mark.slow
def test_the_readmes_python_works(tmp_path):
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readmes_links_lead_somewhere():
    paths = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(
        r"`((?:docs|examples|results|configs)/[\w./-]*)`", README
    )
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert all((ROOT / name).is_file() for name in re.findall(r"`([A-Z]+\.md)`", README))


def test_the_readmes_figures_are_those_of_the_results():
    rows = {cells[1].strip(): cells[2].strip() for line in README.splitlines() if len(cells := line.split("|")) == 5}
    demo, amrb, solver = (
        json.loads((ROOT / "results" / f"{name}.json").read_text()) for name in ("demo", "amrb-memory", "macro-solver")
    )
    found = demo["evaluation"]
    (at_16,) = (row for row in amrb["rows"] if row["segments"] == 16)
    fastest = max(row["times as fast"] for row in solver["rows"])
    expected = {
        "The whole demo": f"{demo['seconds']['in all']:.0f} s",
        "Accuracy on ListOps": f"{found['accuracy']:.3f}",
        "the same, of two": f"{found['majority']:.3f}; {found['first_symbol']:.3f}",
        "Peak memory of a step": f"{at_16['bptt/amrb']:.1f} times",
        "CPU time of a step": f"{at_16['amrb/bptt']:.2f} times",
        "Compiled macro solver": f"{fastest:.0f} times as fast",
    }
    rows_of = json.loads((ROOT / "results" / "simulate.json").read_text())["rows"]
    named = {
        peer: next(row for row in rows_of if row["solver"].startswith(peer)) for peer in ("NumPy", "NEST", "scipy")
    }
    euler, door, hand = (
        next(row for row in rows_of if row["solver"] == name)
        for name in ("astro_sim, Euler", "astro_sim.simulate", "Brian2 script by hand")
    )
    expected |= {
        "1,000 parameter sets": f"{euler['seconds']:.1f} s",
        "the same in NumPy": f"{named['NumPy']['times ours']:.1f} times as long",
        "Overhead of": f"{100 * (door['seconds'] / hand['seconds'] - 1):.0f} %",
        "100 Li-Rinzel": f"{named['NEST']['times ours']:.1f} times as long; {named['scipy']['times ours']:.2f} times",
    }
    both, drawn = (
        next(
            row["seconds"]
            for row in json.loads((ROOT / "results" / "fit-speed.json").read_text())["rows"]
            if part in row["what"]
        )
        for part in ("samples or dynamics", "simulated curves")
    )
    right = {
        (cycles, noise): np.mean([row[row["truth"]] for row in evidence.selection("levels", cycles, noise)])
        for cycles, noise in ((12, 0.01), (24, 0.01), (24, 0.002))
    }
    expected |= {
        "Fit of six retention families": f"{both:.2f} s; {drawn:.1f} s",
        "Right family": "{:.0f}, {:.0f} and {:.0f} of 100".format(*right.values()),
    }
    expected |= model_figures()
    for start, figure in expected.items():
        assert [value for name, value in rows.items() if name.startswith(start)] == [figure]


def model_figures():
    """What the README says of the models, from the results."""

    def rows(name):
        return json.loads((ROOT / "results" / f"{name}.json").read_text())["rows"]

    models = {(row["model"], row["backward"]): row for row in rows("model")}
    full, rmt = "times faster than full attention", "times faster than rmt, same backward"
    eager, compiled = models["rmaat", "amrb"], models["rmaat", "amrb, compiled"]
    (longest,) = (row for row in rows("amrb-memory") if row["segments"] == 128)
    (long,) = (row for row in rows("length") if row["what"].startswith("training step, 65,536"))
    recalled = {
        rule: np.mean(
            [
                row["accuracy"]
                for row in rows("recall")
                if (row["training"], row["rule"], row["T"]) == ("from scratch", rule, 16)
            ]
        )
        for rule in ("consolidate", "scale", "none")
    }
    speed = {(row["model"], row["setting"]): row["tokens/s"] for row in rows("throughput")}
    bits = {row["what"]: row["bits a byte"] for row in rows("enwik8")}
    order = ("rmt", "retnet", "rlt", "rmaat", "table of 2 bytes before")
    return {
        "Training on Text": f"{speed['rmaat', 'all segments kept (the preset)']:,}; {speed['rmt', 'BPTT']:,}",
        "enwik8": "; ".join(f"{bits[name]:.2f}" for name in order),
        "RMAAT with AMRB against full": f"{eager[full]:.1f} times as fast; {compiled[full]:.1f} compiled",
        "the same against RMT": f"{eager[rmt]:.2f} times as fast; {compiled[rmt]:.2f} both compiled",
        "AMRB's extra memory": f"{longest['amrb growth from 16']:.2f} times",
        "CPU time a token": f"{long['over 4,096']:.2f} times",
        "Recall of a value": "{consolidate:.2f}; {scale:.2f}; {none:.2f}".format(**recalled),
    }


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
