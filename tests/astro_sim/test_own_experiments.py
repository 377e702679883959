"""Experiments in files of one's own: what those of the package can, without an edit of it."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import astro_sim
import bridge
from analysis.report.page import build_report
from astro_sim import InputError
from astro_sim.dataset import grid_of
from astro_sim.experiments import NAMES, find, user_file
from rmaat.__main__ import main
from tests.astro_sim.own_experiment import LEAK, changed


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


def test_a_sweep_in_processes_gives_what_single_runs_give(leak, in_processes, monkeypatch):
    grid = {"tau": [2.0, 5.0], "seed": [0, 1]}
    runs = astro_sim.sweep("leak.py", grid, workers=2, input=3.0)
    assert grid_of(runs) == grid
    expected = astro_sim.simulate("leak.py", seed=1, tau=5.0, input=3.0)
    xr.testing.assert_identical(astro_sim.select(runs, tau=5.0, seed=1), expected)
    monkeypatch.setattr(user_file.FILES, "_defined", {})  # as in a process that never saw the file
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
    monkeypatch.setattr(user_file.FILES, "_defined", {})
    told = 'select: what was swept decides ["tau"]; load the experiment\'s file first, unchanged since: '
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


@pytest.mark.parametrize("model", ["leak", "macro"])
def test_a_file_that_changes_during_its_sweep_stops_it_and_it_goes_on_when_it_is_back(leak, in_processes, model):
    """In a worker, and in this process, as models named macro run."""
    if model == "macro":
        text = leak.read_text().replace('{"leak": ', '{"macro": ')
        leak.write_text(text)
    before, grid = leak.read_text(), {"tau": np.linspace(1.0, 5.0, 3 if model == "leak" else 257).tolist()}
    expected = astro_sim.sweep("leak.py", grid, workers=1)
    edits = "    if settings.input == 2.0:\n        open(__file__, 'a').write('# more')\n    cycle ="
    changed(leak, "    cycle =", edits)
    edited = leak.read_text()
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"leak\.py: changed while its sweep ran; a sweep into a folder goes on once"
        ):
            astro_sim.sweep("leak.py", grid, workers=1, folder="points", input=2.0)
        kept = len(list(Path("points").glob("points-*.h5")))
        leak.write_text(edited)
    assert kept == 2  # a point, or a chunk of them, each time
    leak.write_text(before)
    xr.testing.assert_identical(astro_sim.sweep("leak.py", grid, workers=1), expected)


def test_a_file_that_is_gone_stops_its_sweep(leak, in_processes):
    changed(leak, "    cycle =", "    import os\n    os.remove(__file__)\n    cycle =")
    with pytest.raises(
        InputError, match=r"^.*leak\.py: no such file; .* \(while its sweep ran\); a sweep into a folder"
    ):
        astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, workers=1)


def test_what_is_measured_is_not_taken_for_the_setting_of_its_name(leak):
    changed(leak, '"tau_cycle": ((), 10.0)', '"input": ((), 1000 * settings.input), "tau_cycle": ((), 10.0)')
    changed(leak, '"tau_cycle": ()}', '"tau_cycle": (), "input": ()}')
    changed(leak, 'MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"input": ("pA", "current"), ')
    runs = astro_sim.sweep("leak.py", {"input": [1.0, 2.0]})
    assert runs["input"].dims == ("swept_input",)
    assert runs["input"].values.tolist() == [1000.0, 2000.0]
    xr.testing.assert_identical(astro_sim.select(runs, input=2.0), astro_sim.simulate("leak.py", input=2.0))
    changed(leak, "1000 * settings.input", "settings.input")  # the number of the setting, and not its unit
    runs = astro_sim.sweep("leak.py", {"input": [1.0, 2.0]})
    xr.testing.assert_identical(astro_sim.select(runs, input=2.0), astro_sim.simulate("leak.py", input=2.0))


def test_a_meaning_that_a_swept_setting_decides_needs_the_file(leak, monkeypatch):
    leak.write_text(LEAK + 'BY_SETTING = {"p_l_cycle": ("cycles", {6: ("1", "of six")})}\n')
    runs = astro_sim.sweep("leak.py", {"cycles": [6, 12]})
    expected = astro_sim.simulate("leak.py", cycles=6)
    assert expected["p_l_cycle"].attrs == {"units": "1", "long_name": "of six"}
    xr.testing.assert_identical(astro_sim.select(runs, cycles=6), expected)
    monkeypatch.setattr(user_file.FILES, "_defined", {})
    with pytest.raises(InputError, match=r'^select: what was swept decides \["cycles"\]; load the experiment'):
        astro_sim.select(runs, cycles=6)


def test_an_experiment_may_sweep_another(leak):
    changed(leak, "    cycle =", "    import astro_sim\n"
            "    astro_sim.sweep('ltp', {'tau_p_l': [30, 60]}, cycles=1, n=1, dt=0.05)\n    cycle =")  # fmt: skip
    runs = astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, workers=1)
    assert runs["failure"].values.tolist() == ["", ""]


def test_a_link_is_called_as_it_is_named(leak):
    Path("store").mkdir()
    leak.rename("store/blob")
    for name in ("leak.py", "alias.py"):
        Path(name).symlink_to(Path("store/blob"))
    assert [astro_sim.simulate(name).attrs["experiment"] for name in ("alias.py", "leak.py")] == ["alias", "leak"]
    runs = astro_sim.sweep("alias.py", {"tau": [2.0, 5.0]}, workers=1)
    xr.testing.assert_identical(astro_sim.select(runs, tau=2.0), astro_sim.simulate("alias.py", tau=2.0))


def test_what_run_returns_is_left_alone_and_its_attributes_are_not_taken(leak):
    """A dataset that is kept and returned again; attributes that would change what is read back."""
    changed(leak, "    return xr.Dataset(", "    global kept\n    kept = globals().get('kept') or xr.Dataset(")
    odd = 'kept["p_l_cycle"].attrs.update({"_FillValue": 0.0, "scale_factor": 2.0})'
    changed(leak, '{"cycle": cycle}\n    )', f'{{"cycle": cycle}}\n    )\n    {odd}\n    return kept')
    one, other = astro_sim.simulate("leak.py", tau=5.0), astro_sim.simulate("leak.py", tau=2.0)
    assert ['"tau": 5.0' in each.attrs["settings"] for each in (one, other)] == [True, False]
    assert one["p_l_cycle"].attrs == {"units": "a.u.", "long_name": "level at the ends of cycles"}
    astro_sim.write(one, "leak.nc")
    xr.testing.assert_identical(astro_sim.read("leak.nc"), one)


@pytest.mark.parametrize(
    ("value", "kind"), [("1j", "complex128"), ("np.datetime64('2026-01-01')", "datetime64[s]"), ("None", "object")]
)
def test_values_that_no_file_keeps_are_refused_before_anything_is_written(leak, value, kind):
    changed(leak, '"tau_cycle": ((), 10.0)', f'"odd": ("k", np.array([{value}])), "tau_cycle": ((), 10.0)')
    changed(leak, 'MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"odd": ("1", "odd"), ')
    told = f"^leak: variable 'odd' holds {re.escape(kind)}, expected numbers or text$"
    with pytest.raises(InputError, match=told):
        astro_sim.simulate("leak.py")


def test_a_word_goes_through_a_sweep_in_a_folder(leak):
    changed(leak, '"tau_cycle": ((), 10.0)', '"word": ((), "slow"), "tau_cycle": ((), 10.0)')
    changed(leak, 'MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"word": ("1", "a word"), ')
    runs = astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, folder="points")
    xr.testing.assert_identical(astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}, folder="points"), runs)
    xr.testing.assert_identical(astro_sim.select(runs, tau=2.0), astro_sim.simulate("leak.py", tau=2.0))


def test_a_mistake_in_run_is_told_with_its_line(leak, capsys):
    changed(leak, "generator.random()", "generator.randon()")
    line = next(k for k, text in enumerate(leak.read_text().splitlines(), start=1) if "randon" in text)
    told = f"leak.py, line {line}: AttributeError: 'numpy.random._generator.Generator' object has no attribute 'randon'"
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        astro_sim.simulate("leak.py")
    assert isinstance(caught.value.__cause__, AttributeError)
    with pytest.raises(InputError, match="^every point of the sweep failed; the first: .*" + re.escape(told)):
        astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]})
    assert main(["simulate", "leak.py", "--out", "x.nc"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_laws_are_fitted_to_what_stands_for_ltp(leak):
    laws = bridge.fit_laws(astro_sim.simulate("leak.py"), draws=0)
    assert laws.document.sources[0].experiment == "leak"
    assert laws.document.retention.family == "exponential"
    assert laws.document.retention.parameters["tau"].value == pytest.approx(5.0, rel=1e-6)  # the leak's own
    swept = bridge.fit_sweep(astro_sim.sweep("leak.py", {"tau": [2.0, 5.0]}))
    assert [each.fit.values["tau"] for each in swept] == pytest.approx([2.0, 5.0], rel=1e-6)


def test_what_stands_for_nothing_is_not_fitted(leak):
    changed(leak, ', stands_for="ltp"', "")
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
    assert "level at the ends of cycles, against cycle: mean from 0 to 0.9093." in page
    assert "no course, against" not in page


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_the_package_keep_the_contract_of_users_files(name):
    module = import_module(f"astro_sim.experiments.{name}")
    assert user_file.checked(module, name, name, "") == find(name)


def test_an_experiment_is_listed_without_an_edit_elsewhere():
    folder = Path(user_file.__file__).parent
    defining = {path.stem for path in folder.glob("*.py") if "\nEXPERIMENT = Experiment(" in path.read_text()}
    assert set(NAMES) == defining
