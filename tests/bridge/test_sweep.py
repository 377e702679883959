"""The law at every point of a sweep."""

import numpy as np
import pytest

import astro_sim
import bridge
from astro_sim.common.errors import InputError

FAST = {"cycles": 12, "burn_in": 3, "interval": 1.0}


def test_the_linear_law_has_its_closed_form_at_every_point():
    """tau = tau_p_l / (gamma_l tau_cycle) cycles, whatever the coupling."""
    runs = astro_sim.sweep("ltp", {"tau_p_l": [30, 60], "coupling": [0.1, 0.9], "tau_cycle": [10, 20]}, **FAST)
    laws = bridge.fit_sweep(runs)
    assert [tuple(law.point.values()) for law in laws[:3]] == [(30, 0.1, 10), (30, 0.1, 20), (30, 0.9, 10)]
    assert len(laws) == 8
    for law in laws:
        tau = law.point["tau_p_l"] / law.point["tau_cycle"]
        assert law.fit.values["tau"] == pytest.approx(tau, rel=1e-3)  # three cycles of burn-in leave s 1e-4 away
        q = np.exp(-1 / law.fit.values["tau"])
        np.testing.assert_allclose(law.retention(8), (1 - q) * q ** np.arange(8) / (1 - q**8), rtol=1e-12)
        np.testing.assert_allclose(law.level(np.arange(13.0)), law.curve.levels, atol=1e-3 * law.curve.levels[-1])


def test_a_list_of_laws_is_read_at_a_glance():
    """The example of the docstring, as it is printed there."""
    runs = astro_sim.sweep("ltp", {"tau_p_l": [30, 60]}, cycles=12, burn_in=3)
    told = repr(bridge.fit_sweep(runs))
    assert told == "[SweptLaw(tau_p_l=30.0: exponential, tau 3), SweptLaw(tau_p_l=60.0: exponential, tau 6)]"
    assert told in (bridge.fit_sweep.__doc__ or "")


def test_only_residuals_that_count_as_noise_give_an_interval():
    runs = astro_sim.sweep("ltp", {"tau_s": [0.5, 5.0]}, cycles=12, interval=1.0)  # from rest; slow facilitation lags
    quiet, noisy = (each.fit for each in bridge.fit_sweep(runs))
    assert (quiet.noisy, noisy.noisy) == (False, True)
    assert np.isnan(quiet.parameters["tau"].low)
    assert noisy.parameters["tau"].low < noisy.values["tau"] < noisy.parameters["tau"].high


def test_seeds_and_layouts_are_repetitions():
    """Their mean curve has the law that fit_laws finds in the same sweep."""
    runs = astro_sim.sweep("ltp", {"seed": [0, 1], "tau_p_l": [30, 60], "layout": ["ring", "grid"]}, **FAST)
    laws = bridge.fit_sweep(runs)
    assert [law.point for law in laws] == [{"tau_p_l": 30}, {"tau_p_l": 60}]
    alone = astro_sim.sweep("ltp", {"seed": [0, 1], "layout": ["ring", "grid"]}, tau_p_l=60, **FAST)
    whole = bridge.fit_laws([alone], family="exponential", draws=0)
    np.testing.assert_allclose(laws[1].curve.levels[1:], whole.document.retention.samples, rtol=1e-12)
    assert laws[1].fit.values["tau"] == pytest.approx(whole.parameters["tau"], rel=1e-3)


def test_points_that_differ_in_cycles_or_failed():
    """Shorter ones are filled up in the file; one that fails says why and takes no other with it."""
    runs = astro_sim.sweep("ltp", {"cycles": [6, 12], "dt": [0.005, 1.0]}, burn_in=0, interval=1.0, method="euler")
    short, failed, long, _ = bridge.fit_sweep(runs)
    assert (short.fit.cycles, long.fit.cycles) == (6, 12)
    assert failed.fit is None
    assert failed.failure
    assert repr(failed) == f"SweptLaw(cycles=6, dt=1.0: no law, {failed.failure})"
    with pytest.raises(InputError, match="no law at .*'dt': 1.0"):
        failed.retention(4)


def test_other_families_and_wrong_input():
    runs = astro_sim.sweep("ltp", {"tau_p_l": [30, 60]}, **FAST)
    assert set(bridge.fit_sweep(runs, "stretched_exponential")[0].fit.values) == {"tau", "b"}
    for dataset, family, message in (
        (runs, "spline", "family: expected a parametric one, got 'spline'"),
        (runs, "exponental", "unknown law family 'exponental'; did you mean 'exponential'"),
        (astro_sim.simulate("ltp"), "exponential", "expected a sweep of ltp"),
        (astro_sim.sweep("spatial", {"coupling": [0.1, 0.5]}), "exponential", "expected a sweep of ltp"),
    ):
        with pytest.raises(InputError, match=message):
            bridge.fit_sweep(dataset, family)
