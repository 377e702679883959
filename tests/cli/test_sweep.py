"""`rmaat simulate --sweep`: one file, a summary, and the same command goes on after an interruption."""

import errno
import os
from pathlib import Path

import pytest
import xarray as xr

import astro_sim
from astro_sim import simulation
from astro_sim.sweeps import work
from rmaat.__main__ import main

FAST = ["--set", "dt=0.05", "--set", "interval=1.0", "--set", "cycles=1"]
SWEEP = ["simulate", "ltp", "--out", "X.nc", "--sweep", "tau_p_l=30:60:4", *FAST]


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "CHUNK", 1)


def here():
    return sorted(path.name for path in Path().iterdir())


def test_a_sweep_is_one_file(capsys):
    assert main([*SWEEP, "--sweep", "seed=0,1", "--sweep", "layout=['ring', 'grid']"]) == 0
    assert here() == ["X.nc"]
    out, err = capsys.readouterr()
    assert out == (
        "X.nc: ltp experiment, macro model, sweep of tau_p_l, seed, layout "
        "(tau_p_l 4 x seed 2 x layout 2 = 16 points, 0 failed)\n"
    )
    assert err == ""
    grid = {"tau_p_l": "30:60:4", "seed": [0, 1], "layout": ["ring", "grid"]}
    expected = astro_sim.sweep("ltp", grid, dt=0.05, interval=1.0, cycles=1)
    xr.testing.assert_identical(astro_sim.read("X.nc"), expected)


@pytest.mark.slow
def test_workers_of_a_dask_cluster_write_the_same_bytes():
    assert main(SWEEP) == 0
    expected = Path("X.nc").read_bytes()
    assert main([*SWEEP, "--dask", "local", "--workers", "1"]) == 0
    assert Path("X.nc").read_bytes() == expected


def test_failed_points_are_named_ten_at_most(capsys):
    words = ["simulate", "ltp", "--out", "X.nc", "--set", "cycles=1", "--set", "interval=1.0"]
    assert main([*words, "--sweep", "dt=0.05,1", "--sweep", "seed=0:11:12"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first.endswith("(dt 2 x seed 12 = 24 points, 12 failed)")
    message = "dt: expected at most 0.109 s, where the solver turns unstable, got 1 s"
    assert lines == [f"  failed: dt 1.0, seed {seed}: {message}" for seed in range(10)]
    assert last == "  and 2 more; their messages are in the variable 'failure'"


def test_an_interrupted_sweep_goes_on(monkeypatch, capsys):
    ran = []
    many = simulation.simulate_many

    def interrupted(experiment, points, *rest):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.extend(point["tau_p_l"] for point in points)
        return many(experiment, points, *rest)

    monkeypatch.setattr(simulation, "simulate_many", interrupted)
    assert main(SWEEP) == 130
    assert here() == ["X.nc.points"]
    assert capsys.readouterr() == ("", "rmaat: interrupted; the same command goes on from X.nc.points\n")
    monkeypatch.setattr(simulation, "simulate_many", lambda *given: ran.append("again") or many(*given))
    assert main(SWEEP) == 0
    assert ran == [30.0, 40.0, "again", "again"]
    assert here() == ["X.nc"]
    resumed = Path("X.nc").read_bytes()
    assert main(SWEEP) == 0
    assert Path("X.nc").read_bytes() == resumed


def test_an_interrupt_before_the_first_point_leaves_nothing(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "simulate_many", interrupt)
    assert main(SWEEP) == 130
    assert here() == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("when", ["points", "result"])
def test_a_full_disk_is_one_line_and_no_half_file(when, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if when == "points":
            patch.setattr(os, "fsync", full)
        else:  # points have other endings
            write = Path.write_bytes
            patch.setattr(Path, "write_bytes", lambda path, raw: full() if path.suffix == ".nc" else write(path, raw))
        assert main(SWEEP) == 2
    where = "X.nc" if when == "result" else "X.nc.points/manifest.json"
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.endswith(f"{where}: No space left on device\n")
    assert here() == ([] if when == "points" else ["X.nc.points"])  # no point, nothing to go on from
    assert not list(Path("X.nc.points").glob(".*"))
    assert main(SWEEP) == 0
    assert here() == ["X.nc"]


def test_points_of_another_sweep_are_not_touched(capsys):
    astro_sim.sweep("ltp", {"tau_s": [1.0]}, folder="X.nc.points", dt=0.05)
    before = {path: path.read_bytes() for path in Path("X.nc.points").iterdir()}
    assert main(SWEEP) == 2
    assert "X.nc.points: holds points of another sweep" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("X.nc.points").iterdir()} == before


def test_the_fit_wants_one_point(capsys):
    assert main(SWEEP) == 0
    capsys.readouterr()
    assert main(["fit", "X.nc", "--out", "laws.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert ": a sweep; select one point first, for instance in Python: run = astro_sim.select(dataset, tau_p_l" in err
    assert err.endswith("; astro_sim.write(run, 'one.nc') keeps it for rmaat fit\n")
    assert here() == ["X.nc"]


@pytest.mark.biology
@pytest.mark.parametrize("where", [["--workers", "2"], ["--dask", "local", "--workers", "1"]])
def test_a_model_on_brian2_is_swept_in_processes(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["simulate", "calcium", "--out", "x.nc", "--set", "duration=0.5", "--set", "target=numpy"]
    words += ["--sweep", "O_P=0.8,0.9"]
    assert main([*words, *where]) == 0
    swept = astro_sim.read("x.nc")
    one = astro_sim.simulate("calcium", duration=0.5, O_P=0.8, target="numpy")
    xr.testing.assert_identical(astro_sim.select(swept, O_P=0.8), one)


@pytest.mark.biology
def test_a_failed_point_of_a_swept_choice_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["simulate", "stp", "--model", "biophysical", "--out", "x.nc"]
    words += ["--set", "start=0.1", "--set", "intervals=[0.05]", "--set", "target=numpy", "--workers", "1"]
    assert main([*words, "--sweep", 'knockouts=["calcium"],["receptors"]']) == 0
    told = capsys.readouterr().out
    assert "(knockouts 2 = 2 points, 1 failed)" in told
    assert "knockouts: stp with modulation none, weak, strong has no receptors to block" in told
