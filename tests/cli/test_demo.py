"""The demo, in full: its small model must pass what guessing reaches, by far."""

import io
from contextlib import redirect_stdout

import pytest

from bridge.laws import Laws
from rmaat.__main__ import main
from rmaat.records import read_run
from tests.analysis.browser import SIZES, needs_chromium, opened, require_sound, shot


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, run once."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with redirect_stdout(io.StringIO()) as printed:
        assert main(["demo", "--out", str(out)]) == 0
    (out.parent / "printed").write_text(printed.getvalue())
    return out


@pytest.mark.slow
def test_demo_learns_listops_and_writes_everything(demo):
    """At least 0.25 (majority 0.17 to 0.19); 1,000 test trees have a standard error of 0.014."""
    out = demo
    record = read_run(out / "run")
    assert record.evaluation.examples == 1000
    assert record.evaluation.accuracy > 0.25
    assert record.run.config.backward == "amrb"
    assert record.run.config.memory_rule == "consolidate"
    assert Laws.load(out / "laws.json").family.name == "exponential"
    assert {"report.html", "overview.png", "listops", "datasets"} <= {path.name for path in out.iterdir()}
    assert (out / "report.html").stat().st_size < 8e6
    printed = (out.parent / "printed").read_text()
    assert f"ListOps test accuracy {record.evaluation.accuracy:.3f}" in printed
    assert printed.rstrip().endswith("report.html")


@pytest.mark.slow
@needs_chromium
def test_the_demos_report_in_a_browser(demo):
    for size in SIZES:
        with opened(demo / "report.html", size) as page:
            require_sound(page, demo / "report.html")
            shot(page, f"demo-{size}")
            words = page.locator(".explorer .found").inner_text()
            page.locator(".explorer input").first.focus()
            page.keyboard.press("ArrowRight")
            assert page.locator(".explorer .found").inner_text() != words


def test_demo_does_not_write_over_anything(tmp_path, capsys):
    (tmp_path / "mine").write_text("precious")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
