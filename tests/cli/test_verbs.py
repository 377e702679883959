"""The command line: every verb by hand, and one clear line with exit status 2 for every kind of bad input."""

import json
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from astro_sim.dataset import read
from bridge.laws import Laws
from rmaat.__main__ import main
from rmaat.records import read_run
from rmaat.tasks import storage

TREES = [word for n in ("train=48", "valid=8", "test=8", "min_length=10", "max_length=60") for word in ("--set", n)]
MODEL = ["width=8", "heads=2", "depth=1", "feedforward=8", "segment_length=16", "memory_tokens=2", "batch=8"]
STEPS = ["steps=4", "checkpoint_every=2", "log_every=1", "device=cpu"]
TRAINING = [word for setting in (*MODEL, *STEPS) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def line(tmp_path_factory) -> Path:
    """The whole line by hand, small: what each verb of the README leaves behind."""
    at = tmp_path_factory.mktemp("line")
    ltp, laws, data, run = (str(at / name) for name in ("ltp.nc", "laws.json", "listops", "run"))
    for words in (
        ["simulate", "ltp", "--out", ltp, "--set", "cycles=24", "--set", "burn_in=3"],
        ["simulate", "stp", "--out", str(at / "stp.nc")],
        ["fit", ltp, "--out", laws],
        ["data", "listops", "--out", data, *TREES],
        ["train", "listops", "--laws", laws, "--data", data, "--out", run, *TRAINING],
        ["evaluate", run],
        ["report", str(at), "--out", str(at / "report.html")],
    ):
        assert main(words) == 0, words
    return at


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


@pytest.fixture(scope="module")
def broken(line, tmp_path_factory) -> Path:
    """Files that something is wrong with."""
    at = tmp_path_factory.mktemp("broken")
    for name in ("ltp.nc", "laws.json"):
        content = (line / name).read_bytes()
        (at / f"cut.{name}").write_bytes(content[: len(content) // 2])
    laws = json.loads((line / "laws.json").read_text())
    for name, change in (("version", {"schema_version": 9}), ("extra", {"colour": "red"})):
        (at / f"{name}.json").write_text(json.dumps({**laws, **change}))
    Laws.load(line / "laws.json").with_parameters({"tau": 5.0}, "trained, from the law").save(at / "other.json")
    (at / "lra").mkdir()
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        text = (line / "listops" / name).read_text().splitlines()
        text[4] = text[4].replace("\t", " ")
        (at / "lra" / name).write_text("\n".join(text))
    shutil.copytree(line / "run", at / "pickled")
    torch.save({"weights": torch.zeros(3)}, at / "pickled" / "model.safetensors")
    return at


# A command, and what the one line about it must say. {line} has what the whole line left behind,
# {broken} what was broken on purpose; TRAIN is a training run, of which what follows changes something.
BAD = [
    ("simulat", "No such command 'simulat'. Did you mean 'simulate'?"),
    ("simulate ltp --uot x", "No such option: --uot"),
    ("simulate ltp --out x.nc --seed x", "'--seed'"),
    ("simulate ltp", "simulate: expected --out X.nc"),
    ("simulate lpt --out x.nc", "unknown experiment 'lpt'; did you mean 'ltp'?"),
    ("simulate ltp --model marco --out x.nc", "unknown model 'marco' for the experiment 'ltp'; did you mean 'macro'?"),
    ("simulate ltp --out x.nc --set tau_pl=3", "unknown setting 'tau_pl'; did you mean 'tau_p_l'?"),
    ("simulate ltp --out x.nc --set tau_s=-1", "tau_s: expected greater than 0 (s), got -1"),
    ("simulate ltp --out x.nc --set tau_s", "--set 'tau_s': expected NAME=VALUE"),
    ("simulate ltp --out x.nc --set interval=1e-9", "interval: 6e+10 samples; expected at most 1e+08"),
    ("simulate ltp --out /proc/x.nc", "/proc/x.nc: "),  # before the run
    ("simulate network --out x.nc --set window=1e9", "dt: 4e+13 steps; expected at most 1e+09"),  # before it is built
    (
        "simulate waves --out x.nc --set knockouts=gliotransmission",
        "knockouts: expected a list, as in [\"gliotransmission\"], got 'gliotransmission'",
    ),
    (
        "fit {line}/stp.nc --out x.json",
        "expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none",
    ),
    ("fit {broken}/cut.ltp.nc --out x.json", "cut.ltp.nc: not a readable netCDF file, perhaps truncated"),
    ("fit {line} --out x.json", ": a folder; expected a dataset (.nc), such as "),
    (
        "fit {line}/laws.json --out x.json",
        "laws.json: not a netCDF 4 (HDF5) file; expected a dataset that rmaat simulate wrote (.nc)",
    ),
    ("fit no.nc --out x.json", "no.nc: no such dataset"),
    (
        "fit {line}/ltp.nc --family exponental --out x.json",
        "unknown law family 'exponental'; did you mean 'exponential'?",
    ),
    ("fit {line}/ltp.nc --out {line}/ltp.nc", "ltp.nc: expected a name that ends in .json"),
    ("fit {line}/ltp.nc --out {line}/stp.nc/laws.json", "stp.nc"),
    ("laws show {line}/ltp.nc", "ltp.nc: a netCDF dataset; expected a laws file (JSON)"),
    ("data listop --out x", "unknown task 'listop'; did you mean 'listops'?"),
    (
        "data listops --source {broken}/lra --out x",
        "basic_test.tsv, line 5: expected 2 fields separated by tabs (Source, Target), got 1",
    ),
    ("TRAIN --laws {line}/ltp.nc", "ltp.nc: a netCDF dataset; expected a laws file (JSON)"),
    ("TRAIN --laws {broken}/version.json", "version.json: laws schema 9; this version reads 2"),
    ("TRAIN --laws {broken}/extra.json", "extra.json: unknown setting 'colour' of LawsDocument"),
    ("TRAIN --laws {broken}/cut.laws.json", "cut.laws.json: not a laws file"),
    ("TRAIN --laws {broken}/other.json --out {line}/run --resume", "run: started with other laws"),
    ("TRAIN --out {line}/run", "run: exists already"),
    (
        "TRAIN --data nowhere",
        "nowhere: no data folder (manifest.json is missing); make it with: rmaat data listops --out nowhere",
    ),
    ("TRAIN --config no.toml", "no.toml: no such settings file"),
    ("TRAIN --set step=3", "unknown setting 'step'; did you mean 'steps'?"),
    ("TRAIN --set perturbed=flat", "unknown setting 'perturbed'; did you mean 'laws.perturbed'?"),
    ("TRAIN --set laws.perturbed=posterior", "these laws have no spread to draw from: "),
    (
        "TRAIN --set seed=99999999999999999999",
        "seed: expected less than or equal to 9223372036854775807, got 99999999999999999999",
    ),
    ("TRAIN --model rmmt", "unknown model 'rmmt'; did you mean 'rmt'?"),
    (
        "TRAIN --model retnet --set readout=memory --set match_parameters=false",
        "readout: 'memory' needs a model with memory, and 'retnet' has none",
    ),
    ("evaluate nowhere", "nowhere: no such run folder"),
    ("evaluate {line}/laws.json", "laws.json: a file; expected a run folder, as rmaat train makes it"),
    ("evaluate {broken}/pickled", "model.safetensors: not a readable safetensors file"),
    ("inspect nowhere", "nowhere: no such run folder"),
    ("inspect {line}/laws.json", "laws.json: a file; expected a run folder, as rmaat train makes it"),
    ("inspect {line}/run --examples 0", "examples: expected at least 1, got 0"),
    ("models --head tag", "head: expected 'classify', 'match' or 'language', got 'tag'"),
    ("models --set classes=5", "classes: expected as an option of its own, --classes"),
    ("models --set segment_length=0", "segment_length: expected greater than or equal to 1 (tokens), got 0"),
    ("report nowhere --out x.html", "nowhere: "),
    ("report {line}/run --out {line}/run/run.json", "run.json: expected a name that ends in .html"),
    ("bench amrb-memry", "unknown benchmark 'amrb-memry'; did you mean 'amrb-memory'?"),
]


def train(line: Path, **changes: str) -> list[str]:
    options = {"laws": str(line / "laws.json"), "data": str(line / "listops"), "out": "x", **changes}
    return ["train", "listops", *TRAINING, *(word for name, value in options.items() for word in (f"--{name}", value))]


@pytest.mark.parametrize(("command", "message"), BAD)
def test_bad_input_is_one_line_and_nothing_written(command, message, line, broken, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    verb, *words = command.format(line=line, broken=broken).split()
    if verb == "TRAIN":  # what a command gives twice, the last one gives
        verb, *words = [*train(line), *words]
    before = {path: path.read_bytes() for path in line.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main([verb, *words]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("rmaat: ")
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_bytes() for path in line.rglob("*") if path.is_file()} == before


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
    monkeypatch.setattr(storage.Writer, "finish", lambda _: signal.raise_signal(signal.SIGTERM))
    sizes = [word for name in ("train", "valid", "test") for word in ("--set", f"{name}=2")]
    assert main(["data", "listops", "--out", str(tmp_path / "listops"), *sizes]) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "verb", ["simulate", "fit", "data", "train", "models", "evaluate", "inspect", "report", "bench", "demo"]
)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"Example: rmaat {verb}" in capsys.readouterr().out


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
