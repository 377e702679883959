"""`rmaat laws`: a file in words, and old files anew."""

from pathlib import Path

import pytest

from bridge.laws import Laws
from rmaat.__main__ import main

EXAMPLES = Path(__file__).parent.parent / "bridge" / "laws"


@pytest.mark.parametrize("name", ["exponential", "stretched", "spline", "reversed"])
def test_show_tells_law_factors_and_candidates(name, capsys):
    path = EXAMPLES / "valid" / f"{name}.json"
    laws = Laws.load(path)
    assert main(["laws", "show", str(path), "--total", "16"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"Retention law: {laws.family.name}, F(t) = ")
    assert "Fitted to 6 cycle ends averaged over 3 post x 3 pre; from ltp (macro, seed 0)." in out
    (first,) = [line.split() for line in out.splitlines() if line.split()[:2] == ["16", "1"]]
    assert first[2] == f"{laws.retention(16)[0]:.4g}"
    assert first[-1] == "extrapolated"
    assert ("Perturbed on purpose: reversed." in out) == (name == "reversed")
    assert ("No draws" in out) == (name != "stretched")
    assert [line for line in out.splitlines() if line.startswith("other ")]


def test_old_files_are_written_anew(tmp_path, capsys):
    out = tmp_path / "new.json"
    assert main(["laws", "convert", str(EXAMPLES / "schema_1" / "stretched.json"), "--out", str(out)]) == 0
    laws = Laws.load(out)
    assert capsys.readouterr() == (f"{out}: digest {laws.digest[:12]}\n", "")
    assert laws.parameters == {"tau": 6.0, "b": 0.75}


def test_what_cannot_be_converted_leaves_no_file(tmp_path, capsys):
    out = tmp_path / "new.json"
    assert main(["laws", "convert", str(EXAMPLES / "invalid" / "edited_by_hand.json"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.endswith("the digest does not hold; the file was changed after it was written\n")
    assert not out.exists()


@pytest.mark.parametrize("verb", ["show", "convert"])
def test_both_have_help_with_an_example(verb, capsys):
    assert main(["laws", verb, "--help"]) == 0
    assert f"Example: rmaat laws {verb}" in capsys.readouterr().out
