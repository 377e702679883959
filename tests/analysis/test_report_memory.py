"""The memory at work: what is drawn, what is said, and what of it language models have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import build_report
from analysis.collect import Inputs, collect
from analysis.curves import colour
from analysis.report.memory import look, memory
from analysis.report.page import sections
from analysis.report.parts import Bullets, Part, Plot, Table, Text
from analysis.report.provenance import provenance
from analysis.report.results import results
from analysis.report.runs import training
from analysis.report.summary import answers
from bridge.laws import Laws
from rmaat.records import read_run
from tests.analysis.handmade_runs import EVALUATION

Writer = Callable[..., Path]
LANGUAGE: dict[str, Any] = {"task": "enwik8", "built": {"head": "language", "classes": None, "memory_rule": "scale"}}
BITS = {**EVALUATION, "accuracy": 0.55, "first_symbol": None, "bits_per_token": 2.0}


def section_of(*runs: Path) -> list[Part]:
    return memory(Inputs(runs=[read_run(run) for run in runs]))


def plots(section: list[Part]) -> list[Plot]:
    return [part for part in section if isinstance(part, Plot)]


def notes(section: list[Part]) -> list[str]:
    return [part.text for part in section if isinstance(part, Text) and part.note]


def sentences(inputs: Inputs) -> list[str]:
    """Of the summary, on what the model made of it."""
    return answers(inputs)["What the model made of it"]


def told(section: list[Part]) -> list[str]:
    return [item for part in section if isinstance(part, Bullets) for item in part.items]


def test_figures_draw_the_diagnostics(tmp_path: Path, laws: Laws, write_run: Writer, diagnostics) -> None:
    write_run(tmp_path / "one", laws, diagnostics=diagnostics)
    diagnostics["influence"] = [5.0, 6.0]
    write_run(tmp_path / "two", laws, diagnostics=diagnostics)
    influence, norms, kept = plots(section_of(tmp_path / "one", tmp_path / "two"))
    lines = {trace.name: trace for trace in influence.figure.data}
    np.testing.assert_array_equal(lines["one"].x, [1, 2, 3, 4])
    np.testing.assert_array_equal(lines["one"].y, [0.03, 0.1, 0.4, 1.0])
    np.testing.assert_array_equal(lines["two"].y, [5.0, 6.0])
    assert lines["one"].line.color != lines["two"].line.color
    assert influence.figure.layout.yaxis.type == "log"
    np.testing.assert_array_equal(norms.figure.data[0].y, [2.0, 2.5, 2.25, 2.125])
    assert norms.figure.layout.yaxis.type != "log"
    lines = {trace.name: trace for trace in kept.figure.data}
    measured, alone = lines["one (consolidate), measured"], lines["one (consolidate), by the rule alone"]
    np.testing.assert_array_equal(measured.x, [1, 2, 4])
    np.testing.assert_array_equal(measured.y, [1.0, 0.5, 0.125])
    np.testing.assert_array_equal(alone.y, [1.0, 0.25, 0.0625])
    assert measured.line.color == alone.line.color != lines["two (consolidate), measured"].line.color
    assert (measured.line.dash, alone.line.dash) == ("solid", "dash")
    assert "one 0.03 in segment 1, 1 in segment 4; two 5 in segment 1, 6 in segment 2" in influence.caption
    assert "one from 2 to 2.12; two from 2 to 2.12" in norms.caption


def test_time_constants_lie_on_the_ladder_of_the_laws(tmp_path: Path, laws: Laws, write_run: Writer, diagnostics):
    built = {"short_term": "trainable", "time_constants": [4.0, 64.0], "heads": 2}
    diagnostics["time_constants"] = [[4.0, 64.0], [8.0, 48.0]]
    write_run(tmp_path / "one", laws, built=built, diagnostics=diagnostics)
    *_, plot = plots(section_of(tmp_path / "one"))
    drawn = [(trace.name, list(trace.x), set(trace.y)) for trace in plot.figure.data]
    assert drawn == [
        ("one, at the start", [4.0, 64.0], {"one, layer 1"}),
        ("one, after training", [4.0, 64.0], {"one, layer 1"}),
        ("one, at the start", [4.0, 64.0], {"one, layer 2"}),
        ("one, after training", [8.0, 48.0], {"one, layer 2"}),
    ]
    assert "The furthest was moved by a factor of 2." in plot.caption
    assert plot.figure.layout.xaxis.type == "log"


def test_what_single_precision_would_lose_is_drawn(tmp_path: Path, laws: Laws, write_run: Writer, diagnostics) -> None:
    diagnostics["first"][-1] = {"T": 4, "measured": 1e-60, "direct": 1e-80}
    run = write_run(tmp_path / "mine", laws, diagnostics=diagnostics)
    measured, alone = plots(section_of(run))[2].figure.data
    assert (measured.y[-1], alone.y[-1]) == (1e-60, 1e-80)


@pytest.mark.parametrize(
    ("scale", "labels"), [(1.0, "none"), (1e-12, "e")], ids=["written out", "too small to write out"]
)
def test_labels_of_a_short_axis_are_plain_numbers(
    tmp_path: Path, laws: Laws, write_run: Writer, diagnostics, scale: float, labels: str
) -> None:
    """And of a longer one powers of ten alone."""
    diagnostics["influence"] = [0.03 * scale, 0.1 * scale, 0.4 * scale, 1.0 * scale]
    (influence, *_) = plots(section_of(write_run(tmp_path / "short", laws, diagnostics=diagnostics)))
    axis = influence.figure.layout.yaxis
    assert (axis.exponentformat, axis.dtick) == (labels, "D2")
    diagnostics["influence"] = [1e-5 * scale, 1.0 * scale]
    (influence, *_) = plots(section_of(write_run(tmp_path / "long", laws, diagnostics=diagnostics)))
    assert (influence.figure.layout.yaxis.exponentformat, influence.figure.layout.yaxis.dtick) == ("power", None)


def test_the_table_has_a_row_a_t_and_can_be_sorted(made: Path) -> None:
    (table,) = [part for part in section_of(made / "runs" / "done") if isinstance(part, Table)]
    assert table.sortable
    assert table.rows[2] == ["done", "consolidate", "4", "0.125", "0.0625", "2"]
    assert [row[2] for row in table.rows] == ["1", "2", "4"]


def test_the_page_can_sort_that_table_alone(page: str) -> None:
    assert '<table class="sortable">' in page


@pytest.mark.parametrize("row", [(0.25, 0.0625), (1.2e-5, 3.1e-10), (2.5, 1.0), (0.0, 6e-22)])
def test_what_is_kept_in_numbers(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics, row):
    diagnostics["first"][-1] = {"T": 4, "measured": row[0], "direct": row[1]}
    run = write_run(tmp_path / "mine", laws, diagnostics=diagnostics)
    measured, direct = (f"{value:.2g}".replace("-", "−") for value in row)
    expected = f"{measured} times as strongly after 4 segments as after one (by the rule alone {direct})"
    assert expected in told(section_of(run))[0]
    assert [expected in each for each in sentences(Inputs(runs=[read_run(run)]))] == [False, True]


@pytest.mark.parametrize(
    ("influence", "words"),
    [
        ([0.03, 0.5, 1.0], "segment 1 0.03 times as much as with the last of 3"),
        ([0.0, 1.0], "segment 1 0 times as much as with the last of 2"),
        ([2.0, 0.0], "the last of 2 segments does not move the output, segment 1 by 2"),
        ([1.0], "have one segment"),
    ],
)
def test_influence_in_numbers(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics, influence, words):
    diagnostics["influence"] = influence
    run = write_run(tmp_path / "mine", laws, diagnostics=diagnostics)
    assert words in told(section_of(run))[0]


def test_a_readout_that_passes_the_memory_by_is_named(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics):
    for readout in ("mean", "memory"):
        write_run(tmp_path / readout, laws, diagnostics=diagnostics, built={"readout": readout})
    pooled, read = told(section_of(tmp_path / "mean", tmp_path / "memory"))
    assert "way past it" in pooled
    assert "way past it" not in read


def test_zeros_are_left_out_and_told(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics) -> None:
    diagnostics["influence"] = [0.0, 0.0, 0.4, 1.0]
    diagnostics["first"][-1]["measured"] = 0.0
    influence, _, kept = plots(section_of(write_run(tmp_path / "mine", laws, diagnostics=diagnostics)))
    np.testing.assert_array_equal(influence.figure.data[0].y, [np.nan, np.nan, 0.4, 1.0])
    told_ = " Left out, being 0, which a logarithmic axis cannot show: mine"
    assert influence.caption.endswith(f"{told_} at segment 1, 2.")
    np.testing.assert_array_equal(kept.figure.data[0].y, [1.0, 0.5, np.nan])
    assert kept.caption.endswith(f"{told_}, measured at T = 4.")
    build_report([tmp_path / "mine"], tmp_path / "report.html")  # gaps are no obstacle


def test_a_model_without_memory(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics) -> None:
    diagnostics |= {"memory_norm": None, "first": None}
    section = section_of(write_run(tmp_path / "mine", laws, diagnostics=diagnostics, model="transformer"))
    assert len(plots(section)) == 1
    assert not any(isinstance(part, Table) for part in section)
    assert told(section)[0].startswith("Run mine: the model transformer has no memory; ")


@pytest.mark.parametrize("first", [None, [{"T": 1, "measured": 1.0, "direct": 1.0}]])
def test_examples_too_short_to_forget(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics, first) -> None:
    diagnostics["first"] = first
    section = section_of(write_run(tmp_path / "mine", laws, diagnostics=diagnostics))
    assert len(plots(section)) == 2
    assert "was not measured" in told(section)[0]


def test_examples_looked_at_are_told(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics) -> None:
    write_run(tmp_path / "one", laws, diagnostics=diagnostics)
    write_run(tmp_path / "two", laws, diagnostics=diagnostics | {"examples": 4, "split": "valid"})
    assert "Looked at: 16 examples of the test split." in plots(section_of(tmp_path / "one"))[0].caption
    both = plots(section_of(tmp_path / "one", tmp_path / "two"))[0].caption
    assert "Looked at: one, 16 examples of the test split; two, 4 examples of the valid split." in both


def test_what_nobody_looked_into_comes_with_the_command(laws: Laws, tmp_path: Path, write_run: Writer) -> None:
    run = write_run(tmp_path / "mine", laws)
    half = write_run(tmp_path / "half", laws, finished=False)
    section = section_of(run, half)
    assert notes(section) == [
        f"mine: not looked into (diagnostics.json is missing); make it with: rmaat inspect {run}"
    ]  # an unfinished run is not asked for it
    assert not plots(section)
    assert notes(section_of(half)) == ["None of the runs is finished, so there is no memory to look into yet."]
    assert memory(Inputs()) == []  # the summary tells what was not given
    assert len(sentences(Inputs(runs=[read_run(run)]))) == 1


def test_a_colour_stays_with_its_run(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics) -> None:
    write_run(tmp_path / "first", laws)
    run = read_run(write_run(tmp_path / "second", laws, diagnostics=diagnostics))
    each = look(1, "second", run)
    assert each is not None
    assert look(0, "first", read_run(tmp_path / "first")) is None
    drawn = plots(section_of(tmp_path / "first", tmp_path / "second"))[0].figure.data[0]
    assert drawn.line.color == colour(1)


def test_language_models_are_not_taken_for_classifiers(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics):
    run = write_run(tmp_path / "mine", laws, evaluation=BITS, diagnostics=diagnostics, **LANGUAGE)
    write_run(tmp_path / "other", laws)
    inputs = Inputs(runs=[read_run(run), read_run(tmp_path / "other")])
    table = next(part for part in results(inputs) if isinstance(part, Table))
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    text = {"accuracy of": "next tokens", "ours": "55.0\N{NO-BREAK SPACE}%", "95 % interval": "–", "paper": "–"}
    text |= {"bits a token": "2", "first symbol": "–", "difference": "–"}
    assert text.items() <= rows[0].items()
    assert {"accuracy of": "examples", "bits a token": "–", "paper": "38.9 %"}.items() <= rows[1].items()
    assert "say less than bits a token" in table.caption
    tokens, classes = [part for part in training(inputs) if isinstance(part, Plot)]
    assert tokens.figure.layout.yaxis.title.text == "loss (nats a token)"
    assert tokens.figure.layout.yaxis2.title.text == "accuracy of next tokens"
    assert "mine, most frequent token" in [trace.name for trace in tokens.figure.data]
    assert "most frequent token in the test split" in tokens.caption
    assert classes.figure.layout.yaxis2.title.text == "accuracy"
    assert "most frequent class in the test split" in classes.caption
    assert not any("way past it" in each for each in sentences(inputs))


def test_a_language_model_that_was_not_evaluated(laws: Laws, tmp_path: Path, write_run: Writer) -> None:
    run = write_run(tmp_path / "mine", laws, finished=False, **LANGUAGE)
    table = next(part for part in results(collect([run])) if isinstance(part, Table))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["ours"], row["bits a token"], row["paper"]) == ("not evaluated", "–", "–")


def test_classifiers_alone_have_no_columns_of_language_models(made: Path) -> None:
    table = next(part for part in results(collect([made / "runs"])) if isinstance(part, Table))
    assert not {"accuracy of", "bits a token"} & set(table.columns)


def test_provenance_names_idle_settings_and_positions(made: Path, laws: Laws, tmp_path: Path, write_run) -> None:
    write_run(tmp_path / "idle", laws, without_effect=[])
    inputs = Inputs(runs=[read_run(made / "runs" / "done"), read_run(tmp_path / "idle")])
    tables = [dict(part.rows) for part in provenance(inputs, [], "out.html") if isinstance(part, Table)]
    assert [rows["without_effect"] for rows in tables] == ["max_length", "none"]
    assert [rows["position_parameters"] for rows in tables] == ["8,192", "8,192"]


def test_the_section_stands_between_training_and_results(made: Path) -> None:
    names = [section.anchor for section in sections(collect([made]))]
    assert names[names.index("training") :] == ["training", "memory", "results", "provenance"]


def test_broken_diagnostics_are_refused_in_one_line(laws: Laws, tmp_path: Path, write_run: Writer, diagnostics) -> None:
    run = write_run(tmp_path / "mine", laws, diagnostics=diagnostics | {"influence": ["much"]})
    with pytest.raises(ValueError, match="influence"):
        collect([run])
    assert json.loads((run / "diagnostics.json").read_text())["influence"] == ["much"]
