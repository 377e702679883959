"""Sweeps that cannot be: refused in one line before anything runs, and without a trace on disk."""

import json

import numpy as np
import pytest

import astro_sim
from astro_sim import simulation
from astro_sim.common.errors import InputError
from astro_sim.dataset import check, require_single
from astro_sim.sweeps import cluster, pool, work
from astro_sim.sweeps.grid import parse
from tests.astro_sim import sweep_workers

FAST = {"dt": 0.05, "interval": 1.0, "cycles": 1}
FORMS = "expected a sequence of values, 'a:b:n' or 'a:b:n:log'"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"experiment": "ltq"}, "unknown experiment 'ltq'; did you mean 'ltp'?"),
        ({"model": "makro"}, "unknown model 'makro' for the experiment 'ltp'; did you mean 'macro'?"),
        ({"seed": -1}, "seed: expected a whole number from 0, got -1"),
        ({"cycels": 3}, "unknown setting 'cycels'; did you mean 'cycles'?"),
        ({"beta": -1}, "beta: expected greater than or equal to 0, got -1"),
        ({"grid": {}}, "grid: expected a mapping from names of settings to values, got {}"),
        ({"grid": "tau_s=1:2:3"}, "grid: expected a mapping from names of settings to values, got 'tau_s=1:2:3'"),
        ({"grid": {"tau_sl": [1]}}, "grid: unknown setting 'tau_sl'; did you mean 'tau_s'?"),
        ({"grid": {"sed": [1]}}, "grid: unknown setting 'sed'; did you mean 'seed'?"),
        ({"grid": {3: [1]}}, "grid: unknown setting 3; known: "),
        ({"grid": {"tau_s": []}}, f"tau_s: no values; {FORMS}"),
        ({"grid": {"tau_s": 2.0}}, f"tau_s: {FORMS}, got 2.0"),
        ({"grid": {"tau_s": {1.0, 2.0}}}, f"tau_s: {FORMS}, got {{1.0, 2.0}}"),
        ({"grid": {"tau_s": None}}, f"tau_s: {FORMS}, got None"),
        ({"grid": {"layout": "ring"}}, f"layout: {FORMS}, got 'ring'"),
        ({"grid": {"tau_s": "1:2"}}, f"tau_s: {FORMS}, got '1:2'"),
        ({"grid": {"tau_s": "1:2:3:lin"}}, f"tau_s: {FORMS}, got '1:2:3:lin'"),
        ({"grid": {"tau_s": "1:2:3:log:4"}}, f"tau_s: {FORMS}, got '1:2:3:log:4'"),
        ({"grid": {"tau_s": "1:2:2.5"}}, f"tau_s: {FORMS}, got '1:2:2.5'"),
        ({"grid": {"tau_s": "1:two:3"}}, f"tau_s: {FORMS}, got '1:two:3'"),
        ({"grid": {"tau_s": "1:2:0"}}, "tau_s: expected at least 1 value, got '1:2:0'"),
        ({"grid": {"tau_s": "1:2:-3"}}, "tau_s: expected at least 1 value, got '1:2:-3'"),
        ({"grid": {"tau_s": "1:2:9999999999"}}, "tau_s: 9999999999 values; expected at most 1000000"),
        ({"grid": {"tau_s": "1:nan:3"}}, "tau_s: expected finite ends, got '1:nan:3'"),
        ({"grid": {"tau_s": "1:inf:3"}}, "tau_s: expected finite ends, got '1:inf:3'"),
        ({"grid": {"tau_s": "0:1:3:log"}}, "tau_s: expected ends above 0 for logarithmic steps, got '0:1:3:log'"),
        ({"grid": {"tau_s": "1:1:3"}}, "tau_s: the value 1.0 is given twice"),
        ({"grid": {"tau_s": [1, 1.0]}}, "tau_s: the value 1.0 is given twice"),
        ({"grid": {"seed": [1, 2, 1]}}, "seed: the value 1 is given twice"),
        ({"grid": {"seed": [0, 0.5]}}, "seed: expected a whole number from 0, got 0.5"),
        ({"grid": {"seed": [0, -1]}}, "seed: expected a whole number from 0, got -1"),
        ({"grid": {"tau_s": [1.0, float("nan")]}}, "tau_s: expected a finite number (s), got nan"),
        ({"grid": {"tau_s": np.array([1.0, -2.0])}}, "tau_s: expected greater than 0 (s), got -2.0"),
        ({"grid": {"n": "1:2:3"}}, "n: expected a valid integer, got a number with a fractional part"),
        ({"grid": {"phi": ["tanh", "tahn"]}}, "phi: expected 'tanh', 'rectified', 'softsign' or 'linear', got 'tahn'"),
        ({"grid": {"cycles": [1, 2000]}}, 'cycles: expected 1 to 1024 or "saturation", got 2000'),
        ({"grid": {"tau_s": [1.0]}, "tau_s": 2.0}, "tau_s: both swept and fixed; expected one of the two"),
        ({"grid": {"seed": [1, 2]}, "seed": 3}, "seed: both swept and fixed; expected one of the two"),
        (
            {"grid": {"tau_s": "1:2:1001", "beta": "1:2:1000"}},
            "grid: 1001 x 1000 = 1001000 points; expected at most 1000000",
        ),
        ({"workers": 0}, "workers: expected a whole number from 1, got 0"),
        ({"workers": True}, "workers: expected a whole number from 1, got True"),
        ({"client": 7}, "client: expected a dask client, an address or 'local', got 7"),
        ({"client": "nowhere"}, "dask: no scheduler answers at 'nowhere' ("),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_runs(call, message, tmp_path, monkeypatch):
    def run(*_, **__):
        raise AssertionError("something ran")

    monkeypatch.setattr(simulation, "simulate_many", run)
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    asked = {"experiment": "ltp", "grid": {"tau_p_l": [30.0]}, "folder": tmp_path / "points", **call}
    with pytest.raises(InputError) as caught:
        astro_sim.sweep(**asked)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["tau_s"], "--sweep 'tau_s': expected NAME=a:b:n, NAME=a:b:n:log or NAME=VALUE,VALUE"),
        (["=1:2:3"], "--sweep '=1:2:3': expected NAME="),
        (["tau_s="], "--sweep 'tau_s=': expected NAME="),
        (["tau_s=1,,2"], "--sweep 'tau_s=1,,2': expected a value before and after every comma"),
        (["tau_s=1,2", "tau_s=3"], "--sweep tau_s: given twice"),
    ],
)
def test_a_word_that_is_no_sweep_is_refused(pairs, message):
    with pytest.raises(InputError) as caught:
        parse(pairs)
    assert str(caught.value).startswith(message)


