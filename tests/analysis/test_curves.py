"""The numbers behind the pictures."""

import numpy as np
import pytest
import xarray as xr

import bridge
from analysis.curves import (
    distinct,
    law_level,
    per_synapse,
    retention_curves,
    series,
    stimulus_on,
    thin,
)
from bridge.laws import Laws


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


def test_retention_band_holds_the_law_and_shares_sum_to_one(datasets: dict[str, xr.Dataset]) -> None:
    ltp = datasets["ltp"].copy(deep=True)
    wave = 0.01 * np.cos(np.arange(ltp.sizes["cycle"]))  # stands in for noise: without any there is no interval
    levels = ltp["p_l_cycle"]
    ltp["p_l_cycle"] = (levels + xr.DataArray(wave, dims="cycle") * (ltp["cycle"] > 0)).assign_attrs(levels.attrs)
    for curve in retention_curves(bridge.fit_laws([ltp])):
        assert curve.low is not None
        assert curve.high is not None
        assert (curve.low <= curve.factor).all()
        assert (curve.factor <= curve.high).all()
        assert curve.factor.sum() == pytest.approx(1.0)
        assert curve.extrapolates == (curve.total > 6)


def test_no_interval_no_band(laws: Laws) -> None:
    document = laws.document.model_copy(deep=True)
    number = document.retention.parameters["tau"]
    parameters = {"tau": number.model_copy(update={"low": None, "high": None})}
    retention = document.retention.model_copy(update={"parameters": parameters})
    without = Laws(document.model_copy(update={"retention": retention}))
    assert all(curve.low is None for curve in retention_curves(without))


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
