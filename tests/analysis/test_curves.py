"""The numbers behind the pictures."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import bridge
from analysis.curves import (
    distinct,
    drawn_spread,
    hidden_spread,
    law_level,
    law_path,
    per_synapse,
    retention_curves,
    series,
    stimulus_on,
    thin,
)
from bridge.laws import Laws
from tests.analysis.handmade import noisy_ltp


def test_thin_leaves_short_curves_alone() -> None:
    x, y = thin(np.arange(2000), np.arange(2000))
    np.testing.assert_array_equal(y, np.arange(2000))
    assert len(x) == 2000


@pytest.mark.parametrize("size", [2001, 2999, 4000, 123_457])
def test_thin_keeps_ends_extremes_and_order(size: int) -> None:
    generator = np.random.default_rng(size)
    x, y = np.arange(size, dtype=float), generator.standard_normal(size)
    few_x, few_y = thin(x, y)
    assert len(few_x) <= 2000
    assert (np.diff(few_x) > 0).all()
    assert (few_x[0], few_x[-1]) == (0, size - 1)
    assert (few_y.min(), few_y.max()) == (y.min(), y.max())
    np.testing.assert_array_equal(few_y, y[few_x.astype(int)])


def test_thin_does_not_alias_a_square_wave() -> None:
    x = np.arange(100_000)
    wave = (x // 50) % 2  # every stride of 100 would see a constant
    _, y = thin(x, wave)
    assert 0.4 < y.mean() < 0.6


def test_distinct_merges_synapses_that_symmetry_makes_equal(datasets: dict[str, xr.Dataset]) -> None:
    stp = datasets["stp"]
    lines = {str(name): distinct(per_synapse(stp["p_s"].sel(layout=name))).shape[1] for name in stp["layout"].values}
    assert lines["equidistant"] == 1
    # Corners, centre, and two kinds of edges: synapses drive the post-, not the presynaptic neurons.
    assert lines["grid"] == 4
    assert lines["line"] == 5


def test_stimulus_periods_are_those_of_the_protocol(datasets: dict[str, xr.Dataset]) -> None:
    expected = [(10.0 * cycle, 10.0 * cycle + 5.0) for cycle in range(6)]
    np.testing.assert_allclose(stimulus_on(datasets["ltp"]), expected)
    assert stimulus_on(datasets["ltp"].drop_vars(["input_pre", "input_post"])) == []


def test_law_level_is_data_minus_residuals(laws: Laws) -> None:
    law = laws.document.retention
    cycles = np.arange(1, laws.fitted_cycles + 1)
    np.testing.assert_allclose(law_level(laws, cycles), np.subtract(law.samples, law.residuals), rtol=1e-12)
    assert law_level(laws, 0.0) == law.start


def test_retention_band_is_that_of_the_resampled_laws_and_shares_sum_to_one(laws: Laws) -> None:
    draws = laws.document.retention.draws
    assert draws is not None
    for curve in retention_curves(laws):
        tables = [laws.family.retention(curve.total, draws.draw(k)) for k in range(draws.count)]
        np.testing.assert_allclose(curve.low, np.quantile(tables, 0.025, axis=0))
        np.testing.assert_allclose(curve.high, np.quantile(tables, 0.975, axis=0))
        assert curve.factor.sum() == pytest.approx(1.0)
        assert curve.extrapolates == (curve.total > 6)


def test_no_draws_no_band_and_perturbed_weights_extrapolate_nothing(laws: Laws) -> None:
    without = laws.document.retention.model_copy(update={"draws": None})
    bare = Laws(laws.document.model_copy(update={"retention": without}))
    assert all(curve.low is None and curve.high is None for curve in retention_curves(bare))
    for curve in retention_curves(laws.perturbed("flat")):
        assert (curve.low, curve.extrapolates) == (None, False)
        np.testing.assert_allclose(curve.factor, 1 / curve.total)
    assert retention_curves(laws.perturbed("reversed"))[-1].extrapolates


def test_spread_is_drawn_where_noise_enters_the_samples() -> None:
    levels, dynamics = (bridge.fit_laws([noisy_ltp(noise)], draws=0) for noise in ("levels", "dynamics"))
    assert (levels.document.retention.noise, dynamics.document.retention.noise) == ("levels", "dynamics")
    np.testing.assert_array_equal(drawn_spread(levels), levels.document.retention.spread)
    assert dynamics.document.retention.spread is not None
    assert drawn_spread(dynamics) is None


def test_a_spread_that_no_one_would_see_is_not_drawn(laws: Laws) -> None:
    law = laws.document.retention
    assert law.spread is not None
    assert drawn_spread(laws) is None
    assert hidden_spread(laws) == max(law.spread)
    seen = [0.02 * law.samples[-1] for _ in law.samples]
    wide = Laws(laws.document.model_copy(update={"retention": law.model_copy(update={"spread": seen})}))
    np.testing.assert_array_equal(drawn_spread(wide), seen)
    assert hidden_spread(wide) is None
    (curve,) = retention_curves(laws, [16])
    assert curve.low is not None
    assert curve.edges is None
    broad = dataclasses.replace(curve, high=curve.low + 0.02 * curve.factor.max())
    assert broad.width == pytest.approx(0.02)
    assert broad.edges is not None


def test_law_path_reads_the_parameters_of_training_rows() -> None:
    rows = [
        {"split": "train", "step": 1, "loss": 2.0, "laws": {"tau": 6.0}},
        {"split": "valid", "step": 1, "loss": 2.0},
        {"split": "train", "step": 2, "loss": 2.0, "laws": {"tau": 7.0}},
    ]
    steps, values = law_path(rows, "tau")
    assert (steps.tolist(), values.tolist()) == ([1, 2], [6.0, 7.0])
    assert law_path(rows, "b")[0].size == 0


def test_series_skips_rows_without_the_metric() -> None:
    rows = [
        {"split": "train", "step": 1, "loss": 2.0},
        {"split": "train", "step": 2, "loss": None},
        {"split": "valid", "step": 2, "loss": 1.5},
        {"split": "train", "step": 3, "loss": 1.0, "accuracy": 0.5},
    ]
    steps, values = series(rows, "train", "loss")
    assert (steps.tolist(), values.tolist()) == ([1, 3], [2.0, 1.0])
    assert series(rows, "test", "loss")[0].size == 0
