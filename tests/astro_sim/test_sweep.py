"""Sweeps: every point is what `simulate` gives; the same bytes whoever works in whatever order; nothing runs twice."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import astro_sim
from astro_sim import experiments, simulation, sweeps
from astro_sim.common.errors import InputError
from astro_sim.common.settings import quantity
from astro_sim.dataset import settings_of
from astro_sim.experiments import Variant, ltp
from astro_sim.macro.model import LatchingWarning
from astro_sim.macro.parameters import MacroParameters
from astro_sim.sweeps import cluster, joining, pool, work
from astro_sim.sweeps.joining import join, take
from astro_sim.sweeps.pool import LOST
from bridge.fit import fit_laws
from tests.astro_sim import sweep_workers

FAST = {"dt": 0.05, "interval": 1.0, "cycles": 1}
ROOT = Path(__file__).parents[2]


def written(dataset, path):
    astro_sim.write(dataset, path)
    return path.read_bytes()


def assert_points_are_runs(dataset, experiment, grid, **parameters):
    for values in product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        expected = astro_sim.simulate(experiment, **parameters, **point)
        found = astro_sim.select(dataset, **point)
        xr.testing.assert_identical(found, expected)
        assert dict(found.dtypes) == dict(expected.dtypes)
        assert set(found.coords) == set(expected.coords)


@pytest.fixture
def ran(monkeypatch):
    """Settings of every point that ran in this process."""
    points = []
    many = simulation.simulate_many

    def counting(experiment, these, *rest):
        points.extend(these)
        return many(experiment, these, *rest)

    monkeypatch.setattr(simulation, "simulate_many", counting)
    return points


@pytest.mark.parametrize(
    ("experiment", "grid", "fixed"),
    [
        ("ltp", {"tau_p_l": [30.0, 60.0], "seed": [0, 3]}, FAST),
        ("ltp", {"cycles": [2, 1, "saturation"], "beta": [2.0]}, {"dt": 0.05, "interval": 1.0}),
        ("ltp", {"n": [3, 1], "drive_cv": [0.0, 0.2]}, FAST),
        ("ltp", {"tau_cycle": [10.0, 7.3, 9.1, 3.3, 4.7]}, {**FAST, "interval": 0.9}),
        ("spatial", {"n": [3, 5], "layout": ["grid", "ring"]}, {"dt": 0.05}),
        ("stp", {"layouts": [["grid", "line"], ["line"], ["ring", "line"]]}, {"dt": 0.05, "interval": 1.0}),
        ("frequency", {"rates": [[1.0, 2.0, 3.0], [1.0, 2.5, 3.0]], "phi": ["tanh", "linear"]}, {"n": 1}),
    ],
)
def test_every_point_is_the_run_that_simulate_gives(experiment, grid, fixed, tmp_path):
    dataset = astro_sim.sweep(experiment, grid, **fixed)
    assert_points_are_runs(dataset, experiment, grid, **fixed)
    astro_sim.write(dataset, tmp_path / "sweep.nc")
    stored = astro_sim.read(tmp_path / "sweep.nc")
    xr.testing.assert_identical(stored, dataset)
    assert_points_are_runs(stored, experiment, grid, **fixed)


def test_the_grid_stands_in_front_with_its_units():
    dataset = astro_sim.sweep("ltp", {"tau_p_l": "30:60:3", "seed": range(2)}, **FAST)
    assert dataset["p_l_cycle"].dims == ("tau_p_l", "seed", "cycle", "post", "pre")
    assert dataset["tau_p_l"].values.tolist() == [30.0, 45.0, 60.0]
    assert dataset["tau_p_l"].attrs == {"units": "s", "long_name": "time constant of the LTP process"}
    assert dataset["seed"].attrs["long_name"] == "seed of everything random"
    assert json.loads(dataset.attrs["sweep"]) == {"tau_p_l": [30.0, 45.0, 60.0], "seed": [0, 1]}
    assert "tau_p_l" not in settings_of(dataset)
    assert settings_of(dataset)["dt"] == 0.05
    assert (dataset["failure"] == "").all()


def test_values_come_in_many_forms():
    def values(name, given):
        return astro_sim.sweep("ltp", {name: given}, **FAST)[name].values.tolist()

    assert values("tau_p_l", "1:100:3:log") == pytest.approx([1, 10, 100], rel=1e-12)
    assert values("tau_p_l", np.array([2, 4])) == [2.0, 4.0]
    assert values("n", "1:2:2") == [1, 2]
    assert values("seed", "0:2:3") == [0, 1, 2]
    assert values("layout", ("ring", "grid")) == ["ring", "grid"]


@pytest.mark.filterwarnings("ignore:.* deprecated:DeprecationWarning")  # within Brian2, when it is first loaded
def test_values_may_carry_units():
    dataset = astro_sim.sweep("ltp", {"tau_p_l": ["500 ms", "2 s"]}, **FAST)
    assert dataset["tau_p_l"].values.tolist() == [0.5, 2.0]


def test_a_promised_number_that_is_swept_is_the_coordinate():
    dataset = astro_sim.sweep("ltp", {"tau_cycle": [5.0, 10.0]}, **FAST)
    assert dataset["tau_cycle"].dims == ("tau_cycle",)
    assert float(astro_sim.select(dataset, tau_cycle=5)["tau_cycle"]) == 5.0


def test_points_of_another_length_are_padded():
    dataset = astro_sim.sweep("ltp", {"cycles": [1, 3]}, dt=0.05, interval=1.0)
    assert dataset["cycle"].values.tolist() == [0, 1, 2, 3]
    assert dataset["held_cycle"].values.tolist() == [[0, 1, -1, -1], [0, 1, 2, 3]]
    assert np.isnan(dataset["p_l_cycle"].sel(cycles=1, cycle=[2, 3])).all()


def test_times_that_hardly_meet_are_joined_by_position():
    dataset = astro_sim.sweep("ltp", {"interval": [0.7, 0.6, 0.5, 0.43, 0.37]}, cycles=1, dt=0.05)
    longest = len(astro_sim.simulate("ltp", interval=0.37, cycles=1, dt=0.05)["time"])
    assert dataset.sizes["time"] == longest
    assert dataset["point_time"].dims == ("interval", "time")


def test_what_points_hold_besides_numbers_survives():
    one = xr.Dataset({"count": ("k", [1, 2]), "word": ("k", ["a", "b"]), "flag": ("k", [True, False])}, {"k": [3, 1]})
    two = xr.Dataset({"count": ("k", [7]), "word": ("k", ["c"]), "flag": ("k", [True]), "x": 0.5}, {"k": [2]})
    doubled = xr.Dataset({"count": ("k", [4, 5, 6])}, {"k": [1, 1, 2]})
    points = [one, None, two, doubled]
    joined = join(points, ("a", "b"), (2, 2))
    for place, point in zip(product(range(2), repeat=2), points, strict=True):
        if point is not None:
            xr.testing.assert_identical(take(joined, ("a", "b"), place), point)


def test_a_swept_preset_sets_what_it_sets(monkeypatch):
    class Preset(ltp.LtpSettings):
        preset: str | None = quantity(None, "1", "name of a preset", "test")

    presets = {"slow": {"tau_p_l": 90.0}, "weak": {"amplitude": 0.5}}
    variant = Variant(Preset, MacroParameters, ltp.run_macro, presets=presets)
    experiment = experiments.Experiment("of a test", {"macro": variant})
    named = replace(experiments.find("ltp"), experiment=experiment)
    monkeypatch.setattr(experiments, "find", lambda _: named)
    monkeypatch.setattr(joining, "find", lambda _: named)
    grid = {"preset": ["slow", "weak"]}
    dataset = astro_sim.sweep("ltp", grid, **FAST)
    assert not {"tau_p_l", "amplitude"} & set(settings_of(dataset))
    assert_points_are_runs(dataset, "ltp", grid, **FAST)


def test_a_point_can_be_fitted_and_the_sweep_cannot(tmp_path, monkeypatch):
    dataset = astro_sim.sweep("ltp", {"tau_p_l": [30.0, 60.0]}, cycles=12, dt=0.05)
    with pytest.raises(InputError, match="^dataset: a sweep; select one point first, for instance ") as caught:
        fit_laws([dataset])
    monkeypatch.chdir(tmp_path)
    told = str(caught.value).partition("in Python: ")[2].removesuffix(" keeps it for rmaat fit")
    names = {"astro_sim": astro_sim, "dataset": dataset}
    exec(told, names)  # what the message advises
    laws = fit_laws([astro_sim.read("one.nc")], draws=2)
    assert laws.document == fit_laws([astro_sim.simulate("ltp", tau_p_l=30, cycles=12, dt=0.05)], draws=2).document


# Failures


def test_a_point_that_fails_is_nan_with_its_message(tmp_path):
    grid = {"dt": [0.05, 1.0], "seed": [0, 1]}
    dataset = astro_sim.sweep("ltp", grid, cycles=1, interval=1.0, folder=tmp_path / "points")
    message = "dt: expected at most 0.109 s, where the solver turns unstable, got 1 s"
    assert dataset["failure"].values.tolist() == [["", ""], [message, message]]
    assert np.isnan(dataset["p_l"].sel(dt=1.0)).all()
    assert sweeps.failures(dataset)[0] == ({"dt": 1.0, "seed": 0}, message)
    astro_sim.write(dataset, tmp_path / "sweep.nc")
    xr.testing.assert_identical(astro_sim.read(tmp_path / "sweep.nc"), dataset)
    with pytest.raises(InputError, match="^select: this point failed: dt: expected at most"):
        astro_sim.select(dataset, dt=1.0, seed=0)
    again = astro_sim.sweep("ltp", grid, cycles=1, interval=1.0, folder=tmp_path / "points")
    xr.testing.assert_identical(again, dataset)


def test_when_every_point_fails_the_first_message_is_raised():
    with pytest.raises(sweeps.SweepError, match="^every point of the sweep failed; the first: dt: expected at most"):
        astro_sim.sweep("ltp", {"dt": [1.0, 2.0]}, cycles=1)


def test_any_exception_is_the_message_of_its_point(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("too\nmuch")

    monkeypatch.setattr(simulation, "simulate_many", fail)
    with pytest.raises(sweeps.SweepError, match="the first: MemoryError: too much$"):
        astro_sim.sweep("ltp", {"seed": [0, 1]}, **FAST)


@pytest.mark.parametrize("compiled", [("macro",), ()])
def test_warnings_come_once_a_kind(compiled, monkeypatch):
    monkeypatch.setattr(work, "COMPILED", compiled)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        astro_sim.sweep("ltp", {"gamma_s": [0.3, 0.4]}, workers=1, **FAST)
    assert [each.category for each in caught] == [LatchingWarning]
    assert "gamma_s = 0.3" in str(caught[0].message)
    assert caught[0].filename == __file__


# On disk


def test_nothing_runs_twice(tmp_path, ran, monkeypatch):
    monkeypatch.setattr(work, "CHUNK", 2)
    grid, folder = {"tau_p_l": "30:60:7"}, tmp_path / "points"
    whole = astro_sim.sweep("ltp", grid, folder=folder, **FAST)
    assert len(ran) == 7
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json", *(f"points-{first:07}.h5" for first in (0, 2, 4, 6)),
    ]  # fmt: skip
    xr.testing.assert_identical(astro_sim.sweep("ltp", grid, folder=folder, **FAST), whole)
    assert len(ran) == 7
    # A file that is damaged or half there counts as not there, and what another program left is left alone.
    damaged = folder / "points-0000002.h5"
    damaged.write_bytes(damaged.read_bytes()[:-50])
    (folder / "points-0000004.h5").write_bytes(b"")
    (folder / ".points-0000006.h5.tmp").write_bytes(b"half a file")
    again = astro_sim.sweep("ltp", grid, folder=folder, **FAST)
    assert [point["tau_p_l"] for point in ran[7:]] == [40.0, 45.0, 50.0, 55.0]
    assert written(again, tmp_path / "a.nc") == written(whole, tmp_path / "b.nc")


def test_a_sweep_that_was_killed_goes_on(tmp_path, ran):
    """SIGKILL in the middle of the third file: no handler runs, nothing is cleaned up."""
    code = """
