"""One active synapse among silent ones, in the biophysical model: IP3 reaches the others, less with distance."""

import re

import numpy as np
import pytest

import astro_sim
from astro_sim.common.errors import InputError
from bridge.distil import spatial_decay

pytestmark = pytest.mark.biology


def simulate(**given):
    short = {"n": 3, "settle": 2.0, "active": 2.0, "after": 3.0}
    return astro_sim.simulate("spatial", model="biophysical", **{**short, **given})


@pytest.fixture(scope="module")
def nine():
    return simulate(target="numpy")  # over before the code would be compiled; what each test runs is `slow`


@pytest.fixture(scope="module")
def many():
    return simulate(n=5, target="numpy")


def by_distance(dataset, name):
    distance, peak = dataset["distance"].values.ravel().round(9), dataset[name].values.ravel()
    at = np.unique(distance)
    return np.array([peak[distance == each].mean() for each in at])


def test_the_nine_synapses_lie_around_the_active_one(nine):
    root = np.sqrt(2.0)
    np.testing.assert_allclose(nine["distance"], [[root, 1, root], [1, 0, 1], [root, 1, root]], rtol=1e-15)


@pytest.mark.parametrize("name", ["p_s_peak", "C_peak"])
def test_the_response_falls_with_distance(many, name):
    peak = by_distance(many, name)
    assert (np.diff(peak) < 0).all()
    assert (peak > 0).all()


def test_equal_distances_give_equal_responses(nine):
    peak = nine["p_s_peak"].values
    # Between equal cells a flow of F (1 - tanh(I_Theta/omega_I))/2 = 6e-7 uM/s changes its sign with rounding, in
    # steps of 2 ms; a process has eight neighbours
    np.testing.assert_allclose(peak, np.rot90(peak), rtol=0, atol=8 * 6e-7 * 0.002)


def test_only_the_active_process_has_a_calcium_event(nine):
    C = nine["C"].max("time").values
    assert C[1, 1] > 0.5
    C[1, 1] = 0.0
    assert (C < 0.1).all()
    alone = np.zeros((3, 3))
    alone[1, 1] = 1
    np.testing.assert_array_equal(nine["event_count"], alone)
    np.testing.assert_array_equal(nine["release_count"], alone)


def test_a_junction_carries_at_most_its_plateau(many):
    # From the driven process directly, and from the others while they differ by less than I_Theta: next to nothing
    bound = 0.09 * np.exp(-many["distance"].values) * 5.0
    silent = many["distance"].values > 0
    assert (many["p_s_peak"].values[silent] < bound[silent]).all()


@pytest.mark.slow
def test_blocked_gap_junctions_leave_the_others_alone():
    peak = simulate(knockouts=("gap_junctions",))["p_s_peak"].values
    assert peak[1, 1] > 0.5
    peak[1, 1] = 0.0
    assert not peak.any()


@pytest.mark.slow
def test_noise_gives_the_reference_a_course_of_its_own():
    """The promise of exact zeros is for noise 0."""
    peak = simulate(knockouts=("gap_junctions",), noise=0.5)["p_s_peak"].values
    assert (peak != 0).all()


@pytest.mark.slow
def test_blocked_receptors_leave_all_alone():
    assert not simulate(knockouts=("receptors",))["p_s_peak"].any()


@pytest.mark.slow
def test_clamped_calcium_leaves_a_response_of_ip3():
    clamped = simulate(knockouts=("calcium",))
    assert not clamped["C_peak"].any()
    assert clamped["p_s_peak"].min() > 0


@pytest.mark.slow
def test_without_gliotransmission_the_synapse_stays_as_it_is(nine):
    assert nine["Gamma_S"].max() > 0.5
    assert not simulate(knockouts=("gliotransmission",))["Gamma_S"].any()


def test_the_bridge_reads_a_decay_off_it(many):
    decay = spatial_decay(many)
    assert 0.8 < decay.value < 1.2  # the kernel's 1 per spacing, bent by the threshold and the sink: an order, no law


@pytest.mark.slow
def test_a_steeper_kernel_gives_a_larger_decay(many):
    decay = spatial_decay(many)
    assert spatial_decay(simulate(n=5, scale=2.0)).value > 1.5 * decay.value


@pytest.mark.slow
def test_the_bridge_refuses_blocked_gap_junctions():
    with pytest.raises(InputError, match="p_s_peak: expected positive responses"):
        spatial_decay(simulate(n=5, knockouts=("gap_junctions",)))


@pytest.mark.slow
def test_half_the_step_changes_little(nine):
    half = simulate(dt=0.001)
    # The requirement on the default step; measured 3e-5
    np.testing.assert_allclose(half["p_s_peak"], nine["p_s_peak"], rtol=5e-3)


@pytest.mark.slow
def test_layouts_and_positions_decide():
    line = simulate(layout="line")
    assert line["distance"].max() == 4
    given = simulate(positions=[[float(each)] for each in range(9)])
    np.testing.assert_array_equal(given["p_s_peak"], line["p_s_peak"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"positions": [[0.0]] * 8}, "positions: expected 9 rows of coordinates for n = 3, got shape (8, 1)"),
        ({"layout": "rign"}, "unknown layout 'rign'; did you mean 'ring'?"),
        ({"active": 0.33}, "active: expected a whole number of steps of dt = 0.05 s, got 0.33 s"),
        ({"kinetics": "li_rinzel"}, "kinetics: expected chi or g_chi"),
        ({"dt": 0.05}, "dt: expected at most"),
    ],
)
def test_bad_input_is_refused(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        simulate(**given)
