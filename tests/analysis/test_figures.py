"""The figure for print."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

import bridge
from analysis import figures
from astro_sim.common.errors import InputError
from bridge.effects import Effect, Sensitivity
from bridge.laws import Laws
from rmaat.records import read_run
from tests.analysis.handmade import noisy_ltp


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_overview_is_written_and_the_same_each_time(
    suffix: str, made: Path, datasets: dict[str, xr.Dataset], laws: Laws, tmp_path: Path
) -> None:
    record = read_run(made / "runs" / "done")
    written = []
    for name in ("one", "two"):
        figures.overview(list(datasets.values()), laws, record, path=tmp_path / (name + suffix))
        written.append((tmp_path / (name + suffix)).read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 10_000


def test_overview_without_datasets_or_run(datasets: dict[str, xr.Dataset], laws: Laws, tmp_path: Path) -> None:
    figures.overview([datasets["ltp"]], laws, path=tmp_path / "cycle.png")
    figures.overview([], laws, path=tmp_path / "bare.svg")
    text = (tmp_path / "bare.svg").read_text()
    assert "no stp or ltp dataset given" in text
    assert "no run given" in text
    with Image.open(tmp_path / "cycle.png") as image:
        assert image.size == tuple(int(inches * figures.DPI) for inches in figures.INCHES)


@pytest.mark.parametrize("noise", ["levels", "dynamics"])
def test_samples_have_their_standard_error_where_it_is_theirs(
    noise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laws = bridge.fit_laws([noisy_ltp(noise)], draws=0)
    kept: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    figures.overview([], laws, path=tmp_path / "figure.png")
    axes = kept[0].axes[1]
    assert axes.get_ylabel() == "$p^l$ (1)"
    (bars,) = axes.containers
    assert bars.has_yerr == (noise == "levels")
    if bars.has_yerr:
        segments = np.array(bars[2][0].get_segments())
        np.testing.assert_allclose(np.ptp(segments[1:, :, 1], axis=1), 2 * np.array(laws.document.retention.spread))


def test_perturbed_laws_are_marked(laws: Laws, tmp_path: Path) -> None:
    figures.overview([], laws.perturbed("slower"), path=tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().count("(perturbed: slower)") == 2


def test_other_suffixes_are_refused(laws: Laws, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"figure.gif: expected a name that ends in .png, .svg, .pdf"):
        figures.overview([], laws, path=tmp_path / "figure.gif")
    assert not list(tmp_path.iterdir())


def test_sensitivity_has_a_bar_a_parameter_and_a_panel_an_output(tmp_path, monkeypatch):
    found = Sensitivity(
        model="macro", method="morris", total=16, family="exponential", ranges={"x": (1.0, 2.0), "y": (1.0, 2.0)},
        reference={}, runs=6, failed=0, failure="", seed=0, settings={}, versions={},
        effects=[
            Effect(parameter=name, output=output, mean=mean, size=abs(mean), spread=0.1, alone=None, together=None,
                   confidence=0.2)
            for output, order in (("first", "xy"), ("last", "yx"), ("saturation", "yx"))
            for name, mean in sorted({"x": -0.8, "y": 0.3}.items(), key=lambda each: order.index(each[0]))
        ],
    )  # fmt: skip
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    figures.sensitivity(found, path=tmp_path / "s.png")
    panels = kept[0].axes
    assert [axes.get_title() for axes in panels] == ["RetentionFactor(1, 16)", "RetentionFactor(16, 16)", "saturation"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["x", "y"]
    for axes in panels:  # whatever the order of the effects, a parameter has one place
        assert [bar.get_width() for bar in axes.patches] == [-0.8, 0.3]
