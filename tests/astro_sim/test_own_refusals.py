"""Files that are no experiment of one's own, and datasets of such that say nothing sound: one line each."""

import re
from pathlib import Path

import pytest

import astro_sim
from astro_sim import InputError, experiments
from astro_sim.dataset import check
from tests.astro_sim.own_experiment import LEAK

VARIANT = "Variant(Drive, Leak, run, {}, PRESETS)"


def without(old, new):
    assert old in LEAK
    return LEAK.replace(old, new)


REFUSED = {
    "a name of ours": ("ltp.py", LEAK, "ltp.py: 'ltp' is an experiment of the package; choose another name"),
    "no name": ("2 leaks.py", LEAK,
        "2 leaks.py: its name is that of the experiment; expected a letter, then letters, "),
    "broken syntax": ("a.py", "x = (", "a.py, line 1: SyntaxError: '(' was never closed"),
    "an error": ("a.py", "\nimport math\nmath.sqrt(-1)", "a.py, line 3: ValueError: "),
    "no exception": ("a.py", "class Odd(BaseException): pass\nraise Odd('x')", "a.py, line 2: Odd: x"),
    "an exit": ("a.py", "raise SystemExit(0)", "a.py, line 1: SystemExit: 0"),
    "itself": ("a.py", LEAK + "import astro_sim\nastro_sim.simulate(__file__)", "a.py, line 31: "),
    "nothing": ("a.py", "", "a.py: EXPERIMENT is missing; expected astro_sim.experiments.Experiment"),
    "another thing": ("a.py", "EXPERIMENT = 3", "a.py: EXPERIMENT is int; expected astro_sim.experiments."),
    "no models": ("a.py", without(f'{{"leak": {VARIANT}}}', "{}"),
        "a.py: EXPERIMENT has no models; expected a mapping from a name to a Variant"),
    "a number for a model": ("a.py", without('{"leak": V', "{3: V"),
        "a.py: EXPERIMENT: expected names of models, got 3"),
    "no variant": ("a.py", without(VARIANT, "run"), "a.py: model 'leak': expected a Variant, got function"),
    "no settings": ("a.py", without("Variant(Drive,", "Variant(dict,"),
        "a.py: model 'leak': expected subclasses of Settings, got <class 'dict'>"),
    "no function": ("a.py", without("run, {}, ", "3, {}, "), "a.py: model 'leak': expected a function to run, got int"),
    "a name that is taken": ("a.py", without("    tau: float", "    seed: int = 3\n    tau: float"),
        "a.py: model 'leak': seed: not a name for a setting; simulate and sweep take it for themselves"),
    "a set": ("a.py", without("    tau: float", "    kinds: frozenset[str] = frozenset()\n    tau: float"),
        "a.py: model 'leak': kinds: a set has no order, so no digest; expected a tuple"),
    "a name twice": ("a.py", without("    tau: float", "    cycles: int = 3\n    tau: float"),
        "a.py: model 'leak': cycles is both a setting and a parameter"),
    "defaults that are none": ("a.py", without("run, {}, ", "run, [1], "),
        "a.py: model 'leak': defaults: expected a mapping, got list"),
    "a default of nothing": ("a.py", without("run, {}, ", 'run, {"tua": 1}, '),
        "a.py: model 'leak': defaults: unknown setting 'tua'; did you mean 'tau'?"),
    "a preset out of bounds": ("a.py", without('"tau": 2.0', '"tau": -2.0'),
        "a.py: model 'leak': preset 'fast': tau: expected greater than 0, got -2.0"),
    "presets without their setting": ("a.py", without("    preset: str", "    chosen: str"),
        "a.py: model 'leak': presets: expected a setting 'preset', which chooses one"),
    "stands for what is not read": ("a.py", without('"ltp"', '"stp"'),
        "a.py: stands_for: expected one of ltp, spatial, frequency, got 'stp'"),
    "stands for what it does not hold": ("a.py", without('"ltp"', '"spatial"'),
        "a.py: to stand for 'spatial', 'p_s_peak' must be promised"),
    "stands for it in another unit": ("a.py", without('("a.u.", "level', '("mV", "level'),
        "a.py: to stand for 'ltp', 'p_l_cycle' must be in 1 or a.u., got 'mV'"),
    "stands for it along another dimension": ("a.py",
        LEAK.replace('("cycle", "post", "pre")', '("pulse", "post", "pre")'),
        "a.py: to stand for 'ltp', expected dimensions: 'cycle' among those of p_l_cycle, none of tau_cycle; got "),
    "no table": ("a.py", without("PROMISED", "PROMISES"),
        "a.py: PROMISED is missing; expected a mapping from every model to its table"),
    "no mapping": ("a.py", LEAK + "MEANINGS = []", "a.py: MEANINGS is list; expected a mapping from every model"),
    "no model's": ("a.py", LEAK + "MEANINGS = {}", "a.py: MEANINGS has no table of the model 'leak'"),
    "no model's mapping": ("a.py", LEAK + "PROMISED = {'leak': ['p_l_cycle']}",
        "a.py: PROMISED of 'leak' is list; expected a mapping"),
    "no tuple": ("a.py", without('"tau_cycle": ()', '"tau_cycle": "cycle"'),
        "a.py: PROMISED: tau_cycle: expected a tuple of dimensions, got 'cycle'"),
    "no meaning": ("a.py", without('"tau_cycle": ()', '"x": ()'),
        "a.py: MEANINGS of 'leak' lack 'x', which PROMISED has"),
    "half a meaning": ("a.py", without('("a.u.", "level at the ends of cycles")', '("a.u.",)'),
        "a.py: MEANINGS: p_l_cycle: expected (unit, meaning), got ('a.u.',)"),
    "a name that is no name": ("a.py", without('MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"a/b": ("1", "x"), '),
        "a.py: MEANINGS: 'a/b': expected a name of letters, digits and _"),
    "a name of sweeps": ("a.py", without('MEANINGS = {"leak": {', 'MEANINGS = {"leak": {"held_x": ("1", "x"), '),
        "a.py: MEANINGS: held_x: a name that sweeps take for themselves; choose another"),
    "no table by setting": ("a.py", LEAK + "BY_SETTING = []", "a.py: BY_SETTING is list; expected a mapping"),
    "by a setting, but what": ("a.py", LEAK + 'BY_SETTING = {"x": ("cycles", {})}',
        "a.py: BY_SETTING: x: MEANINGS of 'leak' lack it; expected one in general terms"),
    "by what": ("a.py", LEAK + 'BY_SETTING = {"p_l_cycle": {}}',
        "a.py: BY_SETTING: p_l_cycle: expected (setting, {its value: (unit, meaning)})"),
    "by an unknown setting": ("a.py", LEAK + 'BY_SETTING = {"p_l_cycle": ("cycels", {})}',
        "a.py: BY_SETTING: p_l_cycle: unknown setting 'cycels'; did you mean 'cycles'?"),
    "by a setting, half a meaning": ("a.py", LEAK + 'BY_SETTING = {"p_l_cycle": ("cycles", {6: "xy"})}',
        "a.py: MEANINGS: p_l_cycle: expected (unit, meaning), got 'xy'"),
    "no dataset": ("a.py", without("    return xr.Dataset(", "    return 3 or xr.Dataset("),
        "a: expected an xarray.Dataset of its run function, got int"),
    "no request": ("a.py", without("    return xr.Dataset(", "    yield 3\n    return xr.Dataset("),
        "a: its run function yielded int, expected a request as astro_sim.macro.model.MacroRequest is"),
    "a variable unknown": ("a.py", without('"tau_cycle": ((), 10.0)', '"tau_cycle": ((), 10.0), "y": ((), 1.0)'),
        "a: MEANINGS of 'leak' lack the variable 'y'; expected its unit and meaning"),
    "not what was promised": ("a.py", without(', "tau_cycle": ((), 10.0)', ""),
        "dataset: variable 'tau_cycle' is missing; a dataset of 'a' needs it"),
}  # fmt: skip


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
