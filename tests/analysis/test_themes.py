"""How the report shows every experiment: what is drawn, what the tables say, and what it does without the optional."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import astro_sim
from analysis import build_report, figures
from analysis.collect import Dataset, Inputs
from analysis.report import experiments, tables
from analysis.report import plots as drawing
from analysis.report.experiments import plasticity, themes
from analysis.report.page import sections
from analysis.report.parts import Plot, Plots, Table, Text
from astro_sim.experiments import NAMES, find
from bridge.laws import Laws
from tests.analysis.handmade import (
    MAKERS,
    an,
    calcium,
    frequency,
    gliotransmission,
    ltp,
    network,
    scan,
    spatial,
    stdp,
    waves,
)


@pytest.fixture(scope="module")
def stp() -> xr.Dataset:
    return astro_sim.simulate(
        "stp", "biophysical", start=3.0, intervals=(0.05, 0.2), modulations=("none", "strong"), target="numpy"
    )


@pytest.fixture(scope="module")
def recall() -> xr.Dataset:
    return astro_sim.simulate("associative", patterns=(1, 3), corruption=(0.0, 0.25), cues=3)


def parts_of(data: xr.Dataset) -> list[Any]:
    return list(themes()[data.attrs["experiment"], data.attrs["model"]].parts(data, None))


def sentence(data: xr.Dataset) -> str | None:
    return experiments.sentence(Dataset(Path("in.nc"), data))


def plots(parts: list[Any]) -> list[Plot]:
    found = [part.plots if isinstance(part, Plots) else [part] for part in parts if isinstance(part, Plot | Plots)]
    return [plot for group in found for plot in group]


def rows(parts: list[Any], which: int = 0) -> list[list[str]]:
    """A table with its columns as the first row."""
    table = [part for part in parts if isinstance(part, Table)][which]
    return [list(table.columns), *(list(row) for row in table.rows)]


def numbers(text: str | None) -> list[str]:
    """Numbers of a sentence, in order."""
    return re.findall(r"(?<![\w.])−?\d+(?:\.\d+)?", text or "")


def traces(plot: Plot) -> dict[str, Any]:
    """Name -> the first trace of that name."""
    return {trace.name: trace for trace in reversed(plot.figure.data)}


def test_every_view_is_of_an_experiment_that_exists() -> None:
    assert set(themes()) <= {(name, model) for name in NAMES for model in find(name).promised}


def test_traces_and_events_of_calcium() -> None:
    parts = parts_of(calcium())
    (plot,) = plots(parts)
    assert sorted(traces(plot)) == ["0.2 Hz", "0.5 Hz"]
    np.testing.assert_allclose(traces(plot)["0.5 Hz"].y, calcium()["C"].values[:, 1], rtol=1e-6)
    assert numbers(plot.caption) == ["0.6"]  # the peak, which the caption tells
    assert rows(parts)[0] == [
        *("rate of spikes (Hz)", "highest C (µM)", "events", "mean interval (s)", "CV of intervals"),
    ]
    assert rows(parts)[2][2:] == ["–", "–", "–"]


def test_events_say_their_threshold_and_what_is_measured() -> None:
    """A peak of all calcium and a mean over events are not the same number; each experiment has its own threshold."""
    data = calcium().assign({f"event_{name}": ("level", [0.5, 0.6]) for name in ("peak", "above", "latency")})
    for setting, where in (("C_event", 0.5), ("threshold", 0.3), ("C_Theta", 0.2)):
        data.attrs["settings"] = json.dumps({setting: where})
        (table,) = [part for part in parts_of(data) if isinstance(part, Table)]
        assert (
            f"(an event begins where C crosses the threshold of {where} µM upwards and ends where it" in table.caption
        )
    assert "peak, height above the lowest C since the event before and duration are means over whole" in table.caption
    assert "first event after: from the onset of the stimulus" in table.caption
    assert {"highest C (µM)", "mean event peak", "share of time above threshold", "first event after"} <= {
        column.replace(" (µM)", "") if column.startswith("mean event") else column for column in table.columns
    }
    assert tables.event_words(stdp()) == ""
    assert "an event begins where C crosses the threshold upwards" in rows_captions(parts_of(waves()))


def rows_captions(parts: list[Any]) -> str:
    return " ".join(part.caption for part in parts if isinstance(part, Table))


def test_what_each_dataset_shows_in_a_sentence(datasets: dict[str, xr.Dataset]) -> None:
    assert numbers(sentence(scan())) == ["0.4", "0.5", "0.3", "0.5"]
    assert numbers(sentence(calcium())) == ["0.6", "2"]
    assert numbers(sentence(calcium().isel(level=[1]))) == ["0.6"]
    assert numbers(sentence(waves())) == ["7", "11", "0.5"]
    assert numbers(sentence(gliotransmission())) == ["−50"]
    assert numbers(sentence(ltp())) == ["3", "0", "0.7"]
    assert sentence(datasets["frequency"]) is None  # a law's number, which the law tells


@pytest.mark.parametrize(
    ("curve", "end", "last", "verdict"),
    [
        (lambda t: t**2, "36", ["100"], ""),
        (lambda t: 0.01 * t, "0.06", ["100"], ""),
        (lambda t: 1 - 0.8**t, "0.738", ["33"], "slows down"),
        (lambda t: 1 - 0.5**t, "0.984", ["3"], "saturates"),
        (lambda t: -t, "−6", [], ""),
    ],
)
def test_a_curve_saturates_only_where_it_does(curve, end, last, verdict, datasets: dict[str, xr.Dataset]) -> None:
    data = datasets["ltp"]
    told = sentence(data.assign(p_l_cycle=data["p_l_cycle"] * 0 + curve(data["cycle"].astype(float))))
    assert numbers(told) == ["6", "0", end, *last]
    assert [word for word in ("slows down", "saturates") if word in (told or "")] == ([verdict] if verdict else [])


def test_calcium_that_does_not_fall_is_not_back(datasets: dict[str, xr.Dataset]) -> None:
    data = datasets["stp"]
    held, back = sentence(data.assign(p_s=data["p_s"] * 0 + 0.3)), sentence(data)
    assert numbers(held)[:2] == ["0.3", "0.3"]
    assert numbers(back)[1] == "0.032"
    assert ("is back" in (held or ""), "is back" in (back or "")) == (False, True)


def test_a_scan_is_a_bifurcation_diagram() -> None:
    parts = parts_of(scan())
    (plot,) = plots(parts)
    marks = [trace for trace in plot.figure.data if trace.name == "up: lowest and highest"]
    np.testing.assert_allclose(marks[1].y, [0.1, 0.4, 0.5, 0.1], rtol=1e-6)
    assert "Sustained oscillation: up, 0.4 to 0.5 µM; down, 0.3 to 0.5 µM." in plot.caption
    assert rows(parts)[1] == ["up", "0.4", "0.5", "0.35 (0.3 to 0.4)", "10"]
    assert rows(parts, 1)[1] == ["0.3", "0.1", "0.1", "–", "0.1", "0.3", "10"]


def test_a_scan_without_oscillation() -> None:
    still = scan().assign(
        oscillation_from=("direction", [np.nan] * 2),
        period=(("direction", "level"), np.full((2, 4), np.nan)),
    )
    assert "Sustained oscillation: up, none; down, none." in plots(parts_of(still))[0].caption


def test_paired_pulses(stp: xr.Dataset) -> None:
    parts = parts_of(stp)
    ratio, states = plots(parts)
    np.testing.assert_allclose(traces(ratio)["strong"].y, stp["paired_pulse_ratio"].sel(modulation="strong"), rtol=1e-6)
    np.testing.assert_allclose(traces(ratio)["strong"].x, [0.05, 0.2])
    assert "first test spike, 3 s" in states.caption
    assert rows(parts)[0][:2] == ["modulation", "first to last spike (s)"]
    first = stp["r_S"].sel(modulation="none").values[0, 0]
    assert rows(parts)[1][:3] == ["none", "0.05", f"{first:.4g}"]


def test_release_at_every_spike_of_a_longer_train(stp: xr.Dataset) -> None:
    train = stp.isel(train=[0, 1]).isel(train=slice(0, 1))
    plot = plots(parts_of(train))[0]
    np.testing.assert_allclose(traces(plot)["none"].y, train["r_S"].sel(modulation="none").values[0], rtol=1e-6)
    assert "each of 2 test spikes" in plot.caption


def test_release_against_rate() -> None:
    parts = parts_of(gliotransmission())
    (plot,) = plots(parts)
    assert "U₀* = 0.5, α = 0" in plot.caption
    assert plot.figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(traces(plot)["open"].y, 0.25, rtol=1e-6)
    assert rows(parts)[0][:4] == ["modulation", "rate (Hz)", "release a spike", "release rate (Hz)"]
    assert rows(parts)[6][:4] == ["open", "4", "0.25", "1"]


def test_maps_over_alpha_and_resting_release() -> None:
    """alpha = U_0* is where gliotransmission changes nothing (De Pitta et al. 2011)."""
    parts = parts_of(gliotransmission((0.2, 0.4, 0.8), (0.0, 0.4)))
    effect = plots(parts)[2]
    np.testing.assert_allclose(effect.figure.data[0].z, [[-1, np.log2(1.5)], [-1, 0], [-1, np.log2(0.75)]], atol=1e-6)
    assert effect.figure.data[0].zmin == -effect.figure.data[0].zmax
    assert effect.caption.startswith("open over none: release a spike, log₂")
    assert rows(parts)[2] == ["0.4", "−1", "0"]


def test_cycles_with_their_band_and_increments() -> None:
    parts = parts_of(ltp())
    curve, over_time = plots(parts)
    np.testing.assert_allclose(traces(curve)["mean over synapses and repetitions"].y, [0, 0.4, 0.6, 0.7], atol=1e-6)
    band = traces(curve)["mean over synapses and repetitions, range"].y
    assert (band.max(), band.min()) == pytest.approx((0.79, 0.0))  # 5 and 95 % of 21 evenly spread over 0.2
    assert "Γ_S" in over_time.caption
    assert rows(parts)[0] == ["cycle", "pˡ", "5 %", "95 %", "δ", "δ / Σδ", "release a spike"]
    assert rows(parts)[2] == ["1", "0.4 (0.3 to 0.5)", "0.31", "0.49", "0.4", "0.5714", "0.5"]
    assert any(isinstance(part, Text) and "6 releases of gliotransmitter a synapse" in part.text for part in parts)


def test_spike_pairs() -> None:
    parts = parts_of(stdp())
    (plot,) = plots(parts)
    drawn = traces(plot)["mean over repetitions"]
    np.testing.assert_allclose((drawn.x, drawn.y), ([-10, 20], [0.85, 1.3]), rtol=1e-6)
    assert "from 0.85 at −10 ms to 1.3 at 20 ms" in plot.caption
    assert rows(parts)[1] == ["−0.01", "0.85 (0.8 to 0.9)"]


def test_curves_of_both_models_side_by_side(datasets: dict[str, xr.Dataset]) -> None:
    """A curve that is the other one scaled has the same shares."""
    macro = datasets["ltp"]
    scaled = ltp(3.0 * macro["p_l_cycle"].mean(("post", "pre")).values)
    found = [Dataset(Path("a.nc"), macro), Dataset(Path("b.nc"), scaled), Dataset(Path("c.nc"), stdp())]
    _, plot, table = plasticity.side_by_side(found)
    one, other, *steps = plot.figure.data[::2] + plot.figure.data[1::2]
    np.testing.assert_allclose(one.y, other.y, atol=1e-6)
    assert (one.name, other.name) == ("macro, a.nc", "biophysical, b.nc")
    assert all(sum(each.y) == pytest.approx(1.0, abs=1e-6) for each in steps)
    assert "first T = 6 cycles" in plot.caption
    assert [row[1] for row in table.rows] == ["macro", "biophysical"]
    assert plasticity.side_by_side(found[:1]) == []
    level = Dataset(Path("level.nc"), ltp([0.0, 0.0, 0.0]))
    _, note, *_ = plasticity.side_by_side([*found, level])
    assert note.text == "level.nc: pˡ ends where it began, so it has no normalised curve."


def test_a_wave_with_its_front() -> None:
    parts = parts_of(waves())
    field, front = plots(parts)
    assert traces(field)["onset"].x.tolist() == [7, 5, 3, 1, 3, 5, 7]
    assert traces(field)["onset"].y.tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert "the front reaches 7 of 11 cells, the last at 7 s" in field.caption
    line = traces(front)["0.5 cells a second"]
    np.testing.assert_allclose((line.x, line.y), ([1, 3], [3, 7]))
    assert ["front speed (cells a second)", "0.5"] in rows(parts)
    assert rows(parts, 1)[1:] == [["0", "1", "1"], ["1", "3", "3"], ["2", "5", "5"], ["3", "7", "7"]]


@pytest.mark.parametrize(("end", "spreads"), [(8.0, True), (9.4, True), (9.7, False), (20.0, False)])
def test_a_wave_that_the_end_of_the_run_cuts_off_is_no_measure_of_its_reach(end: float, spreads: bool) -> None:
    """The last of 7 cells is reached at 7 s, one every 2 s."""
    data = waves().sel(time=slice(0.0, end + 0.01))
    assert numbers(sentence(data)) == ["7", "11", *([f"{end:g}"] if spreads else []), "0.5"]
    assert ("no measure of its reach" in plots(parts_of(data))[0].caption) == spreads
    everyone = data.isel(cell=slice(2, 9))  # nobody is left to be reached
    assert numbers(sentence(everyone)) == ["7", "7", "0.5"]


def test_cells_of_a_graph_are_sorted_by_distance() -> None:
    (field, _) = plots(parts_of(waves("grid")))
    assert traces(field)["onset"].x.tolist() == [1, 3, 3, 5, 5, 7, 7]
    assert "Cells are sorted by gap junctions" in field.caption


def test_a_wave_that_reaches_nobody() -> None:
    still = waves().assign(onset=("cell", np.full(11, np.nan)), recruited=("cell", np.zeros(11)), speed=((), np.nan))
    parts = parts_of(still)
    assert len(plots(parts)) == 1
    assert ["front speed (cells a second)", "–"] in rows(parts)


def test_response_in_space() -> None:
    parts = parts_of(spatial())
    (plot,) = plots(parts)
    assert "IP₃ 2 where driven" in plot.caption
    assert "(1 processes not above rest are left out)" in plot.caption
    assert rows(parts)[1:3] == [["0", "1", "2", "1"], ["1", "4", "0.7358", "0.3679"]]


def test_calcium_against_rate() -> None:
    parts = parts_of(frequency())
    (plot,) = plots(parts)
    np.testing.assert_allclose(traces(plot)["peak"].y, 0.2 * np.sqrt([1, 10, 50]), rtol=1e-6)
    assert rows(parts)[1] == ["1", "0.1 (0.09 to 0.11)", "0.2 (0.18 to 0.22)", "0.1 (0.09 to 0.11)"]


def test_self_repair_tells_the_synapses_that_fail_from_the_others() -> None:
    parts = parts_of(an())
    (plot,) = plots(parts)
    drawn = traces(plot)
    assert drawn["neuron 1, synapses that fail"].y[-1] == 0.0
    assert drawn["neuron 1, synapses that stay"].y[-1] == pytest.approx(0.4)
    assert "neuron 0, synapses that fail" not in drawn
    assert "dotted: synapses of the last neuron fail, 10 s" in plot.caption
    assert "neuron 1 12 Hz before and 6 Hz after; recovery of the last 0.5" in plot.caption
    assert rows(parts)[4][:4] == ["1", "failed", "6", "–"]
    assert rows(parts, 1)[2] == ["1", "0.5"]
    assert rows(parts, 2)[1:] == [["healthy", "80", "3"], ["failed", "120", "4"]]


def test_network_raster_rates_and_astrocytes() -> None:
    data = network()
    raster, rates, astrocytes = plots(parts_of(data))
    assert {trace.name: len(trace.x) for trace in raster.figure.data} == {
        "excitatory": int((data["spike_neuron"] < 40).sum()),
        "inhibitory": int((data["spike_neuron"] >= 40).sum()),
    }
    assert traces(rates)["excitatory"].y.tolist() == [5, 7, 7]
    assert "×1.2" in [note.text.strip() for note in rates.figure.layout.annotations]
    assert "0 releases of gliotransmitter" in astrocytes.caption
    assert rows(parts_of(data))[2] == ["excitatory", "10", "1.2", "7", "–"]


def test_many_spikes_are_drawn_as_rates_that_leave_none_out() -> None:
    (raster, *_) = plots(parts_of(network(60_000)))
    rates = raster.figure.data[0].z
    assert rates.shape == (50, 400)
    assert float(rates.sum()) * 0.05 == pytest.approx(60_000, rel=1e-5)  # bins of 0.05 s
    assert "rate of 50 groups of neurons in 400 bins of 50 ms" in raster.caption


def test_recall_and_energy(recall: xr.Dataset) -> None:
    parts = parts_of(recall)
    overlap, energy = plots(parts)
    np.testing.assert_allclose(traces(overlap)["3 patterns"].y, recall["overlap"].values[1].mean(-1), rtol=1e-6)
    np.testing.assert_allclose(traces(overlap)["the cue itself"].y, recall["overlap_cue"])
    assert "it never rises between samples" in energy.caption
    assert rows(parts)[0] == ["stored patterns", "0 % flipped", "25 % flipped"]


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_not_promised_may_be_absent(name: str) -> None:
    data = MAKERS[name]()
    promised = find(str(data.attrs["experiment"])).promised[str(data.attrs["model"])]
    bare = data.drop_vars([each for each in data.data_vars if each not in promised])
    bare.attrs["settings"] = "{}"
    found = parts_of(bare)
    assert plots(found) or rows(found)


def test_a_sections_order_is_that_of_the_table(stp: xr.Dataset) -> None:
    inputs = Inputs(
        [Dataset(Path(f"{index}.nc"), data) for index, data in enumerate([waves(), stp, gliotransmission()])]
    )
    told = [part.text for part in experiments.parts("stp", inputs) if part.kind == "heading"]
    assert told[:2] == ["Test spikes after gliotransmission", "Release and gliotransmission"]
    assert "One stimulation cycle, by layout" not in told  # an stp dataset is there, so none is missing
    assert [part.text for part in experiments.parts("astrocytes", inputs) if part.kind == "heading"] == [
        "Calcium waves"
    ]


def test_an_experiment_without_a_view_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(themes(), ("waves", "biophysical"))
    inputs = Inputs([Dataset(Path("waves.nc"), waves())])
    section = next(section for section in sections(inputs) if section.anchor == "others")
    (table,) = [part for part in section.parts if isinstance(part, Table)]
    listed = {row[0]: row[1:] for row in table.rows}
    assert listed["C"] == ["time 201 × cell 11", "uM", "0.1", *listed["C"][3:5], "cytosolic calcium"]
    assert listed["reach"][:4] == ["–", "1", "6", "6"]


def test_the_whole_page(stp: xr.Dataset, recall: xr.Dataset, datasets: dict[str, xr.Dataset], tmp_path: Path) -> None:
    for name, data in {**{key: make() for key, make in MAKERS.items()}, "stp": stp, "recall": recall}.items():
        astro_sim.write(data, tmp_path / "in" / f"{name}.nc")
    for name, data in datasets.items():
        astro_sim.write(data, tmp_path / "in" / f"{name}_macro.nc")
    build_report([tmp_path / "in"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 8_000_000
    for view in themes().values():
        assert page.count(f"<h3>{view.heading}</h3>") == 1
    assert "<h3>Curves side by side</h3>" in page
    assert "&lt;" not in re.sub("<script.*?</script>", "", page, flags=re.S)
    captions = re.findall("<figcaption id=[^>]*>([^<]*)<", page)
    assert all(len(caption) > 30 and "nan" not in caption.split() for caption in captions)


def test_figures_for_print_pass_over_other_models(stp: xr.Dataset, laws: Laws, tmp_path: Path) -> None:
    figures.save(figures.overview([stp, ltp()], laws), tmp_path / "bare.svg")
    assert "no stp or ltp dataset given" in (tmp_path / "bare.svg").read_text()


def test_heat_maps_keep_short_events_and_stay_small() -> None:
    z = np.zeros((1000, 5000))
    z[123, 4567] = 1.0
    x, y, small = drawing.coarse(np.arange(5000), np.arange(1000), z)
    assert small.shape == (len(y), len(x)) == drawing.MOST_CELLS
    assert small.max() == 1.0
    row, column = np.unravel_index(small.argmax(), small.shape)
    assert y[row] <= 123 < y[row + 1]
    assert x[column] <= 4567 < x[column + 1]


def test_cells_of_tables() -> None:
    assert tables.cell([1.0, 1.0, np.nan]) == "1"
    assert tables.cell([1.0, 3.0]) == "2 (1 to 3)"
    assert tables.cell([np.nan]) == "–"
    data = xr.Dataset({"x": (("a", "b"), np.arange(200.0).reshape(100, 2))})
    (table,) = tables.measured(data, {"x": "x", "absent": "y"}, {"a": "a"}, "caption")
    assert len(table.rows) == tables.MOST_ROWS
    assert table.caption == "caption; mean (lowest to highest) over every b; 48 of 100 rows, evenly chosen."
    assert table.rows[-1] == ["99", "198.5 (198 to 199)"]