import os, signal
import astro_sim
from astro_sim.sweeps import store, work
work.CHUNK = 2
write, count = store.write_bytes, 0
def killing(path, content):
    global count
    count += 1
    if count == 4:  # the manifest is the first
        path.with_name("." + path.name + ".half").write_bytes(bytes(content)[:100])
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
store.write_bytes = killing
astro_sim.sweep("ltp", {"tau_p_l": "30:60:7"}, folder="points", dt=0.05, interval=1.0, cycles=1)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -9
    kept = sorted(path.name for path in (tmp_path / "points").glob("[!.]*"))
    assert kept == ["manifest.json", "points-0000000.h5", "points-0000002.h5"]
    dataset = astro_sim.sweep("ltp", {"tau_p_l": "30:60:7"}, folder=tmp_path / "points", **FAST)
    assert [point["tau_p_l"] for point in ran] == [50.0, 55.0, 60.0]
    xr.testing.assert_identical(dataset, astro_sim.sweep("ltp", {"tau_p_l": "30:60:7"}, **FAST))


# Workers


@pytest.fixture
def killing(monkeypatch, tmp_path):
    """Workers that some points kill; gives how often each point was tried."""
    monkeypatch.setenv("SWEEP_TRACES", str(tmp_path))
    monkeypatch.setattr(work, "COMPILED", ())
    monkeypatch.setattr(pool, "_serve", sweep_workers.serve)
    monkeypatch.setattr(cluster, "_attempt", sweep_workers.attempt)
    return lambda: {path.name: len(path.read_text().split()) for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "where", [{"workers": 1}, pytest.param({"workers": 2}, marks=pytest.mark.slow), {"workers": 1, "client": "local"}]
)
def test_the_same_bytes_whoever_works(where, tmp_path, monkeypatch):
    grid = {"tau_p_l": [30.0, 60.0], "dt": [0.05, 1.0]}
    fixed = {"cycles": 2, "interval": 1.0}
    expected = written(astro_sim.sweep("ltp", grid, **fixed), tmp_path / "here.nc")
    monkeypatch.setattr(work, "COMPILED", ())
    assert written(astro_sim.sweep("ltp", grid, **where, **fixed), tmp_path / "there.nc") == expected


