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


def cut(path: Path, to: Path) -> str:
    to.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return str(to)


def edited(path: Path, to: Path, **changes) -> str:
    to.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return str(to)


def broken_tsv(line: Path, at: Path) -> str:
    at.mkdir()
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        text = (line / "listops" / name).read_text().splitlines()
        text[4] = text[4].replace("\t", " ")
        (at / name).write_text("\n".join(text))
    return str(at)


BAD = {
    "no verb of that name": (
        lambda line, at: ["simulat"],
        "No such command 'simulat'. Did you mean 'simulate'?",
    ),
    "no option of that name": (lambda line, at: ["simulate", "ltp", "--uot", "x"], "No such option: --uot"),
    "a seed that is no number": (
        lambda line, at: ["simulate", "ltp", "--out", "x.nc", "--seed", "x"],
        "'--seed'",
    ),
    "no output": (lambda line, at: ["simulate", "ltp"], "simulate: expected --out X.nc"),
    "unknown experiment": (
        lambda line, at: ["simulate", "lpt", "--out", "x.nc"],
        "unknown experiment 'lpt'; did you mean 'ltp'?",
    ),
    "unknown model": (
        lambda line, at: ["simulate", "ltp", "--model", "marco", "--out", "x.nc"],
        "unknown model 'marco' for the experiment 'ltp'; did you mean 'macro'?",
    ),
    "unknown setting": (
        lambda line, at: ["simulate", "ltp", "--out", "x.nc", "--set", "tau_pl=3"],
        "unknown setting 'tau_pl'; did you mean 'tau_p_l'?",
    ),
    "negative time constant": (
        lambda line, at: ["simulate", "ltp", "--out", "x.nc", "--set", "tau_s=-1"],
        "tau_s: expected greater than 0 (s), got -1",
    ),
    "a setting without a value": (
        lambda line, at: ["simulate", "ltp", "--out", "x.nc", "--set", "tau_s"],
        "--set 'tau_s': expected NAME=VALUE",
    ),
    "dataset without ltp variables": (
        lambda line, at: ["fit", str(line / "stp.nc"), "--out", "x.json"],
        "expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law to; got none",
    ),
    "truncated netCDF": (
        lambda line, at: ["fit", cut(line / "ltp.nc", at / "cut.nc"), "--out", "x.json"],
        "cut.nc: not a readable netCDF file, perhaps truncated",
    ),
    "a folder for a dataset": (
        lambda line, at: ["fit", str(line), "--out", "x.json"],
        ": a folder; expected a dataset (.nc), such as ",
    ),
    "a dataset of another kind of file": (
        lambda line, at: ["fit", str(line / "laws.json"), "--out", "x.json"],
        "laws.json: not a netCDF 4 (HDF5) file; expected a dataset that rmaat simulate wrote (.nc)",
    ),
    "a dataset for laws": (
        lambda line, at: train(line, laws=str(line / "ltp.nc")),
        "ltp.nc: a netCDF dataset; expected a laws file (JSON)",
    ),
    "a dataset for laws to show": (
        lambda line, at: ["laws", "show", str(line / "ltp.nc")],
        "ltp.nc: a netCDF dataset; expected a laws file (JSON)",
    ),
    "a file for a run": (
        lambda line, at: ["evaluate", str(line / "laws.json")],
        "laws.json: a file; expected a run folder, as rmaat train makes it",
    ),
    "a file for a run to inspect": (
        lambda line, at: ["inspect", str(line / "laws.json")],
        "laws.json: a file; expected a run folder, as rmaat train makes it",
    ),
    "a setting of the laws without its table": (
        lambda line, at: [*train(line), "--set", "perturbed=flat"],
        "unknown setting 'perturbed'; did you mean 'laws.perturbed'?",
    ),
    "a draw of a law without noise": (
        lambda line, at: [*train(line), "--set", "laws.perturbed=posterior"],
        "these laws have no spread to draw from: ",
    ),
    "a word where a list of words belongs": (
        lambda line, at: ["simulate", "waves", "--out", "x.nc", "--set", "knockouts=gliotransmission"],
        """knockouts: expected a list, as in ["gliotransmission"], got 'gliotransmission'""",
    ),
    "no such dataset": (lambda line, at: ["fit", "no.nc", "--out", "x.json"], "no.nc: no such dataset"),
    "unknown family": (
        lambda line, at: ["fit", str(line / "ltp.nc"), "--family", "exponental", "--out", "x.json"],
        "unknown law family 'exponental'; did you mean 'exponential'?",
    ),
    "laws of another version": (
        lambda line, at: train(line, laws=edited(line / "laws.json", at / "laws.json", schema_version=9)),
        "laws.json: laws schema 9; this version reads 2",
    ),
    "laws with an extra field": (
        lambda line, at: train(line, laws=edited(line / "laws.json", at / "laws.json", colour="red")),
        "laws.json: unknown setting 'colour' of LawsDocument",
    ),
    "truncated laws": (
        lambda line, at: train(line, laws=cut(line / "laws.json", at / "laws.json")),
        "laws.json: not a laws file",
    ),
    "unknown task": (
        lambda line, at: ["data", "listop", "--out", "x"],
        "unknown task 'listop'; did you mean 'listops'?",
    ),
    "broken line in a TSV": (
        lambda line, at: ["data", "listops", "--source", broken_tsv(line, at / "lra"), "--out", "x"],
        "basic_test.tsv, line 5: expected 2 fields separated by tabs (Source, Target), got 1",
    ),
    "no data": (
        lambda line, at: train(line, data="nowhere"),
        "nowhere: no data folder (manifest.json is missing); make it with: rmaat data listops --out nowhere",
    ),
    "unknown training setting": (
        lambda line, at: [*train(line), "--set", "step=3"],
        "unknown setting 'step'; did you mean 'steps'?",
    ),
    "no such settings file": (
        lambda line, at: [*train(line), "--config", "no.toml"],
        "no.toml: no such settings file",
    ),
    "a run in the way": (lambda line, at: train(line, out=str(line / "run")), "run: exists already"),
    "checkpoint made with other laws": (
        lambda line, at: [*train(line, laws=other_laws(at), out=str(line / "run")), "--resume"],
        "run: started with other laws",
    ),
    "no such run": (lambda line, at: ["evaluate", "nowhere"], "nowhere: no such run folder"),
    "no such run to inspect": (lambda line, at: ["inspect", "nowhere"], "nowhere: no such run folder"),
    "nothing to inspect": (
        lambda line, at: ["inspect", str(line / "run"), "--examples", "0"],
        "examples: expected at least 1, got 0",
    ),
    "weights that are a pickle": (
        lambda line, at: ["evaluate", pickled(line, at / "pickled")],
        "model.safetensors: not a readable safetensors file",
    ),
    "unknown model of the family": (
        lambda line, at: [*train(line), "--model", "rmmt"],
        "unknown model 'rmmt'; did you mean 'rmt'?",
    ),
    "a readout that the model cannot have": (
        lambda line, at: [
            *train(line),
            "--model",
            "retnet",
            "--set",
            "readout=memory",
            "--set",
            "match_parameters=false",
        ],
        "readout: 'memory' needs a model with memory, and 'retnet' has none",
    ),
    "a head that is none": (
        lambda line, at: ["models", "--head", "tag"],
        "head: expected 'classify', 'match' or 'language', got 'tag'",
    ),
    "classes as a setting, where no task decides them": (
        lambda line, at: ["models", "--set", "classes=5"],
        "classes: expected as an option of its own, --classes",
    ),
    "segments of no length": (
        lambda line, at: ["models", "--set", "segment_length=0"],
        "segment_length: expected greater than or equal to 1 (tokens), got 0",
    ),
    "nothing to report": (lambda line, at: ["report", "nowhere", "--out", "x.html"], "nowhere: "),
    "unknown benchmark": (
        lambda line, at: ["bench", "amrb-memry"],
        "unknown benchmark 'amrb-memry'; did you mean 'amrb-memory'?",
    ),
    "a fit over its own dataset": (
        lambda line, at: ["fit", str(line / "ltp.nc"), "--out", str(line / "ltp.nc")],
        "ltp.nc: expected a name that ends in .json",
    ),
    "a report over a run's files": (
        lambda line, at: ["report", str(line / "run"), "--out", str(line / "run" / "run.json")],
        "run.json: expected a name that ends in .html",
    ),
    "more samples than memory": (
        lambda line, at: ["simulate", "ltp", "--out", "x.nc", "--set", "interval=1e-9"],
        "interval: 6e+10 samples; expected at most 1e+08",
    ),
    "a seed beyond what a random state takes": (
        lambda line, at: [*train(line), "--set", "seed=99999999999999999999"],
        "seed: expected less than or equal to 9223372036854775807, got 99999999999999999999",
    ),
    "a dataset where no file can be, told before the run": (
        lambda line, at: ["simulate", "ltp", "--out", "/proc/x.nc"],
        "/proc/x.nc: ",
    ),
    "windows beyond reason, told before anything is built": (
        lambda line, at: ["simulate", "network", "--out", "x.nc", "--set", "window=1e9"],
        "dt: 4e+13 steps; expected at most 1e+09",
    ),
    "output where no file can be": (
        lambda line, at: ["fit", str(line / "ltp.nc"), "--out", str(line / "stp.nc" / "laws.json")],
        "stp.nc",
    ),
}


