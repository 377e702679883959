"""What each extra brings: a room without its packages says in one line which extra they come with."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from astro_sim.common.extras import EXTRAS

ROOT = Path(__file__).parents[1]
# Runs a module as a program where some packages cannot be imported.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys({packages!r}))  # None stands for a module that cannot be imported
sys.argv = ["rmaat", *{words!r}]
runpy.run_module("rmaat", run_name="__main__")
"""


def run_without(extras: set[str], *words: str, at: Path) -> subprocess.CompletedProcess[str]:
    packages = {package for package, extra in EXTRAS.items() if extra in extras}
    code = WITHOUT.format(packages=packages, words=list(words))
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=at, env=where, check=False)


def test_every_package_of_an_extra_is_known_by_it():
    """By the names that they are imported by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    imported_as = {"pillow": "PIL"}
    for extra in ("sim", "torch", "report", "tensorboard", "hf"):
        names = [line.partition(">")[0].strip() for line in project["optional-dependencies"][extra]]
        assert {EXTRAS[imported_as.get(name, name)] for name in names} == {extra}
    assert project["optional-dependencies"]["all"] == ["rmaat[sim,torch,report]"]
    core = {line.partition(">")[0] for line in project["dependencies"]}
    assert not core & EXTRAS.keys()


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["simulate", "stp", "--model", "biophysical", "--out", "x.nc"], "brian2", "sim"),
        (["simulate", "ltp", "--sweep", "tau_p_l=30,60", "--dask", "local", "--out", "x.nc"], "dask", "sim"),
        (["models"], "torch", "torch"),
        (["figure", "--list"], "matplotlib", "report"),
        (["report", ".", "--out", "x.html"], "plotly", "report"),
    ],
)
def test_a_missing_package_is_told_with_its_extra(tmp_path, words, package, extra):
    done = run_without({extra}, *words, at=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rmaat: {package} is not installed; expected: pip install 'rmaat[{extra}]'\n"
    assert not list(tmp_path.glob("x.*"))


def test_without_the_other_rooms_packages_the_macro_model_and_the_bridge_run(tmp_path):
    extras = {"sim", "report", "hf", "tensorboard"}  # scipy looks for torch among the modules, and takes it as it is
    words = ["simulate", "ltp", "--set", "cycles=24", "--set", "burn_in=3", "--out", "ltp.nc"]
    assert run_without(extras, *words, at=tmp_path).returncode == 0
    assert run_without(extras, "fit", "ltp.nc", "--out", "laws.json", "--draws", "0", at=tmp_path).returncode == 0
    done = run_without(extras, "laws", "show", "laws.json", at=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


# --- in an environment of its own

PROMISED = {
    "": "import astro_sim, bridge; laws = bridge.fit_laws([astro_sim.simulate('ltp', cycles=24)]); laws.retention(16)",
    "sim": "import astro_sim; astro_sim.simulate('stp', 'biophysical', intervals=[0.05], start=0.1)",
    "torch": "import rmaat; rmaat.build_model('rmt', rmaat.RMAATConfig(vocabulary=4, classes=2)); rmaat.Stream",
    "report": "import analysis, analysis.figures; analysis.build_report; analysis.compare",
}


@pytest.mark.slow
@pytest.mark.parametrize("extra", PROMISED)
def test_an_environment_with_one_extra_runs_what_it_promises(tmp_path, extra):
    """Installed anew, with the pinned versions; nothing of another extra comes along."""
    python = _environment(tmp_path, ["torch"] if extra == "torch" else [], f".[{extra}]" if extra else ".")
    subprocess.run([python, "-W", "error", "-c", PROMISED[extra]], check=True, cwd=tmp_path)
    others = {package for package, known in EXTRAS.items() if known != extra} - {"jinja2"}  # of torch and Brian2, too
    others -= {"matplotlib", "PIL"} if extra == "sim" else set()  # which SALib brings
    code = f"from importlib.util import find_spec; print([name for name in {sorted(others)} if find_spec(name)])"
    assert subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.slow
def test_attention_needs_torch_alone(tmp_path):
    python = _environment(tmp_path, ["torch"])
    code = "import torch; from rmaat.attention import AstromorphicAttention as A; A(8, 2)(torch.ones(1, 3, 8))"
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([python, "-c", code], check=True, cwd=tmp_path, env=where)


def _environment(at: Path, *installs: list[str] | str) -> Path:
    """The Python of a new environment; a path is installed from a copy, so that the checkout stays as it is."""
    subprocess.run([sys.executable, "-m", "venv", at / "env"], check=True)
    python = at / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    for packages in installs:
        if isinstance(packages, str):
            copy = at / "copy"
            for room in ("astro_sim", "bridge", "rmaat", "analysis"):
                shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
            for name in ("pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(ROOT / name, copy)
            packages = [f"{copy}{packages.removeprefix('.')}"]
        if packages:
            subprocess.run([*pip, *packages], check=True)
    return python
