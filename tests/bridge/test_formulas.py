"""The formulas of every family against the equation it states, in 400 digits, and its gradient against torch's."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch

from bridge.families import FAMILIES, get, spline
from bridge.families.parametric import EXPONENTIAL

e = mpmath.exp
# 1 - F, typed from the equations
SURVIVAL = {
    "exponential": lambda t, tau: e(-t / tau),
    "double_exponential": lambda t, tau, ratio, weight: weight * e(-t / tau) + (1 - weight) * e(-t / (ratio * tau)),
    "stretched_exponential": lambda t, tau, b: e(-((t / tau) ** b)),
    "hill": lambda t, K, n: 1 - t**n / (t**n + K**n),
    "power_law": lambda t, tau, a: (1 + t / (a * tau)) ** -a,
    "logistic": lambda t, tau, B: 1 - (1 - e(-t / tau)) / (1 + B * e(-t / tau)),
}
VALUES = [
    *(("exponential", {"tau": tau}) for tau in (0.05, 0.3, 1.0, 6.0, 97.0, 1e5)),
    *(("stretched_exponential", {"tau": tau, "b": b}) for tau in (6.0, 1e5) for b in (0.05, 0.6, 1.0, 1.4)),
    ("double_exponential", {"tau": 2.0, "ratio": 8.0, "weight": 0.5}),
    ("double_exponential", {"tau": 9e4, "ratio": 1.05, "weight": 0.999}),
    ("double_exponential", {"tau": 0.1, "ratio": 1e3, "weight": 0.2}),
    ("stretched_exponential", {"tau": 6.0, "b": 0.4}),
    ("hill", {"K": 5.0, "n": 2.0}),
    ("hill", {"K": 1e5, "n": 0.7}),
    ("hill", {"K": 0.3, "n": 12.0}),
    ("power_law", {"tau": 3.0, "a": 0.3}),
    ("power_law", {"tau": 3.0, "a": 1000.0}),
    ("logistic", {"tau": 4.0, "B": 5.0}),
    ("logistic", {"tau": 1e5, "B": 1e6}),
    ("logistic", {"tau": 1.5, "B": 1e-3}),
]
IDS = [f"{name}-{'-'.join(f'{value:g}' for value in values.values())}" for name, values in VALUES]
SPLINE = spline((0.0, 1.0, 4.0, 12.0)), {"h0": 0.3, "h1": 0.2, "h2": 0.1, "h3": 0.15}
CYCLES = 60


@pytest.mark.parametrize(("name", "values"), VALUES, ids=IDS)
def test_increments_and_levels_equal_those_in_high_precision(name, values):
    family = get(name)
    with mpmath.workdps(400):  # a survival of e^-600 beside 1
        exact = {key: mpmath.mpf(value) for key, value in values.items()}
        survival = [mpmath.mpf(1), *(SURVIVAL[name](mpmath.mpf(t), **exact) for t in range(1, CYCLES + 1))]
        increments = np.array([float(a - b) for a, b in pairwise(survival)])
        levels = np.array([float(1 - each) for each in survival])
    normal = increments > 1e-290
    got = np.exp(family.log_increments(CYCLES, values))
    # logarithms up to 670 and powers up to 14,000 are rounded: 3,000 roundings of 1e-16
    np.testing.assert_allclose(got[normal], increments[normal], rtol=3e-13)
    np.testing.assert_allclose(family.level(np.arange(CYCLES + 1), values), levels, rtol=3e-13, atol=0)


def test_increments_live_on_where_float_levels_have_merged():
    level = EXPONENTIAL.level(np.array([109.0, 110.0]), {"tau": 3.0})
    assert level[1] - level[0] == 0.0  # the reason for computing increments from logarithms
    with mpmath.workdps(400):
        exact = e(mpmath.mpf(-109) / 3) - e(mpmath.mpf(-110) / 3)
    assert np.exp(EXPONENTIAL.log_increments(110, {"tau": 3.0}))[-1] == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("tau", [0.5, 3.0, 6.0, 200.0, 1e5, 1e9, 1e15])
@pytest.mark.parametrize("total", [1, 2, 6, 16, 1000])
def test_exponential_retention_is_its_closed_form(tau, total):
    """RetentionFactor(t, T) = (1 - q) q^(t - 1) / (1 - q^T), q = exp(-1 / tau)."""
    with mpmath.workdps(60):
        q = mpmath.exp(-1 / mpmath.mpf(tau))
        exact = np.array([float((1 - q) * q ** (t - 1) / (1 - q**total)) for t in range(1, total + 1)])
    got = EXPONENTIAL.retention(total, {"tau": tau})
    normal = exact > 1e-300  # below, doubles have fewer digits, and from t = 745 tau on none
    np.testing.assert_allclose(got[normal], exact[normal], rtol=1e-12)
    np.testing.assert_allclose(got[~normal], exact[~normal], rtol=0, atol=1e-300)


def test_the_spline_is_the_integral_of_its_rate():
    family, values = SPLINE
    h = [values[f"h{k}"] for k in range(4)]

    def rate(t):
        return np.interp(t, family.knots, h)

    fine = np.linspace(0, 20, 20 * 1000 + 1)
    # trapezoids are exact between knots, which lie on the grid
    covered = np.concatenate([[0.0], np.cumsum(0.5 * (rate(fine[1:]) + rate(fine[:-1])) * np.diff(fine))])
    np.testing.assert_allclose(family.log_survival(fine, values, np), -covered, rtol=0, atol=1e-12)
    np.testing.assert_allclose(family.steps(20, values), -np.diff(covered[::1000]), rtol=0, atol=1e-12)
    assert not family.concave({**values, "h3": 0.9})  # 0.1 a cycle, above 0.1^2
    assert family.concave({**values, "h3": 0.1})


@pytest.mark.parametrize(
    ("family", "values"), [*((get(name), values) for name, values in VALUES), SPLINE], ids=[*IDS, "spline"]
)
def test_tensors_give_the_same_and_their_gradient_is_the_analytic_one(family, values):
    t = np.arange(1, CYCLES + 1, dtype=float)
    tensors = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in values.items()}
    survival = family.log_survival(torch.from_numpy(t), tensors, torch)
    np.testing.assert_allclose(survival.detach().numpy(), family.log_survival(t, values, np), rtol=1e-13)
    steps = family.log_survival_step(torch.from_numpy(t), tensors, torch)
    np.testing.assert_allclose(steps.detach().numpy(), family.steps(CYCLES, values), rtol=1e-13)
    analytic = family.gradient(t, values)
    for k in (0, 4, CYCLES - 1):
        found = torch.autograd.grad(survival[k], [*tensors.values()], retain_graph=True)
        scale = np.abs(analytic[:, k]).max()
        # The small survival_log branch divides by 1 - F: a few digits of the smallest parameter's share
        np.testing.assert_allclose([float(each) for each in found], analytic[:, k], rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("name", FAMILIES)
def test_level_zero_has_no_gradient_problem(name):
    family = get(name)
    values = {p.name: float(np.sqrt(p.low * p.high)) for p in family.parameters}
    tensors = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in values.items()}
    t = torch.arange(0, 5, dtype=torch.float64)
    total = family.log_survival(t, tensors, torch).sum() + family.log_survival_step(t + 1, tensors, torch).sum()
    for each in torch.autograd.grad(total, [*tensors.values()]):
        assert torch.isfinite(each)
    assert family.level(0.0, values) == 0.0