def train(line: Path, laws: str | None = None, data: str | None = None, out: str = "x") -> list[str]:
    return [
        "train", "listops", "--laws", laws or str(line / "laws.json"),
        "--data", data or str(line / "listops"), "--out", out, *TRAINING,
    ]  # fmt: skip


def pickled(line: Path, at: Path) -> str:
    shutil.copytree(line / "run", at)
    torch.save({"weights": torch.zeros(3)}, at / "model.safetensors")
    return str(at)


def other_laws(at: Path) -> str:
    ltp, laws = at / "other.nc", at / "other.json"
    assert main(["simulate", "ltp", "--out", str(ltp), "--set", "cycles=12", "--set", "tau_p_l=30"]) == 0
    assert main(["fit", str(ltp), "--out", str(laws)]) == 0
    return str(laws)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_nothing_written(case, line, tmp_path, monkeypatch, capsys):
    work, at = tmp_path / "work", tmp_path / "at"
    work.mkdir()
    at.mkdir()
    monkeypatch.chdir(work)
    make, message = BAD[case]
    words = make(line, at)
    before = {path: path.read_bytes() for path in line.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("rmaat: ")
    assert err.count("\n") == 1
    assert out == ""
    assert list(work.iterdir()) == []
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


def test_warnings_are_one_line(tmp_path):
    words = [sys.executable, "-m", "rmaat", "simulate", "ltp", "--out", "x.nc", "--set", "gamma_s=0.4"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("rmaat: warning: the resting state is unstable")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "verb", ["simulate", "fit", "data", "train", "models", "evaluate", "inspect", "report", "bench", "demo"]
)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"Example: rmaat {verb}" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from rmaat.__main__ import main; main(['--help']);"
        "print(sorted({'torch', 'numpy', 'xarray', 'numba', 'lmfit', 'plotly', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_simulate_does_not_load_torch(tmp_path):
    code = (
        "import sys; from rmaat.__main__ import main; main(['simulate', 'stp', '--out', 'x.nc']);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "False"


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
