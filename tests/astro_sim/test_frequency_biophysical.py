"""Astrocytic calcium against presynaptic rate in the biophysical model."""

import numpy as np
import pytest

import astro_sim

pytestmark = pytest.mark.biology


def test_blocked_receptors_leave_calcium_at_rest(short):
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
    assert float(blocked["calcium"].max()) < 0.1 < float(short("frequency")["calcium"].max())


def test_regular_trains_give_every_repetition_the_same():
    run = astro_sim.simulate(
        "frequency", "biophysical", rates=[1.0, 2.0, 4.0], repetitions=2, transient=1.0, window=2.0, train="regular"
    )
    assert np.ptp(run["calcium"].values, axis=1).max() == 0.0


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
