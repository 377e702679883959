"""The demo, in full: its small model must pass what guessing reaches, by far."""

import pytest

from bridge.laws import Laws
from rmaat.__main__ import main
from rmaat.records import read_run


@pytest.mark.slow
def test_demo_learns_listops_and_writes_everything(tmp_path, capsys):
    """At least 0.25 (majority 0.17 to 0.19); 1,000 test trees have a standard error of 0.014."""
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    record = read_run(out / "run")
    assert record.evaluation["examples"] == 1000
    assert record.evaluation["accuracy"] > 0.25
    assert record.run["model_config"]["backward"] == "amrb"
    assert record.run["model_config"]["memory_rule"] == "consolidate"
    assert Laws.load(out / "laws.json").family.name == "exponential"
    assert {"report.html", "overview.png", "listops", "datasets"} <= {path.name for path in out.iterdir()}
    printed = capsys.readouterr().out
    assert f"ListOps test accuracy {record.evaluation['accuracy']:.3f}" in printed
    assert printed.rstrip().endswith("report.html")


def test_demo_does_not_write_over_anything(tmp_path, capsys):
    (tmp_path / "mine").write_text("precious")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
