"""Families of saturation curves: what holds for every one of them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_sim.common.errors import InputError
from bridge import families
from bridge.families import FAMILIES
from bridge.families.parametric import EXPONENTIAL, STRETCHED

SMALLEST = -745.13  # exp() of anything lower is 0 in doubles


@st.composite
def laws(draw, concave=False):
    """A family with values inside its bounds."""
    family = draw(st.sampled_from(list(FAMILIES.values())))
    values = {
        p.name: float(p.from_line(draw(st.floats(float(p.to_line(p.low)), float(p.to_line(p.high))))))
        for p in family.parameters
    }
    assume(not concave or family.concave(values))
    return family, values


totals = st.integers(1, 10_000)


@given(laws(), totals)
def test_retention_is_positive_and_sums_to_one(law, total):
    family, values = law
    retention = family.retention(total, values)
    assert retention.shape == (total,)
    assert retention.sum() == pytest.approx(1.0, abs=1e-12)  # terms with logarithms up to 745, rounded: 745 * 2e-16
    assert (retention >= 0).all()
    # Far in the tail a short law falls below the smallest double, and only there is a factor exactly 0.
    log_increments = family.log_increments(total, values)
    assert (log_increments[retention == 0] < SMALLEST + 1).all()


@given(laws(), st.integers(1, 9_999))
def test_retention_of_a_segment_falls_as_more_follow(law, total):
    family, values = law
    now, later = family.retention(total, values), family.retention(total + 1, values)[:total]
    assert (later <= now * (1 + 1e-12)).all()


@given(laws(concave=True), totals)
def test_retention_falls_within_a_sequence_where_the_law_is_concave(law, total):
    family, values = law
    assert family.concave(values)
    log_increments = family.log_increments(total, values)
    rounding = 1e-12 * (1 + np.abs(log_increments[1:]))
    assert (np.diff(log_increments) <= rounding).all()
    # the peak is the first cycle, up to cycles that tie with it to rounding
    peak = family.peak_cycle(values, total)
    assert log_increments[peak - 1] - log_increments[0] <= 1e-12


@given(laws(), totals)
def test_levels_rise_from_zero_towards_one(law, total):
    family, values = law
    level = family.level(np.arange(total + 1), values)
    assert level[0] == 0.0
    assert (np.diff(level) >= 0).all()
    assert level[-1] <= 1.0


@given(laws(), totals)
def test_increments_add_up_to_the_level(law, total):
    family, values = law
    increments = np.exp(family.log_increments(total, values))
    assert increments.sum() == pytest.approx(float(family.level(total, values)), rel=1e-12)


@given(laws(), totals)
def test_online_factors_are_the_last_ones_of_growing_sequences(law, total):
    family, values = law
    online = family.online(total, values)
    picked = np.unique(np.geomspace(1, total, 5).astype(int))
    expected = [family.retention(int(t), values)[-1] for t in picked]
    np.testing.assert_allclose(online[picked - 1], expected, rtol=1e-12)
    assert online[0] == 1.0
    assert ((online >= 0) & (online <= 1)).all()


@given(
    law=laws(),
    total=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_consolidating_step_by_step_gives_the_retention_weighted_sum(law, total, seed):
    """mem += online_t (x_t - mem), from any start, equals sum_i RetentionFactor(i, T) x_i."""
    family, values = law
    x = np.random.default_rng(seed).normal(size=(total, 3))
    memory = np.full(3, 7.0)  # forgotten in the first step: online_1 = 1
    for factor, new in zip(family.online(total, values), x, strict=True):
        memory = memory + factor * (new - memory)
    weighted = family.retention(total, values) @ x
    # 40 steps on numbers of order 4
    np.testing.assert_allclose(memory, weighted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tau", [0.5, 3.0, 6.0, 1000.0])
def test_stretching_by_one_is_the_exponential_law(tau):
    stretched, plain = {"tau": tau, "b": 1.0}, {"tau": tau}
    t = np.arange(1, 201)
    # Powers and logarithms up to 400 are rounded: 400 * 2e-16
    np.testing.assert_allclose(
        STRETCHED.log_increments(200, stretched), EXPONENTIAL.log_increments(200, plain), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(STRETCHED.level(t, stretched), EXPONENTIAL.level(t, plain), rtol=1e-14)
    np.testing.assert_allclose(STRETCHED.retention(16, stretched), EXPONENTIAL.retention(16, plain), rtol=1e-13)


def test_tau_is_where_63_percent_are_covered():
    for values, family in (({"tau": 6.0}, EXPONENTIAL), ({"tau": 6.0, "b": 0.6}, STRETCHED)):
        assert family.level(6.0, values) == pytest.approx(1 - np.exp(-1), rel=1e-14)


def test_convex_laws_say_so_and_where_they_peak():
    values = {"tau": 10.0, "b": 3.0}
    assert not STRETCHED.concave(values)
    # Steepest at tau ((b - 1)/b)^(1/b) = 8.74: the increment that ends at cycle 9
    assert STRETCHED.peak_cycle(values, horizon=24) == 9
    assert STRETCHED.concave({"tau": 10.0, "b": 1.0})
    assert EXPONENTIAL.concave({"tau": 10.0})
    assert EXPONENTIAL.peak_cycle({"tau": 10.0}, horizon=24) == 1


def test_an_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown law family 'exponental'; did you mean 'exponential'"):
        families.get("exponental")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_families_document_themselves(family):
    assert families.get(family.name) is family
    assert family.equation.startswith("F(t) = ")
    for p in family.parameters:
        assert p.name in family.equation
        assert p.unit
        assert p.meaning
        assert 0 < p.low < p.high
