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
def test_a_file_that_changes_during_its_sweep_stops_it_and_it_goes_on_when_it_is_back(leak, model):
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


def test_a_file_that_is_gone_stops_its_sweep(leak):
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
    monkeypatch.setattr(own, "_loaded", {})
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
    ("value", "kind"),
    [("1j", "complex128"), ("np.datetime64('2026-01-01')", "datetime64[s]"), ("None", "object")],
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
    assert "leak.nc: p_l_cycle, level at the ends of cycles." in page
    assert "level at the ends of cycles against cycle: its mean lies from 0 to 0.9093." in page
    assert "no course against" not in page


VARIANT = "Variant(Drive, Leak, run, {}, PRESETS)"


def without(old, new):
    assert old in LEAK
    return LEAK.replace(old, new)


REFUSED = {
    "a name of ours": ("ltp.py", LEAK, "ltp.py: 'ltp' is an experiment of the package; choose another name"),
    "no name": (
        "2 leaks.py",
        LEAK,
        "2 leaks.py: its name is that of the experiment; expected a letter, then letters, ",
    ),
    "broken syntax": ("a.py", "x = (", "a.py, line 1: SyntaxError: '(' was never closed"),
    "an error": ("a.py", "\nimport math\nmath.sqrt(-1)", "a.py, line 3: ValueError: "),
    "an exit": ("a.py", "raise SystemExit(0)", "a.py, line 1: SystemExit: 0"),
    "itself": (
        "a.py",
        LEAK + "import astro_sim\nastro_sim.simulate(__file__)",
        "a.py, line 31: ",
    ),
    "nothing": ("a.py", "", "a.py: EXPERIMENT is missing; expected an astro_sim.experiments.Experiment"),
    "another thing": ("a.py", "EXPERIMENT = 3", "a.py: EXPERIMENT is int; expected an astro_sim.experiments."),
    "no models": (
        "a.py",
        without(f'{{"leak": {VARIANT}}}', "{}"),
        "a.py: EXPERIMENT has no models; expected a mapping from a name to a Variant",
    ),
    "a number for a model": (
        "a.py",
        without('{"leak": V', "{3: V"),
        "a.py: EXPERIMENT: expected names of models, got 3",
    ),
    "no variant": ("a.py", without(VARIANT, "run"), "a.py: model 'leak': expected a Variant, got function"),
    "no settings": (
        "a.py",
        without("Variant(Drive,", "Variant(dict,"),
        "a.py: model 'leak': expected subclasses of Settings, got <class 'dict'>",
    ),
    "no function": ("a.py", without("run, {}, ", "3, {}, "), "a.py: model 'leak': expected a function to run, got int"),
    "a name that is taken": (
        "a.py",
        without("    tau: float", "    seed: int = 3\n    tau: float"),
        "a.py: model 'leak': seed: not a name for a setting; simulate and sweep take it for themselves",
    ),
    "a set": (
        "a.py",
        without("    tau: float", "    kinds: frozenset[str] = frozenset()\n    tau: float"),
        "a.py: model 'leak': kinds: a set has no order, so no digest; expected a tuple",
    ),
    "a name twice": (
        "a.py",
        without("    tau: float", "    cycles: int = 3\n    tau: float"),
        "a.py: model 'leak': cycles is both a setting and a parameter",
    ),
    "defaults that are none": (
        "a.py",
        without("run, {}, ", "run, [1], "),
        "a.py: model 'leak': defaults: expected a mapping, got list",
    ),
    "a default of nothing": (
        "a.py",
        without("run, {}, ", 'run, {"tua": 1}, '),
        "a.py: model 'leak': defaults: unknown setting 'tua'; did you mean 'tau'?",
    ),
    "a preset out of bounds": (
        "a.py",
        without('"tau": 2.0', '"tau": -2.0'),
        "a.py: model 'leak': preset 'fast': tau: expected greater than 0, got -2.0",
    ),
    "presets without their setting": (
        "a.py",
        without("    preset: str", "    chosen: str"),
        "a.py: model 'leak': presets: expected a setting 'preset', which chooses one",
    ),
    "stands for what is not read": (
        "a.py",
        without('"ltp"', '"stp"'),
        "a.py: stands_for: expected one of ltp, spatial, frequency, got 'stp'",
    ),
    "stands for what it does not hold": (
        "a.py",
        without('"ltp"', '"spatial"'),
        "a.py: to stand for 'spatial', 'p_s_peak' must be promised",
    ),
    "stands for it in another unit": (
        "a.py",
        without('("a.u.", "level', '("mV", "level'),
        "a.py: to stand for 'ltp', 'p_l_cycle' must be in 1 or a.u., got 'mV'",
    ),
    "stands for it along another dimension": (
        "a.py",
        LEAK.replace('("cycle", "post", "pre")', '("pulse", "post", "pre")'),
        "a.py: to stand for 'ltp', expected dimensions: 'cycle' among those of p_l_cycle, none of tau_cycle; got ",
    ),
    "no table": (
        "a.py",
        without("PROMISED", "PROMISES"),
        "a.py: PROMISED is missing; expected a mapping from every model to its table",
    ),
    "no mapping": ("a.py", LEAK + "MEANINGS = []", "a.py: MEANINGS is list; expected a mapping from every model"),
    "no model's": ("a.py", LEAK + "MEANINGS = {}", "a.py: MEANINGS has no table of the model 'leak'"),
    "no model's mapping": (
        "a.py",
        LEAK + "PROMISED = {'leak': ['p_l_cycle']}",
        "a.py: PROMISED of 'leak' is list; expected a mapping",
    ),
    "no tuple": (
        "a.py",
        without('"tau_cycle": ()', '"tau_cycle": "cycle"'),
        "a.py: PROMISED: tau_cycle: expected a tuple of dimensions, got 'cycle'",
    ),
    "no meaning": (
        "a.py",
        without('"tau_cycle": ()', '"x": ()'),
        "a.py: MEANINGS of 'leak' lack 'x', which PROMISED has",
    ),
    "half a meaning": (
        "a.py",
        without('("a.u.", "level at the ends of cycles")', '("a.u.",)'),
        "a.py: MEANINGS: p_l_cycle: expected (unit, meaning), got ('a.u.',)",
    ),
    "a name that is no name": (
        "a.py",
        without('MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"a/b": ("1", "x"), '),
        "a.py: MEANINGS: 'a/b': expected a name of letters, digits and _",
    ),
    "a name of sweeps": (
        "a.py",
        without('MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"held_x": ("1", "x"), '),
        "a.py: MEANINGS: held_x: a name that sweeps take for themselves; choose another",
    ),
    "no table by setting": ("a.py", LEAK + "BY_SETTING = []", "a.py: BY_SETTING is list; expected a mapping"),
    "by a setting, but what": (
        "a.py",
        LEAK + 'BY_SETTING = {"x": ("cycles", {})}',
        "a.py: BY_SETTING: x: MEANINGS of 'leak' lack it; expected one in general terms",
    ),
    "by what": (
        "a.py",
        LEAK + 'BY_SETTING = {"p_l_cycle": {}}',
        "a.py: BY_SETTING: p_l_cycle: expected (setting, {its value: (unit, meaning)})",
    ),
    "by an unknown setting": (
        "a.py",
        LEAK + 'BY_SETTING = {"p_l_cycle": ("cycels", {})}',
        "a.py: BY_SETTING: p_l_cycle: unknown setting 'cycels'; did you mean 'cycles'?",
    ),
    "by a setting, half a meaning": (
        "a.py",
        LEAK + 'BY_SETTING = {"p_l_cycle": ("cycles", {6: "xy"})}',
        "a.py: MEANINGS: p_l_cycle: expected (unit, meaning), got 'xy'",
    ),
    "no dataset": (
        "a.py",
        without("    return xr.Dataset(", "    return 3 or xr.Dataset("),
        "a: expected an xarray.Dataset of its run function, got int",
    ),
    "no request": (
        "a.py",
        without("    return xr.Dataset(", "    yield 3\n    return xr.Dataset("),
        "a: its run function yielded int, expected a request as astro_sim.macro.model.MacroRequest is",
    ),
    "a variable unknown": (
        "a.py",
        without('"tau_cycle": ((), 10.0)', '"tau_cycle": ((), 10.0), "y": ((), 1.0)'),
        "a: MEANINGS of 'leak' lack the variable 'y'; expected its unit and meaning",
    ),
    "not what was promised": (
        "a.py",
        without(', "tau_cycle": ((), 10.0)', ""),
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
    assert len(str(caught.value)) < 400


def test_a_missing_file_is_told(tmp_path):
    (tmp_path / "blob").write_text(LEAK)
    with pytest.raises(InputError, match="blob: expected an experiment of your own, a file that ends in .py$"):
        experiments.find(tmp_path / "blob")
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
        (
            {"own_contents": '{"x": [], "p_l_cycle": ["cycle"], "tau_cycle": []}'},
            "variable 'x' is missing; a dataset of 'leak' needs it",
        ),
        (
            {"own_contents": '{"p_l_cycle": ["cycle", "pre", "post"], "tau_cycle": []}'},
            "variable 'p_l_cycle' has dimensions ('cycle', 'post', 'pre'), expected ('cycle', 'pre', 'post')",
        ),
        ({"own_stands_for": "nix"}, "stands_for: expected one of ltp, spatial, frequency, got 'nix'"),
        ({"own_stands_for": "spatial"}, "to stand for 'spatial', 'p_s_peak' must be promised"),
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
