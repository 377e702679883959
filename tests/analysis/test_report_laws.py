"""What the report says of a law: how well it is known, what its evidence is worth, what was done to it on purpose."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bridge
from analysis.collect import Inputs, LawsFile, collect
from analysis.curves import TOTALS, VISIBLE, retention_curves
from analysis.report.law import factors, law_fit, over_data, retention
from analysis.report.parts import Plot, Table, Text, typeset
from analysis.report.provenance import fit, train
from analysis.report.runs import run_sentence, training
from bridge import describe, evidence, families
from bridge.families.base import total_variation
from bridge.laws import PERTURBATIONS, WEIGHTS, Laws
from bridge.schema import Number
from rmaat.records import TRAINED_LAWS, read_run
from tests.analysis.handmade import noisy_ltp

Writer = Callable[..., Path]


@pytest.fixture(scope="module")
def noisy() -> dict[str, Laws]:
    return {noise: bridge.fit_laws([noisy_ltp(noise)], "exponential", draws=20) for noise in ("levels", "dynamics")}


@pytest.fixture(scope="module")
def short() -> Laws:
    """A curve that ends far below its saturation."""
    return bridge.fit_laws([noisy_ltp("levels", cycles=8, tau=12.0)], family="exponential", draws=20)


def changed(laws: Laws, **fields: Any) -> Laws:
    law = laws.document.retention.model_copy(update=fields)
    return Laws(laws.document.model_copy(update={"retention": law}))


def given(laws: Laws) -> Inputs:
    return Inputs(laws=[LawsFile(Path("laws.json"), laws)])


def of(kind: type, parts: list[Any]) -> list[Any]:
    return [part for part in parts if isinstance(part, kind)]


def told(laws: Laws) -> str:
    return typeset(" ".join([*describe.findings(laws), *describe.values(laws), *describe.doubts(laws, TOTALS)]))


def notes(laws: Laws) -> str:
    return " ".join(part.text for part in of(Text, retention(given(laws))) if part.note)


def trained(laws: Laws, factor: float = 1.5) -> Laws:
    values = {name: factor * value for name, value in laws.parameters.items()}
    return laws.with_parameters(values, "trained, from the law that the simulation gave")


def test_families_tried_with_every_criterion_and_the_distance(noisy: dict[str, Laws]) -> None:
    laws = noisy["levels"]
    (table,) = [part for part in of(Table, retention(given(laws))) if part.caption.startswith("Families")]
    at = {name: list(table.columns).index(name) for name in ("AICc", "BIC", "held-out error", "distance")}
    for row, candidate in zip(table.rows, laws.document.retention.candidates, strict=True):
        assert len(row) == len(table.columns)
        for name, value in (("AICc", candidate.aicc), ("BIC", candidate.bic), ("held-out error", candidate.held_out)):
            assert value is not None
            assert float(row[at[name]].replace("−", "-")) == pytest.approx(value, rel=0.05)
        other = families.get(candidate.family).retention(16, candidate.parameters)
        assert float(row[at["distance"]].replace("−", "-")) == pytest.approx(
            total_variation(other, laws.retention(16)), rel=0.05, abs=1e-9
        )


def test_criteria_that_are_unknown_are_dashes(laws: Laws) -> None:
    bare = [each.model_copy(update={"bic": None, "held_out": None}) for each in laws.document.retention.candidates]
    (table,) = [p for p in of(Table, retention(given(changed(laws, candidates=bare)))) if "BIC" in p.columns]
    at = list(table.columns).index("BIC")
    assert {(row[at], row[at + 1]) for row in table.rows} == {("none", "none")}


def test_how_the_family_was_chosen(noisy: dict[str, Laws], laws: Laws) -> None:
    assert "; lowest AICc of 6 families;" in told(bridge.fit_laws([noisy_ltp("levels", seed=1)], draws=0))
    candidates = laws.document.retention.candidates
    better = [candidates[0], candidates[1].model_copy(update={"aicc": (candidates[0].aicc or 0.0) - 1.0})]
    asked = told(changed(laws, candidates=better))
    assert "; asked for (of 2 families stretched exponential has the lowest AICc);" in asked


def test_residuals_too_small_to_choose_by_are_told_with_the_choice(laws: Laws, noisy: dict[str, Laws]) -> None:
    """AICc counts them as equally large, so that the number of parameters decides."""
    assert noisy["levels"].document.retention.indistinct == []
    equal = laws.document.retention.indistinct
    floor = {"exponential", "stretched_exponential"}
    assert floor <= set(equal)
    few = (
        f"({len(equal)} of 6 families leave residuals below 0.1\N{NO-BREAK SPACE}% of the rise, too small to choose by"
    )
    assert f"; fewest parameters {few});" in told(laws)
    assert "lowest AICc" not in told(laws)
    law = laws.document.retention
    other = next(each for each in law.candidates if each.family == "stretched_exponential")
    values = {
        name: Number(value=value, stderr=None, low=None, high=None, unit={"tau": "cycles"}.get(name, "1"), origin="fit")
        for name, value in other.parameters.items()
    }
    concave = bool(families.get(other.family).concave(other.parameters))
    asked = changed(laws, family=other.family, parameters=values, draws=None, concave=concave)
    assert f"; asked for {few}; exponential has the lowest AICc);" in told(asked)

    def caption(each: Laws) -> str:
        return next(p.caption for p in of(Table, retention(given(each))) if p.caption.startswith("Families"))

    counted = "AICc and BIC count residuals below 0.1\N{NO-BREAK SPACE}% of the rise as that large."
    assert counted in caption(laws)
    assert counted not in caption(noisy["levels"])


def test_what_cannot_be_seen_is_not_announced(laws: Laws, noisy: dict[str, Laws]) -> None:
    """The synapses of the linear macro model differ in their saturation, not in their time constant."""
    assert laws.document.retention.draws is not None
    for each in (laws, noisy["levels"]):
        width = max(curve.width for curve in retention_curves(each))
        share = describe.percent(width)
        assert f"is {share} of the largest factor wide at most" in told(each).replace("\N{NO-BREAK SPACE}", " ")

    def shown(each: Laws) -> tuple[str, list[str], list[Any]]:
        parts = [*over_data(given(each)), *retention(given(each))]
        table = next(part for part in of(Table, parts) if "basis" in part.columns)
        captions = " ".join(part.caption for part in of(Plot, parts))
        return captions, [row[3] for row in table.rows], factors(each).data

    captions, bands, traces = shown(laws)
    assert "Band:" not in captions
    assert "Bars:" not in captions
    assert "No bars: the standard error of the mean is at most " in captions
    assert "95 % of resampled laws" not in [trace.name for trace in traces]
    captions, bands, traces = shown(noisy["levels"])
    assert "Band: 95 % of resampled laws." in captions
    assert "Bars: standard error of the mean." in captions
    assert all(" to " in each for each in bands)
    wide = [curve for curve in retention_curves(noisy["levels"]) if curve.width > VISIBLE]
    assert [trace.name for trace in traces].count("95 % of resampled laws") == len(wide) == 3


def test_the_band_is_explained(noisy: dict[str, Laws], laws: Laws) -> None:
    text = told(noisy["levels"])
    assert "holds 95\N{NO-BREAK SPACE}% of 20 resampled laws (replicates drawn with replacement" in text
    for place in (text, notes(noisy["levels"])):
        assert describe.BAND in place
    none = changed(laws, draws=None)
    assert "RetentionFactor has no band: nothing repeats" in told(none)
    assert "No band says how far off it may be." in notes(none)
    assert "Band:" not in next(p.caption for p in of(Plot, retention(given(none))))


def test_where_noise_enters_and_how_that_is_known(noisy: dict[str, Laws]) -> None:
    assert "through the samples, each of which is read with an error of its own (deviations of 21" in told(
        noisy["levels"]
    )
    assert "through the dynamics, where a cycle starts from the end of the last one" in told(noisy["dynamics"])


@pytest.mark.parametrize(
    ("value", "expected"), [(0.39, "within 1.96 / sqrt(24) = 0.4."), (-0.41, "beyond 1.96 / sqrt(24) = 0.4, the")]
)
def test_autocorrelation_beyond_its_limit_is_flagged(noisy: dict[str, Laws], value: float, expected: str) -> None:
    text = told(changed(noisy["levels"], autocorrelation=value))
    assert f" by {value:.2g}, ".replace("-", "−") + expected in text
    assert ("the law or the kind of noise is wrong" in text) == (abs(value) > 1.96 / np.sqrt(24))


def test_residuals_of_an_exact_fit_are_not_correlated(laws: Laws) -> None:
    exact = changed(laws, residuals=[1e-17, -1e-17, 0.0, 0.0, 0.0, 0.0], autocorrelation=-0.9)
    assert re.search(
        r"Residuals are negligible: at most [\d.]+e−15\s% of the saturation, and below 0.1\s%", told(exact)
    )
    assert "correlated" not in told(exact)


def test_residuals_below_the_resolution_get_one_verdict(laws: Laws, noisy: dict[str, Laws]) -> None:
    """Correlated as those of a deterministic run are, they say nothing of a wrong law or of a kind of noise."""
    law = laws.document.retention
    assert law.noise_origin == describe.NO_NOISE
    small = changed(laws, deviation=3e-7 * law.amplitude.value, autocorrelation=0.95)
    assert "Residuals are negligible: at most" in told(small)
    for contrary in ("correlated", "noise is wrong", "Noise is taken", "no noise to place"):
        assert contrary not in told(small)
    large = changed(laws, deviation=0.01 * law.amplitude.value, autocorrelation=0.95)
    assert "No noise to place: another family follows the curve to within 0.1" in told(large)
    assert "the law or the kind of noise is wrong" in told(large)
    assert "negligible" not in told(noisy["levels"])


def test_a_law_that_its_curve_does_not_tell_is_marked(short: Laws, laws: Laws) -> None:
    law = short.document.retention
    assert not law.identifiable
    for text in (told(short), notes(short)):
        assert "NOT identifiable: " in text
        assert f"reached {100 * law.reached:.0f}\N{NO-BREAK SPACE}% of the fitted saturation, below the 60" in text
        assert "rely on the band of RetentionFactor, not on the parameters" in text
    assert "there are no resampled laws to give a band" in told(changed(short, draws=None))
    assert "NOT identifiable" not in told(laws) + notes(laws)
    # Weights that stand in for the parameters need none; reversed ones do, and have no band.
    assert "NOT identifiable" not in told(short.perturbed("flat")) + notes(short.perturbed("flat"))
    assert "reversed laws have no band" in notes(short.perturbed("reversed"))


@pytest.mark.parametrize("noise", ["levels", "dynamics"])
def test_the_law_plot_has_standard_errors_where_they_are_those_of_the_samples(
    noise: str, noisy: dict[str, Laws]
) -> None:
    (plot,) = [part for part in of(Plot, over_data(given(noisy[noise]))) if "over pˡ" in part.caption]
    drawn = {trace.name: trace for trace in plot.figure.data}
    bars = drawn["simulated, cycle ends"].error_y.array
    if noise == "levels":
        np.testing.assert_allclose(bars, [0.0, *noisy[noise].document.retention.spread], rtol=1e-6)
        assert "Bars: standard error of the mean." in plot.caption
    else:
        assert bars is None
        assert "the standard errors known are those of the increments" in plot.caption
        assert "data minus the step that the law predicts" in drawn
    assert plot.figure.layout.yaxis.title.text == "p<sup>l</sup> (1)"
    assert "a.u." not in plot.caption


def test_standard_errors_follow_a_thinned_curve(noisy: dict[str, Laws]) -> None:
    n = 3000
    t = np.arange(1, n + 1)
    fields = {"fitted_cycles": n, "samples": list(1 - np.exp(-t / 6)), "residuals": [0.0] * n, "spread": list(t / n)}
    figure = law_fit(changed(noisy["levels"], **fields))
    trace = next(trace for trace in figure.data if trace.name == "simulated, cycle ends")
    np.testing.assert_allclose(trace.error_y.array, trace.x / n, rtol=1e-5)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_perturbed_laws_say_so_everywhere(kind: str, laws: Laws) -> None:
    other = laws.perturbed(kind, factor=3.0, seed=5)
    for text in (told(other), notes(other)):
        assert f"Perturbed on purpose: {kind} (" in text
        assert PERTURBATIONS[kind] in text
        assert f"digest {laws.digest[:12]}. " in text
        assert ("factor 3" in text) == (kind in ("faster", "slower"))
        assert ("seed 5" in text) == (kind in ("random", "posterior"))
    assert ("The parameters were not fitted" in told(other)) == (kind not in WEIGHTS)
    (plot,) = [part for part in of(Plot, over_data(given(other))) if "over pˡ" in part.caption]
    assert f"These laws are perturbed on purpose ({kind})" in plot.caption
    drawn = factors(other).data
    np.testing.assert_allclose(drawn[-1].y, other.retention(32), rtol=1e-5)
    command = fit(LawsFile(Path("laws.json"), other), Inputs())
    assert f".perturbed('{kind}'".replace("'", "'\"'\"'") in command


def test_flat_laws_rest_on_no_cycle(laws: Laws) -> None:
    flat = laws.perturbed("flat")
    assert "is extrapolation" not in notes(flat)
    assert "RetentionFactor does not rest on them." in told(flat)
    table = next(part for part in of(Table, retention(given(flat))) if "basis" in part.columns)
    assert {row[-1] for row in table.rows} == {"perturbed weights"}


def test_evidence_of_the_nearest_setting(laws: Laws, noisy: dict[str, Laws]) -> None:
    def setting(each: Laws) -> set[tuple[Any, ...]]:
        return {(row["noise in"], row["cycles"], row["noise"]) for row in evidence.nearest(each.document.retention)}

    assert setting(laws) == {("levels", 6, 0.01)}
    assert setting(noisy["dynamics"]) == {("dynamics", 24, 0.01)}
    law = noisy["levels"].document.retention
    assert setting(changed(noisy["levels"], deviation=0.003 * law.amplitude.value)) == {("levels", 24, 0.002)}
    assert setting(changed(noisy["levels"], deviation=None)) == {("levels", 24, 0.01)}


def test_confusion_matrix_stands_once_with_its_sentence(laws: Laws) -> None:
    parts = retention(given(laws))
    (table,) = [
        part for part in of(Table, parts) if part.caption.startswith("What AICc takes 100 simulated curves for")
    ]
    rows = evidence.selection("levels", cycles=6)
    assert [row[1:7] for row in table.rows] == [[str(row[name]) for name in families.FAMILIES] for row in rows]
    assert list(table.columns) == [
        *("truth", "exponential", "double exponential", "stretched exponential", "hill", "power law", "logistic"),
        *("right shape", "distance"),
    ]
    (text,) = [part.text for part in of(Text, parts) if part.text.startswith("How little")]
    for row in rows:
        assert f"{row['exponential']} {row['truth'].replace('_', ' ')}" in text
    assert "AICc takes 100 exponential curves for exponential, rightly, and " in text
    right = np.mean([row[row["truth"]] for row in rows])
    assert f"finds the right family for {right:.3g} of 100 curves" in text
    farthest = [row["95th of distances"] for row in rows]
    assert f"within {min(farthest):.2g} to {max(farthest):.2g} of the truth" in text


def test_where_training_moved_the_law(laws: Laws, tmp_path: Path, write_run: Writer) -> None:
    run = write_run(tmp_path / "mine", laws)
    after = trained(laws)
    after.save(run / TRAINED_LAWS)
    tau = laws.parameters["tau"]
    rows = [
        {"split": "train", "step": step, "loss": 1.0, "accuracy": 0.5, "laws": {"tau": tau * (1 + step / 20)}}
        for step in range(1, 11)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = read_run(run)
    parts = training(collect([run]))
    moved, distances = of(Table, parts)
    assert moved.caption.startswith("mine: Where training moved the law")
    assert moved.rows == [["tau", "cycles", f"{tau:.4g}", f"{1.5 * tau:.4g}", "1.5"]]
    assert [row[0] for row in distances.rows] == ["4", "8", "16"]
    for row in distances.rows:
        expected = total_variation(laws.retention(int(row[0])), after.retention(int(row[0])))
        assert float(row[1]) == pytest.approx(expected, rel=0.05)
    figures = [part.figure for part in of(Plot, parts)]
    lines = {trace.name: trace for figure in figures for trace in figure.data}
    np.testing.assert_allclose(lines["before training"].y, laws.retention(16), rtol=1e-6)
    np.testing.assert_allclose(lines["after"].y, after.retention(16), rtol=1e-6)
    np.testing.assert_allclose(lines["tau"].x, np.arange(11))
    np.testing.assert_allclose(lines["tau"].y, 1 + np.arange(11) / 20, rtol=1e-6)
    sentence = run_sentence("mine", record)
    assert (
        f"Training moved its law: tau from {tau:.4g} to {1.5 * tau:.4g} cycles; RetentionFactor(., 16) by" in sentence
    )
    assert "The parameters were not fitted (trained, from the law that the simulation gave)" in told(after)


def test_runs_that_left_the_law_alone_say_nothing_of_it(made: Path) -> None:
    record = read_run(made / "runs" / "done")
    assert not of(Table, training(collect([record.path])))
    assert "its law:" not in run_sentence("mine", record)
    assert "on purpose" not in run_sentence("mine", record)


def test_a_run_with_perturbed_laws_says_so(laws: Laws, tmp_path: Path, write_run: Writer) -> None:
    settings = {"trainable": False, "perturbed": "slower", "factor": 3.0, "seed": 0}
    run = write_run(tmp_path / "run", laws.perturbed("slower", 3.0), law_settings=settings)
    expected = "Its laws were perturbed on purpose: slower (time constants multiplied by a factor"
    assert expected + "; factor 3)." in run_sentence("run", read_run(run))
    # The laws before are given: they are perturbed again. Else the run's own, which are perturbed already.
    laws.save(tmp_path / "laws.json")
    inputs = collect([tmp_path / "laws.json", run])
    both = train(inputs.runs[0], inputs)
    assert f"--laws {tmp_path / 'laws.json'}" in both
    assert "--set laws.perturbed=slower" in both
    alone = train(inputs.runs[0], collect([run]))
    assert f"--laws {run / 'laws.json'}" in alone
    assert "laws.perturbed" not in alone
    assert "--set laws.trainable=false" in alone
