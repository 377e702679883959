"""What the experiments on Brian2 measure, on one short run of each; longer ones have the mark `biology`."""

import numpy as np
import pytest

import bridge
from astro_sim import observables
from astro_sim.biophysical import endocannabinoid
from bridge.short_term import presynaptic_exponent
from tests.astro_sim.evaluator import UM, an_synapse


def test_paired_pulses_follow_the_closed_form(short):
    u = 0.6 + 0.24 * np.exp(-3.33 * 0.05)
    expected = u * (1 - 0.6 * np.exp(-2.0 * 0.05)) / 0.6
    # The solver's own error; so early, no modulation has bound a receptor
    np.testing.assert_allclose(short("stp")["paired_pulse_ratio"], expected, rtol=1e-7)


def test_ends_of_cycles_are_on_the_trace(short):
    run = short("ltp")
    ends = run["p_l"].sel(time=0.5 * run["cycle"].values, method="nearest", tolerance=1e-9)
    np.testing.assert_array_equal(ends.values, run["p_l_cycle"].values)
    np.testing.assert_array_equal(run["p_l_end"].values, run["p_l_cycle"].isel(cycle=-1).values)
    np.testing.assert_allclose(run["w_cycle"], 1 + 4 * run["p_l_cycle"], rtol=1e-12)


def test_cycles_give_a_curve_that_rises_and_is_read_by_the_bridge(short):
    run = short("ltp")
    curve = run["p_l_cycle"].mean(("repetition", "synapse"))
    assert float(curve[0]) == 0.0
    assert curve[-1] > curve[1] > 0.02
    laws = bridge.fit_laws([run], "exponential", draws=0)
    assert laws.fitted_cycles == 5
    assert laws.retention(16).sum() == pytest.approx(1.0, rel=1e-12)


def test_the_nine_synapses_lie_around_the_active_one_and_answer_less_with_distance(short):
    nine, root = short("spatial"), np.sqrt(2.0)
    np.testing.assert_allclose(nine["distance"], [[root, 1, root], [1, 0, 1], [root, 1, root]], rtol=1e-15)
    for name in ("p_s_peak", "C_peak"):
        assert nine[name].values[1, 1] > nine[name].values[0, 1] > nine[name].values[0, 0] > 0
    peak = nine["p_s_peak"].values
    # Between equal cells a flow of F (1 - tanh(I_Theta/omega_I))/2 = 6e-7 uM/s changes its sign with rounding, in
    # steps of 2 ms; a process has eight neighbours
    np.testing.assert_allclose(peak, np.rot90(peak), rtol=0, atol=8 * 6e-7 * 0.002)
    # From the driven process directly, and from the others while they differ by less than I_Theta: next to nothing
    silent = nine["distance"].values > 0
    assert (peak < 0.09 * np.exp(-nine["distance"].values) * 3.5)[silent].all()


def test_only_the_active_process_has_a_calcium_event(short):
    nine = short("spatial")
    C, alone = nine["C"].max("time").values, np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert C[1, 1] > 0.5
    assert (C[alone == 0] < 0.1).all()
    np.testing.assert_array_equal(nine["event_count"], alone)
    np.testing.assert_array_equal(nine["release_count"], alone)


def test_observables_are_those_of_the_recorded_traces_and_calcium_grows_with_the_rate(short):
    run = short("frequency")
    inside = run["C"].sel(time=slice(0.5 - 1e-9, None))
    np.testing.assert_allclose(run["calcium"], inside.mean("time"), rtol=1e-12)
    np.testing.assert_array_equal(run["calcium_peak"], inside.max("time"))
    events = observables.calcium_events(inside["time"].values, inside.values.reshape(len(inside["time"]), -1), 0.5)
    np.testing.assert_array_equal(run["event_count"].values.ravel(), events.count)
    assert (np.diff(run["calcium"].mean("repetition")) > 0).all()
    slope = np.polyfit(np.log(run["rate"]), np.log(run["calcium"].mean("repetition")), 1)[0]
    assert presynaptic_exponent(run).value == pytest.approx(slope, rel=1e-9)  # to all three: two lie within 1 to 10 Hz


