"""Experiments in files of one's own: what those of the package can, without an edit of it, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import astro_sim
import bridge
from analysis.report import build_report
from astro_sim import InputError, experiments
from astro_sim.dataset import check, grid_of
from astro_sim.experiments import own
from rmaat.__main__ import main

# Levels of a leak that is driven at a rate: no simulator, so that a worker starts quickly.
LEAK = """
import numpy as np
import xarray as xr
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant


class Drive(Settings):
    preset: str | None = quantity(None, "1", "name of a preset", "test")
    cycles: int = quantity(12, "1", "cycles", "test", ge=1)
    input: float = quantity(1.0, "a.u.", "input a cycle", "test")


class Leak(Settings):
    tau: float = quantity(5.0, "1", "cycles to fall to 1/e", "test", gt=0)


def run(settings, parameters, generator):
    cycle = np.arange(settings.cycles + 1)
    level = settings.input * (1 - np.exp(-cycle / parameters.tau)) + 0.0 * generator.random()
    return xr.Dataset(
        {"p_l_cycle": (("cycle", "post", "pre"), level[:, None, None]), "tau_cycle": ((), 10.0)}, {"cycle": cycle}
    )


PRESETS = {"slow": {"tau": 20.0}, "fast": {"tau": 2.0}}
EXPERIMENT = Experiment("a leak", {"leak": Variant(Drive, Leak, run, {}, PRESETS)}, stands_for="ltp")
PROMISED = {"leak": {"p_l_cycle": ("cycle", "post", "pre"), "tau_cycle": ()}}
MEANINGS = {"leak": {"p_l_cycle": ("a.u.", "level at the ends of cycles")}}
"""


@pytest.fixture
def leak(tmp_path, monkeypatch):
    """The file in the working folder, not yet run by this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own, "_loaded", {})
    path = Path("leak.py")
    path.write_text(LEAK)
    return path


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_file_is_named_where_a_name_is(leak):
    dataset = astro_sim.simulate("leak.py", seed=3, tau=2.0)
    np.testing.assert_array_equal(dataset["p_l_cycle"].values.ravel(), 1 - np.exp(-np.arange(13) / 2.0))
    assert (dataset.attrs["experiment"], dataset.attrs["model"], dataset.attrs["seed"]) == ("leak", "leak", 3)
    assert dataset["p_l_cycle"].attrs == {"units": "a.u.", "long_name": "level at the ends of cycles"}
    assert dataset["cycle"].attrs["long_name"] == "number of completed stimulation cycles"  # as of every experiment
    xr.testing.assert_identical(dataset, astro_sim.simulate(leak.absolute(), "leak", 3, tau=2.0))
    assert astro_sim.simulate(leak, preset="fast")["p_l_cycle"].equals(dataset["p_l_cycle"])


