"""The figure for print."""

from pathlib import Path

import pytest
import xarray as xr
from PIL import Image

from analysis import figures
from astro_sim.common.errors import InputError
from bridge.laws import Laws
from rmaat.records import read_run


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


def test_other_suffixes_are_refused(laws: Laws, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"figure.gif: expected a name that ends in .png, .svg, .pdf"):
        figures.overview([], laws, path=tmp_path / "figure.gif")
    assert not list(tmp_path.iterdir())
