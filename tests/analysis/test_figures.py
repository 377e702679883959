"""The figures for print."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

import bridge
from analysis import figures
from astro_sim.common.errors import InputError
from benchmarks import recall_figure
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


def recall_rows() -> list[dict]:
    """Two seeds from scratch, one by curriculum: accuracies that tell rule, T and seed apart."""
    rows = [
        {"training": "from scratch", "rule": rule, "seed": seed, "T": total, "steps": 9,
         "accuracy": 0.2 + 0.1 * index + 0.01 * total + 0.002 * seed, "at 2 T": None, "at 4 T": None}
        for index, rule in enumerate(figures.RULES) for total in (2, 4, 8, 16) for seed in (0, 1)
    ]  # fmt: skip
    rows += [
        {"training": "curriculum", "rule": rule, "seed": 0, "T": total, "steps": 9,
         "accuracy": 0.9, "at 2 T": 0.5 + 0.1 * index, "at 4 T": 0.01 * total}
        for index, rule in enumerate(figures.RULES) for total in (2, 4, 8, 16)
    ]  # fmt: skip
    rows += [
        {"training": "anywhere", "rule": rule, "seed": 0, "T": total, "steps": 9, "accuracy": 0.5, "at 2 T": None,
         "at 4 T": None, "every place": [0.9 - 0.01 * k - 0.1 * index for k in range(total)]}
        for index, rule in enumerate(figures.RULES) for total in (2, 16)
    ]  # fmt: skip
    return [*rows, {**rows[0], "training": "no memory", "rule": "none", "accuracy": 0.125}]


def test_recall_draws_every_seed_their_mean_and_chance(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    figures.recall(recall_rows(), tmp_path / "recall.png")
    scratch, eight, sixteen, anywhere = kept[0].axes
    assert [text.get_text() for text in scratch.get_xticklabels()] == ["1", "3", "7", "15"]
    assert [text.get_text() for text in eight.get_xticklabels()] == ["T = 8", "2 T = 16", "4 T = 32"]
    assert "mean of 1 to 2" in scratch.get_ylabel()
    for axes in kept[0].axes:
        (chance,) = [line for line in axes.lines if line.get_label() == "chance"]
        assert list(chance.get_ydata()) == [0.125, 0.125]
        assert chance.get_linestyle() == ":"
    for index, rule in enumerate(figures.RULES):
        means = {axes: next(line for line in axes.lines if line.get_label() == rule) for axes in kept[0].axes}
        expected = [0.2 + 0.1 * index + 0.01 * total + 0.001 for total in (2, 4, 8, 16)]
        np.testing.assert_allclose(means[scratch].get_ydata(), expected)
        np.testing.assert_allclose(means[eight].get_ydata(), [0.9, 0.5 + 0.1 * index, 0.08])
        np.testing.assert_allclose(means[sixteen].get_ydata(), [0.9, 0.5 + 0.1 * index, 0.16])
        np.testing.assert_allclose(means[anywhere].get_ydata(), 0.9 - 0.01 * np.arange(16) - 0.1 * index)
        colour = means[scratch].get_color()
        dots = [line for line in scratch.lines if line.get_linestyle() == "None" and line.get_color() == colour]
        np.testing.assert_allclose([line.get_ydata() for line in dots], np.add.outer(expected, (-0.001, 0.001)))
    assert len({line.get_marker() for line in scratch.lines if line.get_label() in figures.RULES}) == 3


def test_recall_of_a_part_says_what_is_missing(tmp_path):
    rows = [row for row in recall_rows() if row["training"] == "from scratch"]
    figures.recall(rows, tmp_path / "part.svg")
    assert (tmp_path / "part.svg").read_text().count("not measured yet") == 3
    with pytest.raises(InputError, match="expected rows of runs from scratch, or of a curriculum"):
        figures.recall([row for row in recall_rows() if row["training"] == "no memory"], tmp_path / "none.svg")


def test_recall_is_drawn_from_a_whole_file_or_from_its_parts(tmp_path, monkeypatch):
    rows = recall_rows()
    (tmp_path / "recall.json").write_text(json.dumps({"name": "recall", "rows": rows}))
    lines = [json.dumps([f"part {at}", [row]]) + "\n" for at, row in enumerate(rows)]
    (tmp_path / "recall.parts.jsonl").write_text("".join(lines) + '["cut off", [{"tra')
    for name in ("recall.json", "recall.parts.jsonl"):
        assert recall_figure.read_rows(tmp_path / name) == rows
    monkeypatch.setattr("sys.argv", ["recall_figure", str(tmp_path / "recall.json"), str(tmp_path / "recall.png")])
    recall_figure.main()
    with Image.open(tmp_path / "recall.png") as image:
        assert image.size == (12.5 * figures.DPI, 3.6 * figures.DPI)