def test_the_same_bytes_in_whatever_order(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "CHUNK", 1)
    grid = {"n": [1, 2, 3], "cycles": [2, 1]}
    expected = written(astro_sim.sweep("ltp", grid, dt=0.05), tmp_path / "a.nc")
    forward = work.in_turn
    monkeypatch.setattr(work, "in_turn", lambda jobs: forward(jobs[::-1]))
    assert written(astro_sim.sweep("ltp", grid, folder=tmp_path / "p", dt=0.05), tmp_path / "b.nc") == expected
    assert written(astro_sim.sweep("ltp", grid, folder=tmp_path / "p", dt=0.05), tmp_path / "c.nc") == expected


@pytest.mark.parametrize("client", [None, pytest.param("local", marks=pytest.mark.slow)])
def test_a_worker_that_dies_loses_its_own_point_alone(client, killing, tmp_path, monkeypatch):
    grid = {"tau_p_l": [30.0, sweep_workers.KILLS, sweep_workers.KILLS_ONCE, 33.0]}
    folder = tmp_path / "points"
    dataset = astro_sim.sweep("ltp", grid, client=client, workers=1, folder=folder, **FAST)
    assert dataset["failure"].values.tolist() == ["", LOST, "", ""]
    assert killing() == {"30": 1, "31": 3, "32": 2, "33": 1}
    monkeypatch.undo()  # the next time the machine is sound: what was lost is tried again, and nothing else
    again = astro_sim.sweep("ltp", grid, folder=folder, **FAST)
    xr.testing.assert_identical(again, astro_sim.sweep("ltp", grid, **FAST))
    assert len(list(folder.glob("points-*"))) == 4


