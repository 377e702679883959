"""The report in a real browser: it draws, follows its sliders, sorts, and asks the network for nothing."""

from pathlib import Path

import pytest

import analysis
import astro_sim
from tests.analysis.browser import SIZES, needs_chromium, opened, require_sound, shot

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    grid = {"tau_p_l": [30.0, 60.0, 120.0], "tau_cycle": [5.0, 10.0]}
    astro_sim.write(astro_sim.sweep("ltp", grid, cycles=12, burn_in=3, interval=1.0), folder / "sweep.nc")
    analysis.build_report([made, folder / "sweep.nc"], folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("size", SIZES)
def test_the_report_is_sound(report, size):
    with opened(report, size) as page:
        require_sound(page, report)
        shot(page, f"report-{size}")


@pytest.mark.parametrize("size", SIZES)
def test_sliders_move_curve_factors_table_and_words(report, size):
    """By the keyboard, as a reader without a mouse would: linear law, so tau is tau_p_l / tau_cycle."""
    with opened(report, size) as page:
        explorer = page.locator(".explorer")
        assert "tau = 6 cycles" in explorer.locator(".found").inner_text()

        def state():
            return page.evaluate(
                """() => {
                  const [curve, factors] = document.querySelectorAll('.explorer .js-plotly-plot');
                  const cells = [...document.querySelectorAll('.explorer td')].map((cell) => cell.textContent);
                  const shown = (plot, trace, at) => Number(plot.calcdata[trace][at].y.toPrecision(5));
                  return [shown(curve, 0, 5), shown(curve, 1, 9), shown(factors, 2, 0), cells.join()];
                }"""
            )

        before = state()
        explorer.locator("input").nth(0).focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.explorer .found').textContent.includes('tau = 12 cycles')")
        after = state()
        assert all(one != other for one, other in zip(before, after, strict=True))
        assert explorer.locator("output").all_inner_texts() == ["120 s", "10 s"]
        assert explorer.locator("input").nth(0).get_attribute("aria-valuetext") == "120 s"
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("document.querySelector('.explorer .found').textContent.includes('tau = 6 cycles')")
        assert state() == before


def test_tables_sort_by_their_heads(report, laws):
    with opened(report, "wide") as page:
        table = page.locator("table.sortable", has_text="points of the sweep")
        head = table.locator("thead th").nth(2).locator("button")

        def column():
            return [float(text) for text in table.locator("tbody tr td:nth-child(3)").all_inner_texts()]

        head.click()
        assert column() == sorted(column())
        assert table.locator("thead th").nth(2).get_attribute("aria-sort") == "ascending"
        head.press("Enter")
        assert column() == sorted(column(), reverse=True)
        assert len(set(column())) > 1
        first = table.locator("thead th").first.locator("button")
        first.click()
        kept = [float(text) for text in table.locator("tbody tr th").all_inner_texts()]
        assert kept == sorted(kept)  # numbers, though they head their rows: 120 is not before 30
        families = page.locator("table.sortable", has_text="Families tried")
        families.locator("thead th", has_text="R²").locator("button").click()
        kept = families.locator("tbody tr th").all_inner_texts()
        best_first = sorted(laws.document.retention.candidates, key=lambda each: -each.r_squared)
        assert kept[::-1][:2] == [each.family.replace("_", " ") for each in best_first[:2]]  # 1 − 1.5e-07, 1 − 7.8e-07


def test_on_a_wide_screen_no_table_is_cut_off_and_log_axes_have_plain_numbers(report):
    with opened(report, "wide") as page:
        cut = """() => [...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth)
                         .map((box) => box.getAttribute('aria-label'))"""
        assert page.evaluate(cut) == []
        labels = [each for each in page.locator("#memory .ytick").all_text_contents() if each]
        assert len(labels) > 4
        assert all(float(label) >= 0 for label in labels)  # no 2x10⁻¹


def test_the_table_of_the_sweep_scrolls_below_its_head_and_prints_whole(tmp_path):
    grid = {"tau_p_l": "30:120:10", "coupling": "0.1:0.9:6"}
    astro_sim.write(astro_sim.sweep("ltp", grid, interval=1.0), tmp_path / "sweep.nc")
    analysis.build_report([tmp_path / "sweep.nc"], tmp_path / "report.html")
    with opened(tmp_path / "report.html", "wide") as page:
        table = page.locator(".tall")
        assert table.locator("tbody tr").count() == 60
        assert table.evaluate("(box) => box.scrollHeight > box.clientHeight")
        table.evaluate("(box) => box.scrollTo(0, box.scrollHeight)")
        top, head = (each.bounding_box()["y"] for each in (table, table.locator("thead th").first))
        assert abs(head - top) < 2
        page.emulate_media(media="print")
        assert table.evaluate("(box) => box.scrollHeight <= box.clientHeight")


def test_a_drag_zooms_and_a_double_click_goes_back(report):
    with opened(report, "wide") as page:
        assert page.locator(".hint").is_visible()
        plot = page.locator("#ltp .js-plotly-plot").first
        plot.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#ltp .js-plotly-plot')._fullLayout.dragmode === 'zoom'")
        box = plot.locator(".xy .bglayer, .cartesianlayer .xy").first.bounding_box() or plot.bounding_box()

        def ends():
            return page.evaluate("document.querySelector('#ltp .js-plotly-plot')._fullLayout.xaxis.range")

        whole = ends()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.3 * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
        page.mouse.up()
        there = "document.querySelector('#ltp .js-plotly-plot')._fullLayout.xaxis.range[1]"
        page.wait_for_function(f"{there} < {whole[1]}")
        low, high = ends()
        assert whole[0] < low < high < whole[1]
        page.mouse.dblclick(box["x"] + 0.5 * box["width"], middle)
        page.wait_for_function(f"{there} >= {whole[1] - 1e-6}")


def test_it_prints(report, tmp_path):
    with opened(report, "wide") as page:
        page.emulate_media(media="print")
        assert page.locator("nav").is_hidden()
        page.pdf(path=str(tmp_path / "report.pdf"))
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