def test_a_dataset_is_read_without_the_file(leak):
    dataset = astro_sim.simulate("leak.py")
    astro_sim.write(dataset, "leak.nc")
    leak.unlink()
    read = (
        "import sys, astro_sim; dataset = astro_sim.read('leak.nc', 'leak'); print(dataset.attrs['digest']); "
        "assert 'numba' not in sys.modules and 'brian2' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.strip()) == ("", dataset.attrs["digest"])
    xr.testing.assert_identical(astro_sim.read("leak.nc"), dataset)


def test_an_edited_file_is_run_anew_and_asks_another_question(leak):
    before = astro_sim.simulate("leak.py")
    changed(leak, "settings.input *", "2 * settings.input *")
    after = astro_sim.simulate("leak.py")
    assert after["p_l_cycle"].equals(2 * before["p_l_cycle"])
    assert after.attrs["digest"] != before.attrs["digest"]
    assert after.attrs["settings"] == before.attrs["settings"]


def test_a_sweep_in_processes_gives_what_single_runs_give(leak, monkeypatch):
    grid = {"tau": [2.0, 5.0], "seed": [0, 1]}
    runs = astro_sim.sweep("leak.py", grid, workers=2, input=3.0)
    assert grid_of(runs) == grid
    expected = astro_sim.simulate("leak.py", seed=1, tau=5.0, input=3.0)
    xr.testing.assert_identical(astro_sim.select(runs, tau=5.0, seed=1), expected)
    monkeypatch.setattr(own, "_loaded", {})  # as in a process that never saw the file
    xr.testing.assert_identical(astro_sim.select(runs, tau=5.0, seed=1), expected)


def test_a_swept_number_that_stands_for_a_variable_comes_back(leak):
    changed(leak, '"tau_cycle": ((), 10.0)', '"input": ((), settings.input), "tau_cycle": ((), 10.0)')
    changed(leak, '"tau_cycle": ()}', '"tau_cycle": (), "input": ()}')
    changed(leak, 'MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"input": ("a.u.", "the input"), ')
    runs = astro_sim.sweep("leak.py", {"input": [1.0, 2.0]})
    xr.testing.assert_identical(astro_sim.select(runs, input=2.0), astro_sim.simulate("leak.py", input=2.0))


def test_what_a_swept_preset_sets_needs_the_file(leak, monkeypatch):
    runs = astro_sim.sweep("leak.py", {"preset": ["slow", "fast"]})
    expected = astro_sim.simulate("leak.py", preset="slow")
    xr.testing.assert_identical(astro_sim.select(runs, preset="slow"), expected)
    monkeypatch.setattr(own, "_loaded", {})
    told = "select: tau follow from what was swept; load the experiment's file first, unchanged since: "
    with pytest.raises(InputError, match=f"^{re.escape(told)}") as caught:
        astro_sim.select(runs, preset="slow")
    exec(str(caught.value).removeprefix(told), {"astro_sim": astro_sim})  # what the message advises
    xr.testing.assert_identical(astro_sim.select(runs, preset="slow"), expected)


def test_a_sweep_goes_on_with_the_same_file_only(leak):
    runs = astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, folder="points")
    xr.testing.assert_identical(astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, folder="points"), runs)
    changed(leak, '"a leak"', '"the leak"')
    with pytest.raises(InputError, match="^points: holds points of another sweep"):
        astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, folder="points")


def test_a_file_that_changes_during_its_sweep_is_told(leak):
    """By a worker, which runs the file as it is then: its first point edits it here."""
    changed(leak, "    cycle =", "    open(__file__, 'a').write('# more')\n    cycle =")
    runs = astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, workers=1)
    assert runs["failure"].values.tolist() == ["", f"{leak.resolve()}: changed while its sweep ran"]


def test_modules_beside_the_file_are_found_and_hide_none(leak):
    Path("helper_of_leak.py").write_text("FACTOR = 2.0")
    Path("json.py").write_text("raise RuntimeError('not this one')")
    changed(leak, "import numpy as np\n", "import json\nimport numpy as np\nfrom helper_of_leak import FACTOR\n")
    changed(leak, "settings.input *", "FACTOR * settings.input *")
    path = list(sys.path)
    assert float(astro_sim.simulate("leak.py")["p_l_cycle"][-1].item()) == 2 * (1 - np.exp(-12 / 5.0))
    assert sys.path == path


def test_laws_are_fitted_to_what_stands_for_ltp(leak):
    laws = bridge.fit_laws(astro_sim.simulate("leak.py"), draws=0)
    assert laws.document.sources[0].experiment == "leak"
    assert laws.document.retention.family == "exponential"
    assert laws.document.retention.parameters["tau"].value == pytest.approx(5.0, rel=1e-6)  # the leak's own
    swept = bridge.fit_sweep(astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}))
    assert [each.fit.values["tau"] for each in swept] == pytest.approx([2.0, 5.0], rel=1e-6)