def test_a_cluster_that_has_lost_its_workers_is_not_waited_for(monkeypatch):
    """As where dask could not start another one in place of one that died."""
    from distributed import Client, LocalCluster

    monkeypatch.setattr("astro_sim.sweeps.cluster.ALONE", 1)
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as ours, Client(ours) as client:
        monkeypatch.setattr(client, "wait_for_workers", lambda *_, **__: None)
        with pytest.raises(InputError, match="^dask: no worker for 1 s; what was finished is kept"):
            astro_sim.sweep("ltp", {"tau_p_l": "30:60:3"}, client=client, **FAST)


def test_the_first_point_runs_alone(killing, tmp_path):
    astro_sim.sweep("ltp", {"tau_p_l": [41.0, 42.0, 43.0, 44.0]}, workers=2, **FAST)
    traces = sorted((path.stat().st_mtime_ns, path.name, path.read_text()) for path in tmp_path.iterdir())
    assert traces[0][1] == "41"
    assert len({pid for _, _, pid in traces}) == 2


def test_a_client_of_ones_own_runs_whole_chunks():
    from distributed import Client, LocalCluster

    grid = {"tau_p_l": "30:60:9"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as ours,
        Client(ours) as client,
    ):
        dataset = astro_sim.sweep("ltp", grid, client=client, **FAST)
        by_address = astro_sim.sweep("ltp", grid, client=client.scheduler.address, **FAST)
    xr.testing.assert_identical(dataset, astro_sim.sweep("ltp", grid, **FAST))
    xr.testing.assert_identical(by_address, dataset)


def test_workers_do_not_run_the_callers_script_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\nimport astro_sim\nfrom astro_sim.sweeps import work\nwork.COMPILED = ()\n"
        "astro_sim.sweep('ltp', {'seed': [0, 1]}, workers=2, cycles=1, dt=0.05)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")