def test_words_become_values():
    assert parse(["a=1:2:3", "b=1,2.5", "c=[3, 4]", "d=5", "e=x, y", "f=z"]) == {
        "a": "1:2:3", "b": [1, 2.5], "c": [3, 4], "d": [5], "e": ["x", "y"], "f": ["z"],
    }  # fmt: skip


# Folders


@pytest.mark.parametrize("change", [{"grid": {"tau_p_l": [30.0, 61.0]}}, {"beta": 3.0}, {"experiment": "stp"}])
def test_a_folder_with_another_sweep_is_refused(change, tmp_path):
    asked = {"experiment": "ltp", "grid": {"tau_p_l": [30.0, 60.0]}, "folder": tmp_path, "dt": 0.05}
    astro_sim.sweep(**asked)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError) as caught:
        astro_sim.sweep(**{**asked, **change})
    assert str(caught.value) == (
        f"{tmp_path}: holds points of another sweep (ltp experiment, macro model, sweep of tau_p_l); "
        "choose another folder or remove it"
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def edited(folder, **changes):
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda at: edited(at, versions="{}"), "{at}: holds points of a sweep that other versions computed ("),
        (lambda at: edited(at, kind="rmaat-data"), "{at}/manifest.json: not a manifest of a sweep that this version"),
        (lambda at: edited(at, format=2), "{at}/manifest.json: not a manifest of a sweep that this version"),
        (lambda at: (at / "manifest.json").write_text("[]"), "{at}/manifest.json: not a manifest of a sweep"),
        (lambda at: (at / "manifest.json").write_text("{"), "{at}/manifest.json: not a manifest of a sweep: "),
        (lambda at: (at / "manifest.json").unlink(), "{at}: holds something else than a sweep; choose another"),
    ],
)
def test_a_folder_that_is_no_longer_what_it_was_is_refused(break_, message, tmp_path):
    asked = {"experiment": "ltp", "grid": {"tau_p_l": [30.0]}, "folder": tmp_path, **FAST}
    astro_sim.sweep(**asked)
    break_(tmp_path)
    with pytest.raises(InputError) as caught:
        astro_sim.sweep(**asked)
    assert str(caught.value).startswith(message.format(at=tmp_path))


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "points").write_text("mine")
    with pytest.raises(InputError, match="points: exists and is not a folder$"):
        astro_sim.sweep("ltp", {"tau_p_l": [30.0]}, folder=tmp_path / "points", **FAST)


