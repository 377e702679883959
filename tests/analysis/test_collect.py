"""What is found, what is passed over, and what a bad path says."""

import json
import re
import shutil
from pathlib import Path

import pytest

from analysis import build_report
from analysis.collect import collect
from astro_sim.common.errors import InputError


def test_a_folder_gives_all_of_its_contents_once(made: Path) -> None:
    found = collect([made])
    assert [each.experiment for each in found.datasets] == ["frequency", "ltp", "spatial", "stp"]
    assert [run.path.name for run in found.runs] == ["done", "half"]
    assert [each.path for each in found.laws] == [made / "laws.json"]  # the runs' copies are the same laws


def test_what_is_named_twice_is_taken_once(made: Path) -> None:
    found = collect([made / "ltp.nc", made, made / ".." / made.name / "ltp.nc"])
    assert [each.experiment for each in found.datasets] == ["ltp", "frequency", "spatial", "stp"]


def test_links_are_followed_and_what_other_programs_left_is_passed_over_and_told(made: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(made / "runs")
    (tmp_path / "again").symlink_to(tmp_path)  # without an end
    shutil.copy(made / "ltp.nc", tmp_path)
    (tmp_path / "._ltp.nc").write_bytes(b"a Mac's companion")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "ltp.nc").write_bytes(b"another")
    (tmp_path / "climate.nc").write_bytes(b"CDF\x01 of another program")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    found = collect([tmp_path])
    assert [run.path for run in found.runs] == [tmp_path / "elsewhere" / name for name in ("done", "half")]
    assert [each.experiment for each in found.datasets] == ["ltp"]
    assert found.passed_over == [tmp_path / "climate.nc"]
    build_report([tmp_path], tmp_path / "report.html")
    assert (
        f"Passed over, since other programs wrote them: {tmp_path}/climate.nc."
        in (tmp_path / "report.html").read_text()
    )
    with pytest.raises(InputError, match="climate.nc: not a netCDF 4"):
        collect([tmp_path / "climate.nc"])


def test_a_damaged_dataset_in_a_folder_is_not_passed_over(made: Path, tmp_path: Path) -> None:
    raw = bytearray((made / "ltp.nc").read_bytes())
    raw[5_000] ^= 1
    (tmp_path / "ltp.nc").write_bytes(raw)
    with pytest.raises(InputError, match="ltp.nc: not a readable netCDF file"):
        collect([tmp_path])


def test_laws_rest_on_a_dataset_of_the_same_question_and_contents(made: Path) -> None:
    (dataset,) = collect([made / "ltp.nc"]).datasets
    (laws,) = collect([made / "laws.json"]).laws
    source = next(each for each in laws.laws.document.sources if each.experiment == "ltp")
    assert dataset.is_source(source)
    assert not dataset.is_source(source.model_copy(update={"contents": "c" * 64}))
    assert dataset.is_source(source.model_copy(update={"contents": None}))  # of an older file


def test_laws_inside_a_run_count_when_no_other_file_has_them(made: Path) -> None:
    run = made / "runs" / "done"
    assert [each.path for each in collect([run]).laws] == [run / "laws.json"]


def test_laws_know_the_datasets_they_rest_on(made: Path) -> None:
    found = collect([made])
    assert found.laws_from(found.of("ltp")[0]) is found.laws[0].laws
    assert found.laws_from(found.of("stp")[0]) is None


def _missing(at: Path, made: Path) -> Path:
    return at / "nowhere"


def _empty(at: Path, made: Path) -> Path:
    return at


def _text(at: Path, made: Path) -> Path:
    (at / "notes.txt").write_text("notes")
    return at / "notes.txt"


def _truncated(at: Path, made: Path) -> Path:
    (at / "cut.nc").write_bytes((made / "ltp.nc").read_bytes()[:1000])
    return at / "cut.nc"


def _truncated_inside(at: Path, made: Path) -> Path:
    (at / "deep").mkdir()
    _truncated(at / "deep", made)
    return at


def _other_json(at: Path, made: Path) -> Path:
    return made / "notes.json"


def _edited_laws_inside(at: Path, made: Path) -> Path:
    raw = json.loads((made / "laws.json").read_text())
    raw["retention"]["parameters"]["tau"]["value"] = 1.0
    (at / "mine.json").write_text(json.dumps(raw))
    return at


def _unreadable_laws_inside(at: Path, made: Path) -> Path:
    (at / "laws.json").write_text("{")
    return at


def _broken_run(at: Path, made: Path) -> Path:
    shutil.copytree(made / "runs" / "done", at / "run")
    (at / "run" / "run.json").write_text("{")
    return at / "run"


def _data_folder(at: Path, made: Path) -> Path:
    return made / "prepared"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            _missing,
            "nowhere: no such file or folder; expected a dataset (.nc), laws or a table of results (.json), a run",
        ),
        (_empty, "nothing to report in this folder; expected a dataset (.nc)"),
        (_text, "notes.txt: not something to report on; expected a dataset (.nc)"),
        (_truncated, "cut.nc: not a readable netCDF file"),
        (_truncated_inside, "cut.nc: not a readable netCDF file"),
        (_other_json, "notes.json: not a laws file"),
        (_edited_laws_inside, "mine.json: the digest does not hold"),
        (_unreadable_laws_inside, "laws.json: not a laws file"),
        (_broken_run, "run.json: not a run: Expecting"),
        (_data_folder, "prepared: a data folder of 'rmaat-data'; expected a dataset (.nc)"),
    ],
)
def test_bad_paths_say_which_and_what_was_expected(make, message: str, tmp_path: Path, made: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    given = make(inputs, made)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        build_report([given], tmp_path / "report.html")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_no_path_at_all() -> None:
    with pytest.raises(InputError, match="no path given; expected a dataset"):
        collect([])


def test_the_report_never_replaces_an_input_or_a_folder(made: Path, tmp_path: Path) -> None:
    laws = tmp_path / "laws.json"
    shutil.copy(made / "laws.json", laws)
    before = laws.read_bytes()
    with pytest.raises(InputError, match="is among the inputs"):
        build_report([laws], tmp_path / "." / "laws.json")
    assert laws.read_bytes() == before
    with pytest.raises(InputError, match="a folder; expected the name of an HTML file"):
        build_report([laws], tmp_path)
