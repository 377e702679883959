"""One active synapse among silent ones, in the biophysical model: IP3 reaches the others, less with distance."""

import numpy as np
import pytest

import astro_sim
from astro_sim.common.errors import InputError
from bridge.fit import spatial_decay

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


def test_blocked_gap_junctions_leave_the_others_alone():
    peak = simulate(knockouts=("gap_junctions",))["p_s_peak"].values
    assert peak[1, 1] > 0.5
    peak[1, 1] = 0.0
    assert not peak.any()


def test_noise_gives_the_reference_a_course_of_its_own():
    """The promise of exact zeros is for noise 0."""
    peak = simulate(knockouts=("gap_junctions",), noise=0.5)["p_s_peak"].values
    assert (peak != 0).all()


def test_blocked_receptors_leave_all_processes_alone():
    assert not simulate(knockouts=("receptors",))["p_s_peak"].any()


def test_clamped_calcium_leaves_a_response_of_ip3():
    clamped = simulate(knockouts=("calcium",))
    assert not clamped["C_peak"].any()
    assert clamped["p_s_peak"].min() > 0


def test_without_gliotransmission_the_synapse_stays_as_it_is(nine):
    assert nine["Gamma_S"].max() > 0.5
    assert not simulate(knockouts=("gliotransmission",))["Gamma_S"].any()


def test_the_bridge_reads_a_decay_off_it(many):
    decay = spatial_decay(many)
    assert 0.8 < decay.value < 1.2  # the kernel's 1 per spacing, bent by the threshold and the sink: an order, no law


def test_a_steeper_kernel_gives_a_larger_decay(many):
    decay = spatial_decay(many)
    assert spatial_decay(simulate(n=5, scale=2.0)).value > 1.5 * decay.value


def test_the_bridge_refuses_blocked_gap_junctions():
    with pytest.raises(InputError, match="p_s_peak: expected positive responses"):
        spatial_decay(simulate(n=5, knockouts=("gap_junctions",)))


def test_half_the_step_changes_little(nine):
    half = simulate(dt=0.001)
    # The requirement on the default step; measured 3e-5
    np.testing.assert_allclose(half["p_s_peak"], nine["p_s_peak"], rtol=5e-3)


def test_layouts_and_positions_decide():
    line = simulate(layout="line")
    assert line["distance"].max() == 4
    given = simulate(positions=[[float(each)] for each in range(9)])
    np.testing.assert_array_equal(given["p_s_peak"], line["p_s_peak"])
