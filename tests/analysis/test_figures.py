"""The figures for print: what is drawn, from numbers that are known."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

import bridge
from analysis import figures, paper
from analysis.comparison import statistics
from analysis.curves import per_synapse
from analysis.figures import results
from analysis.figures.style import DPI
from astro_sim.common.errors import InputError
from bridge.exploration.sensitivity import Effect, Sensitivity
from bridge.laws import PAPER_EXPONENT, Laws
from rmaat.records import packed, read_run, unpacked
from tests.analysis import handmade
from tests.analysis.handmade import noisy_ltp
from tests.analysis.handmade_runs import row

BASELINE = Path(__file__).with_name("overview.png")


def line(axes, label):
    """The one line of that label."""
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return found


def points(axes, label) -> np.ndarray:
    """Its points, (points, 2)."""
    return np.asarray(line(axes, label).get_xydata())


def test_macro_dynamics_has_every_neuron_and_synapse(datasets):
    data = datasets["ltp"]
    x, s, p_s, p_l = figures.macro_dynamics(data).axes
    assert [axes.get_ylabel() for axes in (x, s, p_s, p_l)] == [
        "$x$ (a.u.)", "$s$ (a.u.)", "$p^s$ (a.u.)", "$p^l$ (a.u.)"
    ]  # fmt: skip
    assert p_l.get_xlabel() == "time (s)"
    assert len(x.lines) == data.sizes["pre"] + data.sizes["post"]
    for axes, name in ((s, "s"), (p_s, "p_s"), (p_l, "p_l")):
        drawn = np.array([each.get_ydata() for each in axes.lines[:9]]).T
        np.testing.assert_array_equal(drawn, per_synapse(data[name]))
    ends = points(p_l, "mean at the ends of cycles")
    np.testing.assert_allclose(ends[:, 1], data["p_l_cycle"].mean(("post", "pre")))
    np.testing.assert_allclose(ends[:, 0], 10.0 * np.arange(7))  # six cycles of 10 s


def test_many_synapses_are_drawn_as_mean_and_range(datasets):
    data = datasets["ltp"]
    larger = data.isel(pre=[0, 1, 2, 0, 1, 2]).assign_coords(pre=range(6))
    s = figures.macro_dynamics(larger).axes[1]
    np.testing.assert_allclose(line(s, "mean").get_ydata(), per_synapse(larger["s"]).mean(axis=1))
    assert [each.get_label() for each in s.collections] == ["range over 18 synapses"]


def test_macro_dynamics_wants_traces(datasets):
    with pytest.raises(InputError, match="the dataset lacks the traces s, p_s; simulate it with them stored"):
        figures.macro_dynamics(datasets["ltp"].drop_vars(["s", "p_s"]))
    with pytest.raises(InputError, match="expected a dataset of ltp, macro model; got stp, macro model"):
        figures.macro_dynamics(datasets["stp"])


def test_layouts_have_a_panel_each_on_one_axis(datasets):
    data = datasets["stp"]
    panels = figures.layouts(data).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["a  equidistant", "b  grid", "c  line", "d  clusters"]
    for axes, name in zip(panels, data["layout"].values, strict=True):
        mean = line(axes, "mean of 9 synapses").get_ydata()
        np.testing.assert_allclose(mean, per_synapse(data["p_s"].sel(layout=name)).mean(axis=1))
        assert axes.get_ylim() == panels[0].get_ylim()
    counts = [len(axes.lines) for axes in panels]
    assert counts[0] == 2  # equal distances: one curve, and the mean
    assert min(counts[1:]) > 3


def test_spatial_decay_has_the_fitted_line(datasets, laws):
    data = datasets["spatial"]
    (axes,) = figures.spatial_decay(data, laws).axes
    assert axes.get_yscale() == "log"
    assert len(points(axes, "process")) + len(points(axes, "active process")) == data["distance"].size
    x, y = points(axes, f"exp(−{laws.spatial_decay:.3g} · distance)").T
    np.testing.assert_allclose(np.polyfit(x, np.log(y), 1)[0], -laws.spatial_decay, rtol=1e-9)
    assert len(figures.spatial_decay(data).axes[0].lines) == 2


def test_calcium_rate_has_both_powers(datasets, laws):
    (axes,) = figures.calcium_rate(datasets["frequency"], laws).axes
    for label, exponent in ((f"fit: rate^{laws.presynaptic_exponent:.3g}", laws.presynaptic_exponent),
                            (f"papers: rate^{PAPER_EXPONENT:g}", PAPER_EXPONENT)):  # fmt: skip
        x, y = points(axes, label).T
        np.testing.assert_allclose(np.polyfit(np.log(x), np.log(y), 1)[0], exponent, rtol=1e-9)
        assert line(axes, label).get_marker() == "None"  # nothing was measured on these lines
        assert line(axes, label).get_linestyle() != "None"
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    labels = [
        float(t.get_text()) for t in axes.get_yticklabels() if t.get_text() and low <= t.get_position()[1] <= high
    ]
    assert len(labels) >= 3  # of less than two decades, enough to read a value
    mean = points(axes, "mean over synapses")
    np.testing.assert_allclose(mean[:, 1], datasets["frequency"]["calcium"].mean(("post", "pre")))


def test_ltp_law_has_samples_law_continuation_and_rest(laws):
    curve, rest = figures.ltp_law(laws).axes
    document, n = laws.document.retention, laws.fitted_cycles
    np.testing.assert_allclose(points(curve, "exponential law")[-1], points(curve, "extrapolated")[0])
    assert points(curve, "extrapolated")[-1, 0] == 2 * n
    (samples,) = curve.containers
    np.testing.assert_array_equal(samples[0].get_ydata(), [document.start, *document.samples])
    np.testing.assert_array_equal(rest.lines[-1].get_ydata(), document.residuals)


@pytest.mark.parametrize(("tau", "cycles"), [(3.0, 24), (6.0, 24), (12.0, 24), (6.0, 6)])
def test_the_legend_of_the_law_hides_no_data(tau, cycles):
    figure = figures.ltp_law(bridge.fit_laws([noisy_ltp("levels", cycles, tau)], draws=0))
    figure.draw_without_rendering()
    curve = figure.axes[0]
    box = curve.get_legend().get_window_extent()
    drawn = np.concatenate([curve.transData.transform(each.get_xydata()) for each in curve.lines])
    inside = [box.contains(*point) for point in drawn]
    assert len(inside) > 100
    assert not any(inside)


def test_retention_is_the_law_for_every_T(laws):
    factor, ends = figures.retention(laws, (2, 4, 16)).axes
    for total in (2, 4, 16):
        label = f"T = {total}" + (", extrapolated" if total > laws.fitted_cycles else "")
        np.testing.assert_allclose(line(factor, label).get_ydata(), laws.retention(total))
    for label, place in (("first segment, t = 1", 0), ("last segment, t = T", -1)):
        for total, value in points(ends, label):
            assert value == laws.retention(int(total))[place]


def test_deviation_sets_accuracy_against_distance(laws):
    def row(name, accuracy, task="listops"):
        return {"task": task, "name": name, "accuracy": accuracy}

    rows = [row("rmaat", 0.4), row("rmaat", 0.5), row("flat law", 0.3), row("no H_astro", 0.1), row("flat law", None)]
    factor, accuracy = figures.deviation(laws, rows).axes
    np.testing.assert_allclose(line(factor, "simulated").get_ydata(), laws.retention(16))
    (flat,) = [each for each in factor.lines if str(each.get_label()).startswith("flat")]
    np.testing.assert_allclose(flat.get_ydata(), np.full(16, 1 / 16))
    far = 0.5 * np.abs(laws.retention(16) - 1 / 16).sum()
    assert flat.get_label() == f"flat ({far:.2f})"
    drawn = np.concatenate([each.get_xydata() for each in accuracy.lines])
    np.testing.assert_allclose(drawn, [[0, 40], [0, 50], [0, 45], [far, 30], [far, 30]])  # seeds, then their mean
    assert factor.get_legend().get_title().get_text() == "in brackets: distance from the simulated law"
    assert "not measured yet" in [text.get_text() for text in figures.deviation(laws).axes[1].texts]
    with pytest.raises(InputError, match="expected the simulated laws, these are perturbed"):
        figures.deviation(laws.perturbed("flat"))


def test_bifurcation_has_both_directions():
    data = handmade.scan()
    calcium, period = figures.bifurcation(data).axes
    for at, direction in enumerate(("up", "down")):
        low, high = calcium.lines[2 * at : 2 * at + 2]
        assert low.get_label() == f"led {direction}"
        np.testing.assert_array_equal(high.get_ydata(), data["calcium_high"].sel(direction=direction))
        np.testing.assert_array_equal(low.get_ydata(), data["calcium_low"].sel(direction=direction))
        np.testing.assert_array_equal(period.lines[at].get_ydata(), data["period"].sel(direction=direction))
    assert period.get_xlabel() == "IP₃ (µM)"
    with pytest.raises(InputError, match="expected a scan; make one with: rmaat simulate calcium --set preset=scan"):
        figures.bifurcation(handmade.calcium())


def test_gliotransmission_has_a_line_a_modulation():
    data = handmade.gliotransmission((0.25, 0.5, 0.75), (0.0, 1.0))
    panels = figures.gliotransmission(data).axes
    first = panels[0]
    assert first.get_title(loc="left") == "a  Release a spike"
    for modulation in data["modulation"].values:
        shown = line(first, str(modulation)).get_ydata()
        middle = data["r_S_mean"].sel(modulation=modulation, U_0_star=0.5, alpha=1.0)
        np.testing.assert_allclose(shown, middle.mean("repetition"))


def test_waves_sort_cells_by_distance_and_draw_the_speed():
    data = handmade.waves()
    field, front, *_ = figures.waves(data).axes
    order = np.argsort(data["hops"].values, kind="stable")
    drawn = field.collections[0].get_array().reshape(len(order), -1)
    np.testing.assert_array_equal(drawn, data["C"].transpose("cell", "time").values[order])
    speed = float(data["speed"])
    (x0, y0), (x1, y1) = points(front, f"{speed:.3g} cells a second")
    np.testing.assert_allclose((x1 - x0) / (y1 - y0), speed)


def lra_rows() -> list[dict]:
    return [
        {"task": task, "model": model, "name": model, "seed": seed, "state": "finished", "majority": 0.16,
         "examples": 2000, "accuracy": 0.3 + 0.1 * (model == "rmt") + 0.02 * seed}
        for task in ("listops", "text") for model in ("rmaat", "rmt", "at") for seed in (0, 1)
    ]  # fmt: skip


def test_lra_draws_seeds_means_the_papers_numbers_and_the_majority():
    rows = [*lra_rows(), {**lra_rows()[0], "task": "image", "state": "stopped at step 3", "accuracy": None}]
    (axes,) = figures.lra(rows).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["ListOps 2K", "Text 4K"]
    colours = {name: line(axes, name).get_color() for name in ("rmaat", "rmt", "at")}
    for name, mean in (("rmaat", 31.0), ("rmt", 41.0), ("at", 31.0)):
        own = [each for each in axes.lines if each.get_color() == colours[name]]
        values = np.concatenate([each.get_ydata() for each in own])
        theirs = [paper.accuracy(task, name) for task in ("listops", "text")]
        expected = 2 * [mean - 1, mean, mean + 1] + [value for value in theirs if value is not None for _ in (0, 1)]
        np.testing.assert_allclose(sorted(values), sorted(expected))
    assert list(line(axes, "majority class").get_ydata()) == [16.0, 16.0]
    with pytest.raises(InputError, match="no finished row; rmaat reproduce lra makes them"):
        figures.lra(rows[-1:])


def test_memory_draws_what_was_measured():
    rows = [{"segments": n, "bptt_mb": 10.0 * n if n < 8 else None, "amrb_mb": 10.0 + n,
             "amrb/bptt": 1.3 if n < 8 else None} for n in (1, 4, 8)]  # fmt: skip
    peak, time = figures.memory(rows).axes
    np.testing.assert_array_equal(points(peak, "BPTT"), [[1, 10], [4, 40]])
    np.testing.assert_array_equal(points(peak, "AMRB"), [[1, 11], [4, 14], [8, 18]])
    np.testing.assert_array_equal(time.lines[0].get_xydata(), [[1, 1.3], [4, 1.3]])
    with pytest.raises(InputError, match="expected rows with segments, bptt_mb and amrb_mb"):
        figures.memory([])


def test_throughput_sorts_and_names_models():
    key = "times faster than full attention"
    rows = [{"model": "rmaat", "backward": "amrb", key: 5.0}, {"model": "Peer (pkg 1.0)", "backward": "-", key: 2.0},
            {"model": "broken", "backward": "bptt", key: None}]  # fmt: skip
    (axes,) = figures.throughput(rows).axes
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Peer", "rmaat, amrb"]
    with pytest.raises(InputError, match="rmaat bench model makes them"):
        figures.throughput([])


def test_ablations_draw_differences_with_their_interval():
    flat = {"laws_digest": "b" * 64}
    right = np.arange(2000) < 900
    told = packed(right), packed(right & (np.arange(2000) % 9 > 0))
    rows = [
        row("rmaat", 0, 0.45, right=told[0]), row("flat law", 0, 0.4, **flat, right=told[1]),
        row("flat law", 0, 0.3, **flat, task="text"), row("8 segments", 0, 0.45, same_as="rmaat-0"),
    ]  # fmt: skip
    (axes,) = figures.ablations(rows).axes  # no whole model on text: nothing to differ from
    (point,) = axes.containers
    assert point[0].get_xdata()[0] == pytest.approx(-5.0)
    found = statistics.paired_shares(unpacked(told[1], 2000), unpacked(told[0], 2000))
    assert (found.low, found.high) == pytest.approx((-0.0611, -0.0412), abs=2e-3)  # 100 of 2000 lost, none gained
    ((low, _), (high, _)) = point[2][0].get_segments()[0]
    np.testing.assert_allclose([low, high], [100 * found.low, 100 * found.high])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["flat law"]
    with pytest.raises(InputError, match="expected a finished row 'rmaat'"):
        figures.ablations(rows[2:])
    with pytest.raises(InputError, match="expected a finished row of an ablation beside the whole model"):
        figures.ablations(rows[:1])


def test_influence_draws_runs_that_were_looked_into(made):
    done, half = read_run(made / "runs" / "done"), read_run(made / "runs" / "half")
    output, first = figures.influence([done, half]).axes
    np.testing.assert_allclose(points(output, "done"), [[1, 0.03], [2, 0.1], [3, 0.4], [4, 1.0]])
    np.testing.assert_allclose(points(first, "done, measured"), [[1, 1], [2, 0.5], [4, 0.125]])
    np.testing.assert_allclose(points(first, "by the rule alone"), [[1, 1], [2, 0.25], [4, 0.0625]])
    assert [text.get_text() for text in first.get_xticklabels()] == ["1", "2", "4"]
    with pytest.raises(InputError, match="no run was looked into; expected diagnostics.json"):
        figures.influence([half])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written_the_same_each_time(
    suffix: str, made: Path, datasets: dict[str, xr.Dataset], laws: Laws, tmp_path: Path
) -> None:
    record = read_run(made / "runs" / "done")
    written = []
    for name in ("one", "two"):
        figures.save(figures.overview(list(datasets.values()), laws, record), tmp_path / (name + suffix))
        written.append((tmp_path / (name + suffix)).read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) > 10_000


def test_the_composite_figure_looks_as_it_did(made, datasets, laws, tmp_path):
    """Against a picture that was looked at; it is made anew by `python -m tests.analysis.test_figures`."""
    figures.save(baseline(made, datasets, laws), tmp_path / "now.png")
    with Image.open(tmp_path / "now.png") as now, Image.open(BASELINE) as then:
        assert now.size == then.size
        apart = np.abs(np.asarray(now.convert("L"), dtype=float) - np.asarray(then.convert("L"), dtype=float))
    # Other versions of the font rasteriser move letters by a pixel; a missing curve or panel changes far more.
    assert (apart > 64).mean() < 0.01


def baseline(made, datasets, laws) -> Figure:
    return figures.overview(list(datasets.values()), laws, read_run(made / "runs" / "done"))


def test_overview_without_datasets_or_run(datasets: dict[str, xr.Dataset], laws: Laws, tmp_path: Path) -> None:
    cycle = figures.overview([datasets["ltp"]], laws).axes[0]
    assert [text.get_text() for text in cycle.get_legend().get_texts()] == ["$s$", "$p^s$", "$p^l$"]
    bare = figures.overview([], laws)
    told = [text.get_text() for axes in bare.axes for text in axes.texts]
    assert told == ["no stp or ltp dataset given", "no run given"]
    figures.save(bare, tmp_path / "bare.png")
    with Image.open(tmp_path / "bare.png") as image:
        assert image.size == (9.0 * DPI, 6.5 * DPI)


@pytest.mark.parametrize("noise", ["levels", "dynamics"])
def test_samples_have_their_standard_error_where_it_is_theirs(noise: str) -> None:
    laws = bridge.fit_laws([noisy_ltp(noise)], draws=0)
    axes = figures.overview([], laws).axes[1]
    assert axes.get_ylabel() == "$p^l$ (1)"
    (bars,) = axes.containers
    assert bars.has_yerr == (noise == "levels")
    if bars.has_yerr:
        segments = np.array(bars[2][0].get_segments())
        np.testing.assert_allclose(np.ptp(segments[1:, :, 1], axis=1), 2 * np.array(laws.document.retention.spread))


def test_perturbed_laws_are_marked(laws: Laws) -> None:
    titles = [axes.get_title(loc="left") for axes in figures.overview([], laws.perturbed("slower")).axes]
    assert sum("(perturbed: slower)" in title for title in titles) == 2


def test_other_suffixes_are_refused(laws: Laws, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"figure.gif: expected a name that ends in .png, .svg, .pdf"):
        figures.save(figures.overview([], laws), tmp_path / "figure.gif")
    assert not list(tmp_path.iterdir())


def test_sensitivity_has_a_bar_a_parameter_and_a_panel_an_output():
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
    panels = figures.sensitivity(found).axes
    assert [axes.get_title() for axes in panels] == ["RetentionFactor(1, 16)", "RetentionFactor(16, 16)", "saturation"]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["x", "y"]
    for axes in panels:  # whatever the order of the effects, a parameter has one place
        assert [bar.get_width() for bar in axes.patches] == [-0.8, 0.3]


def recall_rows() -> list[dict]:
    """Two seeds from scratch, one by curriculum: accuracies that tell rule, T and seed apart."""
    rows = [
        {"training": "from scratch", "rule": rule, "seed": seed, "T": total, "steps": 9,
         "accuracy": 0.2 + 0.1 * index + 0.01 * total + 0.002 * seed, "at 2 T": None, "at 4 T": None}
        for index, rule in enumerate(results.RULES) for total in (2, 4, 8, 16) for seed in (0, 1)
    ]  # fmt: skip
    rows += [
        {"training": "curriculum", "rule": rule, "seed": 0, "T": total, "steps": 9,
         "accuracy": 0.9, "at 2 T": 0.5 + 0.1 * index, "at 4 T": 0.01 * total}
        for index, rule in enumerate(results.RULES) for total in (2, 4, 8, 16)
    ]  # fmt: skip
    rows += [
        {"training": "anywhere", "rule": rule, "seed": 0, "T": total, "steps": 9, "accuracy": 0.5, "at 2 T": None,
         "at 4 T": None, "every place": [0.9 - 0.01 * k - 0.1 * index for k in range(total)]}
        for index, rule in enumerate(results.RULES) for total in (2, 16)
    ]  # fmt: skip
    return [*rows, {**rows[0], "training": "no memory", "rule": "none", "accuracy": 0.125}]


def test_recall_draws_every_seed_their_mean_and_chance():
    drawn = figures.recall(recall_rows())
    scratch, eight, sixteen, anywhere = drawn.axes
    assert [text.get_text() for text in scratch.get_xticklabels()] == ["1", "3", "7", "15"]
    assert [text.get_text() for text in eight.get_xticklabels()] == ["T = 8", "2 T = 16", "4 T = 32"]
    assert "mean of 1 to 2" in scratch.get_ylabel()
    for axes in drawn.axes:
        chance = line(axes, "chance")
        assert list(chance.get_ydata()) == [0.125, 0.125]
        assert chance.get_linestyle() == ":"
    for index, rule in enumerate(results.RULES):
        means = {axes: line(axes, rule) for axes in drawn.axes}
        expected = [0.2 + 0.1 * index + 0.01 * total + 0.001 for total in (2, 4, 8, 16)]
        np.testing.assert_allclose(means[scratch].get_ydata(), expected)
        np.testing.assert_allclose(means[eight].get_ydata(), [0.9, 0.5 + 0.1 * index, 0.08])
        np.testing.assert_allclose(means[sixteen].get_ydata(), [0.9, 0.5 + 0.1 * index, 0.16])
        np.testing.assert_allclose(means[anywhere].get_ydata(), 0.9 - 0.01 * np.arange(16) - 0.1 * index)
        colour = means[scratch].get_color()
        dots = [each for each in scratch.lines if each.get_linestyle() == "None" and each.get_color() == colour]
        np.testing.assert_allclose([each.get_ydata() for each in dots], np.add.outer(expected, (-0.001, 0.001)))
    assert len({each.get_marker() for each in scratch.lines if each.get_label() in results.RULES}) == 3


def test_recall_of_a_part_says_what_is_missing():
    rows = [row for row in recall_rows() if row["training"] == "from scratch"]
    texts = [text.get_text() for axes in figures.recall(rows).axes for text in axes.texts]
    assert texts == ["not measured yet"] * 3
    with pytest.raises(InputError, match="expected rows of runs from scratch, or of a curriculum"):
        figures.recall([row for row in recall_rows() if row["training"] == "no memory"])


if __name__ == "__main__":
    import sys
    import tempfile

    import astro_sim
    from tests.analysis.conftest import _write_run
    from tests.analysis.handmade_runs import DIAGNOSTICS

    made_ = {name: astro_sim.simulate(name) for name in ("stp", "ltp", "spatial", "frequency")}
    laws_ = bridge.fit_laws([made_[name] for name in ("ltp", "spatial", "frequency")])
    with tempfile.TemporaryDirectory() as folder:
        _write_run(Path(folder) / "runs" / "done", laws_, diagnostics=DIAGNOSTICS)
        figures.save(baseline(Path(folder), made_, laws_), BASELINE)
    sys.exit(0)