def test_workers_that_cannot_start_are_told(monkeypatch):
    monkeypatch.setattr(work, "COMPILED", ())
    monkeypatch.setattr(pool, "_serve", sweep_workers.serve_not)
    with pytest.raises(InputError, match="^workers: a worker process ended before it started to work$"):
        astro_sim.sweep("ltp", {"tau_p_l": [30.0]}, **FAST)


# Datasets


@pytest.fixture(scope="module")
def swept():
    """Two cycles at one point, one at the next, and a point that fails; treat as read-only."""
    return astro_sim.sweep("ltp", {"dt": [0.05, 1.0], "cycles": [2, 1]}, interval=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("failure"), "variable 'failure' is missing; a sweep needs it"),
        (lambda d: d.assign(failure=d["failure"] == ""), "variable 'failure' holds bool, expected text"),
        (lambda d: d.assign(failure=d["failure"].isel(dt=0)), "variable 'failure' has dimensions ('cycles',), "),
        (lambda d: d.drop_vars("dt"), "coordinate 'dt' is missing; a sweep over it needs it"),
        (lambda d: d.isel(dt=0), "coordinate 'dt' is missing; a sweep over it needs it"),
        (lambda d: d.isel(dt=[0]), "1 values of 'dt', expected 2 as swept"),
        (lambda d: d.assign_attrs(sweep="[]"), "attribute 'sweep' is not a JSON object of lists"),
        (lambda d: d.assign_attrs(sweep="{}"), "attribute 'sweep' is not a JSON object of lists"),
        (lambda d: d.assign_attrs(sweep='{"dt": 3}'), "attribute 'sweep' is not a JSON object of lists"),
        (lambda d: d.assign_attrs(sweep=3), "attribute 'sweep' is not a JSON object of lists"),
        (lambda d: d.drop_vars("p_l"), "variable 'p_l' is missing; a dataset of 'ltp' needs it"),
        (
            lambda d: d.transpose("cycles", "dt", ...),
            "variable 'failure' has dimensions ('cycles', 'dt'), expected ('dt', 'cycles')",
        ),
        (lambda d: d.assign(p_l=d["p_l"].where(d["time"] < 9)), "variable 'p_l' holds NaN or infinite values"),
        (lambda d: d.assign(p_l=d["p_l"].fillna(np.inf)), "variable 'p_l' holds NaN or infinite values"),
        (lambda d: d.drop_vars("held_cycle"), "variable 'p_l_cycle' holds NaN or infinite values"),
        (lambda d: d.assign(held_time=d["held_time"] * 0.5), "variable 'held_time' is not a table of whole numbers"),
        (lambda d: d.assign(failure=d["failure"].where(False, "")), "variable 'tau_cycle' holds NaN or infinite"),
    ],
)
def test_a_sweep_outside_the_schema_is_refused(swept, change, message, tmp_path):
    with pytest.raises(InputError) as caught:
        check(change(swept), where="here")
    assert str(caught.value).startswith(f"here: {message}")
    with pytest.raises(InputError):
        astro_sim.write(change(swept), tmp_path / "bad.nc")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"dt": 0.05, "cycels": 1}, "select: 'cycels' was not swept; did you mean 'cycles'?"),
        ({"dt": 0.05}, "select: expected a value of cycles too"),
        ({"dt": 0.06, "cycles": 1}, "select: dt = 0.06 was not swept; expected one of 0.05, 1.0"),
        ({"dt": "0.05", "cycles": 1}, "select: dt = '0.05' was not swept; expected one of 0.05, 1.0"),
        ({"dt": None, "cycles": 1}, "select: dt = None was not swept; expected one of 0.05, 1.0"),
        ({"dt": 1.0, "cycles": 1}, "select: this point failed: dt: expected at most"),
    ],
)
def test_a_point_that_is_not_there_is_refused(swept, point, message):
    with pytest.raises(InputError) as caught:
        astro_sim.select(swept, **point)
    assert str(caught.value).startswith(message)


def test_a_single_run_has_no_points(ltp):
    assert require_single(ltp) is ltp
    with pytest.raises(InputError, match="^select: expected a sweep, got a single run$"):
        astro_sim.select(ltp, dt=0.05)