def test_what_stands_for_another_must_hold_what_is_read(leak):
    changed(leak, 'stands_for="ltp"', 'stands_for="spatial"')
    with pytest.raises(InputError, match="^leak: to stand for 'spatial' it lacks 'p_s_peak'$"):
        bridge.fit_laws([astro_sim.simulate("leak.py")])
    changed(leak, ', stands_for="spatial"', "")
    with pytest.raises(InputError, match="^cannot fit a law to the experiment 'leak'; expected .* or one of your own"):
        bridge.fit_laws([astro_sim.simulate("leak.py")])
    with pytest.raises(InputError, match="^expected a sweep of ltp"):
        bridge.fit_sweep(astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}))


def test_the_command_line_takes_a_file(leak, capsys):
    assert main(["simulate", "leak.py", "--settings"]) == 0
    assert re.search(r"^tau +5\.0 +1 +cycles to fall to 1/e$", capsys.readouterr().out, flags=re.MULTILINE)
    assert main(["simulate", "leak.py", "--out", "leak.nc", "--set", "tau=2"]) == 0
    assert main(["simulate", "leak.py", "--out", "leaks.nc", "--sweep", "tau=2,5", "--workers", "1"]) == 0
    assert main(["fit", "leak.nc", "--out", "laws.json", "--draws", "0"]) == 0
    assert not Path("leaks.nc.points").exists()
    capsys.readouterr()
    assert main(["simulate", "leak", "--out", "x.nc"]) == 2
    assert capsys.readouterr().err == "rmaat: unknown experiment 'leak'; for the file here, write leak.py\n"


def test_the_report_draws_what_it_knows_nothing_of(leak):
    changed(leak, '"tau_cycle": ((), 10.0)', '"flat": ("post", [1.0]), "tau_cycle": ((), 10.0)')
    changed(leak, 'MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"flat": ("1", "no course"), ')
    astro_sim.write(astro_sim.simulate("leak.py"), "leak.nc")
    build_report(["leak.nc"], "report.html")
    page = Path("report.html").read_text()
    assert "leak, leak model" in page
    assert "leak.nc: p_l_cycle, level at the ends of cycles." in page
    assert "level at the ends of cycles against cycle: its mean lies from 0 to 0.9093." in page
    assert "no course against" not in page


REFUSED = {
    "a name of ours": ("ltp.py", LEAK, "ltp.py: 'ltp' is an experiment of the package; choose another name"),
    "no name": ("my leak.py", LEAK, "my leak.py: its name is that of the experiment; expected letters, digits and _"),
    "broken syntax": ("a.py", "x = (", "a.py, line 1: SyntaxError: '(' was never closed"),
    "an error": ("a.py", "\nimport math\nmath.sqrt(-1)", "a.py, line 3: ValueError: "),
    "nothing": ("a.py", "", "a.py: EXPERIMENT is missing; expected an astro_sim.experiments.Experiment"),
    "another thing": ("a.py", "EXPERIMENT = 3", "a.py: EXPERIMENT is int; expected an astro_sim.experiments."),
    "no models": (
        "a.py",
        LEAK.replace('{"leak": Variant(Drive, Leak, run, {}, PRESETS)}', "{}"),
        "a.py: EXPERIMENT has no models; expected a mapping from a name to a Variant",
    ),
    "no variant": (
        "a.py",
        LEAK.replace("Variant(Drive, Leak, run, {}, PRESETS)", "run"),
        "a.py: model 'leak': expected a Variant, got function",
    ),
    "no settings": (
        "a.py",
        LEAK.replace("Variant(Drive,", "Variant(dict,"),
        "a.py: model 'leak': expected subclasses of Settings, got <class 'dict'>",
    ),
    "a name twice": (
        "a.py",
        LEAK.replace("    tau: float", "    cycles: int = 3\n    tau: float"),
        "a.py: model 'leak': cycles is both a setting and a parameter",
    ),
    "stands for nothing": (
        "a.py",
        LEAK.replace('"ltp"', '"stp"'),
        "a.py: stands_for: expected one of ltp, spatial, frequency, got 'stp'",
    ),
    "no table": (
        "a.py",
        LEAK.replace("PROMISED", "PROMISES"),
        "a.py: PROMISED is missing; expected a mapping from every model to its table",
    ),
    "no mapping": ("a.py", LEAK + "MEANINGS = []", "a.py: MEANINGS is list; expected a mapping from every model"),
    "no model's": ("a.py", LEAK + "MEANINGS = {}", "a.py: MEANINGS has no table of the model 'leak'"),
    "no tuple": (
        "a.py",
        LEAK.replace('"tau_cycle": ()', '"tau_cycle": "cycle"'),
        "a.py: PROMISED: tau_cycle: expected a tuple of dimensions, got 'cycle'",
    ),
    "no meaning": (
        "a.py",
        LEAK.replace('"tau_cycle": ()', '"x": ()'),
        "a.py: MEANINGS of 'leak' lack 'x', which PROMISED has",
    ),
    "half a meaning": (
        "a.py",
        LEAK.replace('("a.u.", "level at the ends of cycles")', '("a.u.",)'),
        "a.py: MEANINGS: p_l_cycle: expected (unit, meaning), got ('a.u.',)",
    ),
    "no dataset": (
        "a.py",
        LEAK.replace("    return xr.Dataset(", "    return 3 or xr.Dataset("),
        "a: expected an xarray.Dataset of its run function, got int",
    ),
    "a variable unknown": (
        "a.py",
        LEAK.replace('"tau_cycle": ((), 10.0)', '"tau_cycle": ((), 10.0), "y": ((), 1.0)'),
        "a: MEANINGS of 'leak' lack the variable 'y'; expected its unit and meaning",
    ),
    "not what was promised": (
        "a.py",
        LEAK.replace(', "tau_cycle": ((), 10.0)', ""),
        "dataset: variable 'tau_cycle' is missing; a dataset of 'a' needs it",
    ),
}