def test_open_loop_gliotransmission_is_the_same_for_all_and_none_is_none(short):
    bound = short("gliotransmission")["Gamma_S_mean"]
    assert not bound.sel(modulation="none").any()
    assert np.ptp(bound.sel(modulation="open").values) == 0.0  # one astrocyte a unit, whatever the synapse does
    assert (bound.sel(modulation="open") > 0).all()
    assert np.ptp(bound.sel(modulation="closed").values) > 0


def test_a_wave_spreads_evenly_from_cell_to_cell(short):
    ring = short("waves")
    onset = ring["onset"].values
    # Both sides do the same sums but for the order of two terms
    np.testing.assert_allclose(onset[3:], onset[1::-1], rtol=1e-9)
    assert (np.diff(onset[2:]) > 5.0).all()
    assert (ring["reach"], ring["recruited"].sum()) == (4, 5)
    np.testing.assert_array_equal(ring["hops"], [2, 1, 0, 1, 2])
    np.testing.assert_allclose(ring["distance"], 67.0 * ring["hops"])
    assert float(ring["speed"]) == pytest.approx(1 / (onset[4] - onset[3]), rel=1e-9)  # of the front, source left out
    assert float(ring["speed_um"]) == pytest.approx(67.0 * float(ring["speed"]), rel=1e-12)


def test_regular_spikes_of_the_an_model_are_counted_and_leave_2ag(short):
    run = short("an")
    for name, value in (("spike_rate", 10.0), ("spikes", 10), ("spike_rate_period", 10.0), ("recovery", 1.0)):
        np.testing.assert_array_equal(run[name], value)
    np.testing.assert_allclose(run["cv_isi"], 0.0, atol=1e-12)
    np.testing.assert_array_equal(run["DSE"], 0.0)
    age = run["time"].values[:, None] - np.arange(20) / 10
    expected = 0.8e-3 * np.where(age > 1e-9, np.exp(-age / 10.0), 0).sum(axis=1)  # samples hold the left limit
    for neuron in (0, 1):  # the decay is integrated exactly: rounding of 2,000 steps
        np.testing.assert_allclose(run["AG"][0, :, neuron], expected, rtol=1e-11, atol=1e-17)


def test_the_astrocyte_of_the_an_model_hears_both_neurons(short):
    run, (astrocyte, *_) = short("an"), an_synapse()
    at = [(k / 10, 2 * endocannabinoid.ON_SHARED_SPIKE) for k in range(20)]
    expected = astrocyte.run(2.0, 1e-3, ["C", "h", "I"], at)
    for name in ("C", "h", "I"):
        np.testing.assert_allclose(run[name][0], expected[name][::100] / (1 if name == "h" else UM), rtol=1e-9)


def test_rates_of_a_network_count_the_spikes_of_each_window(short):
    run = short("network")
    time, who = run["spike_time"].values, run["spike_neuron"].values
    counts, _, _ = np.histogram2d(who, time, bins=(np.array([0, 40, 50]), np.linspace(0, 0.2, 3) - 1e-9))
    assert counts.sum() == len(time) > 50
    np.testing.assert_allclose(run["firing_rate"], counts / [[4.0], [1.0]], rtol=1e-12)
    assert (run["firing_rate"].values[:, 1] > run["firing_rate"].values[:, 0]).all()  # a stronger current
    each = observables.local_variation(who, time, 50)
    assert np.isfinite(each[:40]).sum() == run["local_variation_neurons"][0] > 0
    assert np.nanmean(each[:40]) == pytest.approx(float(run["local_variation"][0]), rel=1e-12)


def test_no_release_without_calcium_above_the_threshold(short):
    run = short("network")
    assert run["release_count"] == 0
    assert not run["Gamma_S_mean"].any()
    assert run["Gamma_A"].max() > 0  # they hear
    assert (run["C"].values[-1] != 0.01).all()
