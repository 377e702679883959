"""Tables of results in the report: runs of the Long Range Arena beside the paper's numbers, and others as they are."""

import json
from pathlib import Path

import pytest

import analysis
from analysis import paper
from analysis.collect import Inputs, collect
from analysis.report.parts import Bullets, Heading, Table, Text
from analysis.report.results import tables
from astro_sim.common.errors import InputError

DATA = {"content": "generated with the grammar of LRA", "origin": "generated", "train": 96_000, "valid": 2000,
        "test": 2000, "digest": "d" * 64}  # fmt: skip


def row(model: str, accuracy: float | None, seed: int = 0, **changes) -> dict:
    return {
        "task": "listops", "name": model, "model": model, "seed": seed, "changes": {}, "run": f"listops/{model}-{seed}",
        "state": "finished", "accuracy": accuracy, "examples": 2000, "majority": 0.17, "first_symbol": 0.34,
        "tokens": 46_600_000, "memory_mb": 2298.4, "laws_digest": "l" * 64, "commit": "c",
        "settings": {"width": 64, "steps": 1500, "memory_rule": "scale", "seed": seed}, "asked": {"steps": 1500},
        "data": DATA,
    } | changes  # fmt: skip


def written(folder: Path, rows: list[dict], name: str = "lra.json", what: str = "lra small") -> Path:
    path = folder / name
    path.write_text(json.dumps({"schema_version": 1, "what": what, "rows": rows}))
    return path


def test_runs_stand_beside_the_paper_with_the_reason_why_they_may_not(tmp_path):
    rows = [row("rmaat", 0.36), row("rmt", 0.30), row("at", None, state="stopped at step 3")]
    heading, note, table, verdicts, arms, differences, *notes = tables(collect([written(tmp_path, rows)]))
    assert heading == Heading(f"{tmp_path / 'lra.json'}: lra small")
    assert note == Text("ListOps 2K, at, seed 0: stopped at step 3.", note=True)
    assert isinstance(table, Table)
    first, second = (dict(zip(table.columns, each, strict=True)) for each in table.rows)
    shown = {name: value.replace("\N{NO-BREAK SPACE}", " ") for name, value in first.items()}
    assert shown == {
        "task": "ListOps 2K", "what": "rmaat", "seed": "0", "accuracy": "36.0 %", "95 % interval": "33.9 % to 38.1 %",
        "most frequent": "17.0 %", "first symbol": "34.0 %", "paper": "38.9 %", "million tokens": "46.6",
        "peak memory (MB)": "2,298",
        "comparable?": "no: data generated here, not the release; small: width 64, steps 1,500",
    }  # fmt: skip
    assert second["paper"].startswith("37.4")
    assert isinstance(verdicts, Bullets)
    assert verdicts.items[0].startswith("one seed each: the run of rmaat is better than that of rmt by 6.0 points")
    assert "arms, each the runs of one model with its settings and laws; they differ in their seed" in arms.caption
    assert isinstance(differences, Table)
    assert "not told which examples are right: all rows" in notes[0].text


def test_a_single_arm_is_not_compared_and_nothing_finished_is_told(tmp_path):
    parts = tables(collect([written(tmp_path, [row("rmaat", 0.36), row("rmaat", 0.37, seed=1)])]))
    assert [type(part) for part in parts] == [Heading, Table]
    twice = [row("rmaat", 0.36), row("rmaat", 0.37), row("rmt", 0.3)]
    note = tables(collect([written(tmp_path, twice)]))[-1]
    assert note.text.startswith("ListOps 2K: not compared: ")
    assert "a second time" in note.text
    parts = tables(collect([written(tmp_path, [row("rmaat", None, state="failed: no data")])]))
    assert [type(part) for part in parts] == [Heading, Text]
    assert tables(Inputs()) == []


def test_why_results_are_not_comparable():
    def why(task: str, **data) -> list[str]:
        return paper.why_not(task, "rmaat", {**DATA, "origin": "converted", **data}, {"width": 64}).split("; ")

    (other,) = why("retrieval", content="pairs of halves of IMDB reviews (stand-in)")
    assert other.startswith("another task: pairs of halves of reviews")
    assert why("image", content="Fashion-MNIST")[0].startswith("another task: Fashion-MNIST")
    assert why("image", content="pictures (JPEG)", train=45_000) == ["pictures from JPEG files", "small: width 64"]
    assert why("text", train=22_553, valid=2387, test=12_500)[0] == "12,500 of 25,000 test reviews"
    assert why("text", train=1000, valid=0, test=25_000)[0] == "1,000 of 25,000 training examples"
    assert paper.why_not("other", None, None, None) == "settings unknown"
    rule = paper.why_not("listops", "rmaat", {}, {"memory_rule": "none"})
    assert rule.startswith("memory rule none, the paper's is scale")
    assert "memory rule" not in paper.why_not("listops", "transformer", {}, {"memory_rule": "none"})


def test_other_tables_are_shown_as_they_are_and_found_in_folders(tmp_path):
    rows = [{"model": "a <b>", "seconds": 1.23456, "note": None, "count": 1200}, {"model": "b", "seconds": 2.0}]
    written(tmp_path, rows, "speed.json", "how fast")
    (tmp_path / "empty.json").write_text('{"rows": []}')
    with pytest.raises(InputError, match="empty.json: a table of results without rows"):
        collect([tmp_path / "empty.json"])
    found = collect([tmp_path])
    assert [each.path.name for each in found.tables] == ["speed.json"]
    (_, table) = tables(found)
    assert table.columns == ["model", "seconds", "note", "count"]
    assert table.rows == [["a <b>", "1.235", "–", "1,200"], ["b", "2", "–", "–"]]
    analysis.build_report([tmp_path], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a &lt;b&gt;" in page
    assert '<a href="#tables">Tables of results</a>' in page
