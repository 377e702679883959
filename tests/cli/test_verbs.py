"""The command line: every verb by hand, and one clear line with exit status 2 for every kind of bad input."""

import json
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from astro_sim.dataset import read
from bridge.laws import Laws
from rmaat.__main__ import main
from rmaat.records import read_run
from rmaat.tasks.writer import Writer
from tests.cli.words import train


def test_the_whole_line_leaves_its_files(line):
    assert read(line / "ltp.nc").sizes["cycle"] == 25
    assert read_run(line / "run").evaluation.examples == 8
    assert "RetentionFactor" in (line / "report.html").read_text()


def test_fit_says_what_was_fitted_and_what_stands_in(line, tmp_path, capsys):
    words = ["fit", str(line / "ltp.nc"), "--draws", "0", "--out", str(tmp_path / "laws.json")]
    assert main(words) == 0
    assert (
        "a model takes the presynaptic exponent 0.25 (the papers'; no frequency dataset was fitted) and the spatial "
        "decay 1 per token (chosen; no spatial dataset was fitted)\n"
    ) in capsys.readouterr().out
    more = [str(tmp_path / name) for name in ("frequency.nc", "spatial.nc")]
    assert main(["simulate", "frequency", "--out", more[0], "--set", "n=1"]) == 0
    assert main(["simulate", "spatial", "--out", more[1]]) == 0
    capsys.readouterr()
    assert main([*words, *more]) == 0
    out = capsys.readouterr().out
    laws = Laws.load(tmp_path / "laws.json")
    assert f"exponent {laws.presynaptic_exponent:.4g} (fitted; the papers': 0.25)" in out
    assert f"decay {laws.spatial_decay:.4g} per spacing (fitted)\n" in out


def test_evaluate_prints_json(line, capsys):
    assert main(["evaluate", str(line / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_run(line / "run").evaluation.model_dump(exclude_none=True)


def test_settings_are_listed_with_units(capsys):
    assert main(["simulate", "ltp", "--settings"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.split()[:3] == ["tau_p_l", "60.0", "s"] for row in rows)
    assert any(row.startswith("burn_in ") for row in rows)


@pytest.mark.parametrize("verb", [["simulate", "ltp", "--out", "x.nc"], ["data", "listops", "--out", "x"]])
def test_an_interrupt_exits_with_130_and_leaves_nothing(verb, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("astro_sim.simulation.simulate", interrupt)
    monkeypatch.setattr("rmaat.tasks.listops.grow", interrupt)
    assert main(verb) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["simulate", "ltp"], ["data", "text"], ["train"]])
def test_settings_of_every_verb_are_listed(words, capsys):
    assert main([*words, "--settings"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["setting", "default", "unit", "meaning"]
    assert len(rows) >= 2


def test_models_are_listed_with_their_parameters(capsys):
    from rmaat.models.registry import MEMBERS

    assert main(["models", "--set", "width=32", "--set", "states=4"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["model", "mixer", "sequence", "parameters"]
    assert [row.split()[0] for row in rows] == list(MEMBERS)
    assert main(["models", "--head", "language", "--set", "readout=memory"]) == 0


def test_settings_without_effect_are_told(line, tmp_path, capsys):
    out = str(tmp_path / "run")
    assert main([*train(line, out=out), "--model", "linear-transformer", "--set", "memory_rule=none"]) == 0
    assert "without effect on linear-transformer: memory_rule, memory_tokens\n" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rmaat {version('rmaat')}\n"


def test_a_real_process_exits_with_2_and_no_traceback(tmp_path):
    words = [sys.executable, "-m", "rmaat", "simulate", "lpt", "--out", "x.nc"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rmaat: unknown experiment 'lpt'; did you mean 'ltp'?\n"
    assert list(tmp_path.iterdir()) == []


def test_kill_leaves_nothing_half_written(tmp_path, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Writer, "finish", lambda _: signal.raise_signal(signal.SIGTERM))
    sizes = [word for name in ("train", "valid", "test") for word in ("--set", f"{name}=2")]
    assert main(["data", "listops", "--out", str(tmp_path / "listops"), *sizes]) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert signal.getsignal(signal.SIGTERM) is before


def test_laws_and_comparisons_are_not_written_over_other_files(line, tmp_path, capsys):
    for verb in (["fit", str(line / "ltp.nc"), "--draws", "0"], ["compare", str(line / "run")]):
        path = tmp_path / "run.json"
        path.write_bytes((line / "run" / "run.json").read_bytes())
        assert main([*verb, "--out", str(path)]) == 2
        assert "run.json: exists and is no " in capsys.readouterr().err
        assert path.read_bytes() == (line / "run" / "run.json").read_bytes()


def test_a_refusal_is_short_whatever_was_given(tmp_path, capsys):
    assert main(["simulate", "ltp", "--out", str(tmp_path / f"{'x' * 4_200}.nc")]) == 2
    err = capsys.readouterr().err
    assert (len(err) < 2_100, err.count("\n")) == (True, 1)
