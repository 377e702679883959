"""Astrocytic calcium against presynaptic rate in the biophysical model."""

import numpy as np
import pytest

import astro_sim
from astro_sim import observables
from astro_sim.common.errors import InputError
from bridge.other_laws import presynaptic_exponent

pytestmark = pytest.mark.biology


@pytest.fixture(scope="module")
def run():
    return astro_sim.simulate(
        "frequency", "biophysical", rates=[0.5, 2.0, 10.0, 50.0], repetitions=2, transient=5.0, window=15.0
    )


def test_calcium_grows_with_the_rate(run):
    mean = run["calcium"].mean("repetition").values
    assert (np.diff(mean) > 0).all()
    assert (run["calcium_peak"] >= run["calcium"]).all()


def test_observables_are_those_of_the_recorded_traces(run):
    inside = run["C"].sel(time=slice(5.0 - 1e-9, None))
    np.testing.assert_allclose(run["calcium"], inside.mean("time"), rtol=1e-12)
    np.testing.assert_allclose(run["calcium_peak"], inside.max("time"), rtol=0)
    flat = inside.values.reshape(len(inside["time"]), -1)
    events = observables.calcium_events(inside["time"].values, flat, 0.5)
    np.testing.assert_array_equal(run["event_count"].values.ravel(), events.count)


def test_the_exponent_can_be_fitted_to_it(run):
    """To all four rates: two of them alone lie within 1 to 10 Hz."""
    slope = np.polyfit(np.log(run["rate"]), np.log(run["calcium"].mean("repetition")), 1)[0]
    assert presynaptic_exponent(run).value == pytest.approx(slope, rel=1e-9)


def test_blocked_receptors_leave_calcium_at_rest(run):
    blocked = astro_sim.simulate(
        "frequency",
        "biophysical",
        rates=[0.5, 2.0, 50.0],
        repetitions=1,
        transient=5.0,
        window=5.0,
        knockouts=["receptors"],
    )
    assert np.ptp(blocked["calcium"].values) == 0.0
    assert float(blocked["calcium"].max()) < 0.1 < float(run["calcium"].max())


def test_regular_trains_give_every_repetition_the_same():
    run = astro_sim.simulate(
        "frequency", "biophysical", rates=[1.0, 2.0, 4.0], repetitions=2, transient=1.0, window=2.0, train="regular"
    )
    assert np.ptp(run["calcium"].values, axis=1).max() == 0.0


@pytest.mark.parametrize("rates", [[0.0, 1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 2.0]])
def test_wrong_rates_are_refused(rates):
    with pytest.raises(InputError, match="^rates: expected"):
        astro_sim.simulate("frequency", "biophysical", rates=rates)


def test_halving_the_step_moves_calcium_by_less_than_half_a_percent():
    whole, half = (
        astro_sim.simulate(
            "frequency", "biophysical", rates=[1.0, 4.0, 10.0], repetitions=1, transient=5.0, window=10.0,
            train="regular", dt=dt,
        )
        for dt in (1e-3, 5e-4)
    )  # fmt: skip
    for name in ("calcium", "calcium_peak", "r_S_mean", "Gamma_S_mean"):
        np.testing.assert_allclose(half[name], whole[name], rtol=5e-3)