@pytest.mark.parametrize(("name", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, monkeypatch, name, code, message):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(code)
    with pytest.raises(InputError, match=f"^{re.escape(message)}") as caught:
        astro_sim.simulate(name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told():
    with pytest.raises(InputError, match=r"^nowhere/pulse\.py: no such file; expected an experiment of your own"):
        experiments.find("nowhere/pulse.py")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"own_contents": "{"}, "attribute 'own_contents' is not a JSON object of lists of dimensions"),
        ({"own_contents": "[]"}, "attribute 'own_contents' is not a JSON object of lists of dimensions"),
        ({"own_contents": '{"p_l_cycle": 3}'}, "attribute 'own_contents' is not a JSON object of lists of dimensions"),
        (
            {"own_contents": '{"p_l_cycle": [3]}'},
            "attribute 'own_contents' is not a JSON object of lists of dimensions",
        ),
        ({"own_source": "abc"}, "attribute 'own_source' is not a SHA-256"),
        ({"own_contents": '{"x": []}'}, "variable 'x' is missing; a dataset of 'leak' needs it"),
        ({"own_contents": '{"tau_cycle": ["cycle"]}'}, "variable 'tau_cycle' has dimensions (), expected ('cycle',)"),
    ],
)
def test_a_dataset_that_says_nothing_sound_of_itself_is_refused(leak, attributes, message):
    with pytest.raises(InputError, match=f"^dataset: {re.escape(message)}$"):
        check(astro_sim.simulate("leak.py").assign_attrs(attributes))


def test_every_variable_needs_its_unit(leak):
    dataset = astro_sim.simulate("leak.py")
    del dataset["p_l_cycle"].attrs["units"]
    with pytest.raises(InputError, match="^dataset: variable 'p_l_cycle' has no units or no long_name$"):
        check(dataset)


def test_a_name_alone_is_none_of_ours(leak):
    bare = astro_sim.simulate("leak.py").drop_attrs(deep=False)
    attributes = astro_sim.simulate("leak.py").attrs
    for name in ("own_source", "own_contents", "own_stands_for"):
        attributes.pop(name)
    with pytest.raises(InputError, match="^dataset: unknown experiment 'leak'; known: "):
        check(bare.assign_attrs(attributes))
