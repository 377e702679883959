"""Sliders over a sweep: what the page looks up is what the bridge says of every point."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import analysis
import astro_sim
import bridge
from analysis.collect import Dataset, Inputs, collect
from analysis.curves import TOTALS
from analysis.report.explorer import COMMAND, MOST_POINTS, explore
from analysis.report.page import render
from analysis.report.parts import Explorer, Section, Table
from rmaat.__main__ import main

GRID = {"tau_p_l": [30.0, 60.0, 90.0], "coupling": [0.1, 0.5]}


@pytest.fixture(scope="module")
def sweep() -> xr.Dataset:
    return astro_sim.sweep("ltp", GRID, cycles=12, burn_in=3, interval=1.0, ltp_dynamics="bounded")


def parts(*datasets: xr.Dataset, laws=()) -> list:
    return explore(Inputs(sweeps=[Dataset(Path("sweep.nc"), data) for data in datasets], laws=list(laws)))


def test_every_point_is_there_in_the_order_of_the_sliders(sweep):
    explorer, table = parts(sweep)
    assert isinstance(explorer, Explorer)
    assert [slider.title for slider in explorer.sliders] == [
        "tau_p_l: time constant of the LTP process",
        "coupling: strength of the coupling between STP processes (largest row sum of its matrix)",
    ]  # fmt: skip
    assert [slider.texts for slider in explorer.sliders] == [["30 s", "60 s", "90 s"], ["0.1", "0.5"]]
    assert [slider.start for slider in explorer.sliders] == [1, 1]
    data = json.loads(explorer.data)
    assert data["sizes"] == [3, 2]
    laws = bridge.fit_sweep(sweep)
    assert len(data["points"]) == len(laws) == 6
    for point, law in zip(data["points"], laws, strict=True):
        np.testing.assert_allclose(point["samples"], law.curve.levels, rtol=1e-4)  # five digits are kept
        np.testing.assert_allclose(point["law"], law.level(np.array(data["cycles"])), rtol=1e-4)
        for factor, total in zip(point["factors"], TOTALS, strict=True):
            np.testing.assert_allclose(factor, law.retention(total), rtol=1e-4)
        assert f"tau = {law.fit.values['tau']:.3g} cycles" in point["words"]
    start = data["points"][3]  # the middle of both
    assert explorer.words == start["words"]
    assert [row[1:] for row in explorer.rows] == start["table"]
    np.testing.assert_allclose(explorer.curve.figure.data[0].y, start["samples"], rtol=1e-6)
    assert [len(row) for row in table.rows] == [6] * 6
    assert table.sortable


def test_what_is_fixed_and_unusual_stands_beside_the_sliders_and_over_the_table(sweep):
    """A bounded sweep has another tau than the linear run beside it, at the same sliders."""
    beside = Dataset(Path("ltp.nc"), astro_sim.simulate("ltp", cycles=12, burn_in=3))
    explorer, table = explore(Inputs(datasets=[beside], sweeps=[Dataset(Path("sweep.nc"), sweep)]))
    assert explorer.fixed == (
        "Fixed in this sweep, and not as by default: cycles = 12 (default 6), burn_in = 3 (default 0), interval = 1 s "
        "(default 0.1 s), ltp_dynamics = bounded (default linear). Otherwise in ltp.nc: interval = 0.1 s, ltp_dynamics "
        "= linear; its law need not be one of these."
    )
    assert table.caption == f"sweep.nc: exponential law at the points of the sweep. {explorer.fixed}"
    page = render([Section("explore", "Explore", [explorer])], "one")
    assert f"</fieldset>\n<p>{explorer.fixed}</p>" in page
    plain = parts(astro_sim.sweep("ltp", {"tau_p_l": [30.0, 60.0]}))
    assert plain[0].fixed == ""
    assert "<p></p>" not in render([Section("explore", "Explore", plain)], "one")


def test_every_point_has_its_row():
    """A table with holes cannot be read along one setting."""
    runs = astro_sim.sweep("ltp", {"tau_p_l": "30:120:10", "coupling": "0.1:0.9:6"}, interval=1.0)
    _, table = parts(runs)
    assert [row[:2] for row in table.rows[:7]] == [["30", each] for each in ("0.1", "0.26", "0.42", "0.58", "0.74",
                                                                          "0.9")] + [["40", "0.1"]]  # fmt: skip
    assert len(table.rows) == 60
    assert table.tall
    assert table.columns[2] == "tau (cycles)"


def test_the_family_is_that_of_the_laws_beside_it(sweep, tmp_path):
    bridge.fit_laws([astro_sim.simulate("ltp", cycles=12)], family="hill", draws=0).save(tmp_path / "laws.json")
    explorer, table = parts(sweep, laws=collect([tmp_path / "laws.json"]).laws)
    assert explorer.words.startswith("Hill law with K = ")
    assert table.columns[2:4] == ["K (cycles)", "n"]


def test_a_point_that_failed_says_so_and_is_no_place_to_begin():
    runs = astro_sim.sweep("ltp", {"dt": [0.005, 1.0]}, cycles=6, interval=1.0, method="euler")
    explorer, table = parts(runs)
    sound, failed = json.loads(explorer.data)["points"]
    assert failed["samples"] == []
    assert failed["words"].startswith("No law at this point: ")
    assert failed["table"][0] == ["–"] * 3
    assert explorer.words == sound["words"]
    assert [slider.start for slider in explorer.sliders] == [0]
    assert "1 of 2 points have none" in table.caption


def test_what_cannot_be_explored_is_told(sweep):
    assert parts() == []
    note, drawn, inventory = parts(astro_sim.sweep("spatial", {"coupling": [0.1, 0.5]}))
    assert note.text.startswith("sweep.nc: a sweep of spatial, over which the report has no sliders; every variable ")
    assert isinstance(inventory, Table)
    assert drawn.plots[0].caption.startswith("input_post, input to the postsynaptic neurons, against time: mean (line)")
    many = sweep.isel(tau_p_l=np.zeros(MOST_POINTS, dtype=int)).assign_coords(tau_p_l=np.arange(MOST_POINTS) + 1.0)
    many.attrs["sweep"] = json.dumps({"tau_p_l": many["tau_p_l"].values.tolist(), "coupling": [0.1, 0.5]})
    (note,) = parts(many)
    assert note.text == f"sweep.nc: {2 * MOST_POINTS} points are too many to explore; expected at most {MOST_POINTS}."
    flat = sweep.assign(p_l_cycle=0.0 * sweep["p_l_cycle"])
    (note,) = parts(flat)
    assert note.text.startswith("sweep.nc: no point of this sweep has a law: p_l_cycle: expected a curve that rises")


def test_the_command_that_it_names_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = COMMAND.removeprefix("rmaat ").replace("30,45,60,90,120", "30,60").replace("5,10,15,20", "10").split()
    assert main(words) == 0
    explorer, _ = explore(collect(["sweep.nc"]))
    assert [len(slider.texts) for slider in explorer.sliders] == [2, 3, 1]


def test_the_page_holds_it_and_says_how_the_sweep_was_made(sweep, tmp_path):
    astro_sim.write(sweep, tmp_path / "sweep.nc")
    analysis.build_report([tmp_path / "sweep.nc"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('<input type="range"') == 2
    (data,) = re.findall('<script type="application/json">(.*?)</script>', page)
    assert len(json.loads(data)["points"]) == 6
    assert "--sweep tau_p_l=30.0,60.0,90.0 --sweep coupling=0.1,0.5" in page


def test_the_law_is_solid_as_far_as_the_chosen_point_was_simulated():
    """Of points of 6 and 12 cycles; the page's script draws it so too."""
    runs = astro_sim.sweep("ltp", {"cycles": [6, 12, 24]}, interval=1.0)
    figure = parts(runs)[0].curve.figure
    assert [float(trace.x.max()) for trace in figure.data] == [12.0, 12.0, 48.0]
    assert float(figure.data[2].x.min()) == 12.0


def test_repetitions_alone_have_no_sliders():
    (note,) = parts(astro_sim.sweep("ltp", {"seed": [0, 1]}, cycles=12, interval=1.0))
    assert note.text.startswith("sweep.nc: repetitions of one point, averaged. Exponential law with tau = ")


def test_repetitions_do_not_count_and_long_curves_stay_small(monkeypatch):
    runs = astro_sim.sweep("ltp", {"seed": [0, 1], "tau_p_l": [30, 60]}, cycles=50, interval=1.0)
    monkeypatch.setattr("analysis.report.explorer.MOST_POINTS", 2)
    monkeypatch.setattr("analysis.report.explorer.MOST_NUMBERS", 400)
    explorer, _ = parts(runs)
    assert len(json.loads(explorer.data)["cycles"]) == 2 * 50 * 2 + 1
