"""The retention law in torch: equal to NumPy's, differentiable, and inside its bounds whatever training does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.common.errors import InputError
from bridge.families import FAMILIES
from bridge.laws import PERTURBATIONS
from bridge.retention import Retention

VALUES = {
    "exponential": {"tau": 6.0},
    "double_exponential": {"tau": 2.0, "ratio": 8.0, "weight": 0.4},
    "stretched_exponential": {"tau": 6.0, "b": 0.6},
    "hill": {"K": 5.0, "n": 2.5},
    "power_law": {"tau": 3.0, "a": 1.0},
    "logistic": {"tau": 4.0, "B": 20.0},
    "spline": {"h0": 0.3, "h1": 0.2, "h2": 0.1},
}
KNOTS = {"spline": (0.0, 3.0, 12.0)}


@pytest.fixture(params=VALUES)
def laws(request, stated):
    return stated(request.param, VALUES[request.param], KNOTS.get(request.param, ()))


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("total", [1, 2, 16, 10_000])
def test_factors_are_those_of_numpy(laws, trainable, total):
    module = Retention(laws, trainable)
    # Trainable parameters make a way through a sigmoid and a logarithm; sums over 10,000 increments are rounded.
    tolerance = {"rtol": 1e-10, "atol": 1e-300}
    np.testing.assert_allclose(module.retention(total).detach(), laws.retention(total), **tolerance)
    np.testing.assert_allclose(module.online(total).detach(), laws.online(total), **tolerance)
    assert module.retention(total).dtype == torch.float64


@pytest.mark.parametrize("kind", [kind for kind in PERTURBATIONS if kind != "posterior"])  # stated laws have no draws
def test_perturbed_factors_are_those_of_numpy(stated, kind):
    laws = stated("stretched_exponential", VALUES["stretched_exponential"]).perturbed(kind)
    module = Retention(laws)
    for total in (1, 2, 16, 300):
        np.testing.assert_allclose(module.retention(total), laws.retention(total), rtol=1e-11)
        np.testing.assert_allclose(module.online(total), laws.online(total), rtol=1e-11)


@pytest.mark.parametrize("table", ["retention_table", "online_table"])
def test_gradients_are_those_of_finite_differences(laws, table):
    module = Retention(laws, trainable=True).double()
    assert module.shift is not None
    weights = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)

    def loss(shift):
        return (torch.func.functional_call(module, {"shift": shift}, ([9, 4], 9)) * weights).sum()

    # functional_call calls the module, so the table is its forward for this test.
    module.forward = getattr(module, table)
    assert torch.autograd.gradcheck(loss, (torch.full_like(module.shift, 0.2).requires_grad_(),))


def test_a_step_is_a_step_on_the_logarithm_at_first(stated):
    module = Retention(stated("exponential", {"tau": 6.0}), trainable=True)
    assert module.shift is not None
    with torch.no_grad():
        module.shift.fill_(0.01)
    # Second order in the step, times the curvature of the sigmoid, which is below 1 over 14 log units.
    assert float(module.values()["tau"].detach()) == pytest.approx(6.0 * np.exp(0.01), rel=1e-4)


@given(st.data())
def test_parameters_stay_inside_their_bounds_wherever_training_goes(stated, data):
    name = data.draw(st.sampled_from(sorted(FAMILIES)))
    module = Retention(stated(name, VALUES[name]), trainable=True)
    assert module.shift is not None
    with torch.no_grad():
        module.shift.copy_(
            torch.tensor(data.draw(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3)))[: len(module.shift)]
        )
    for p in FAMILIES[name].parameters:
        # a logarithm and back
        assert p.low * (1 - 1e-12) <= float(module.values()[p.name].detach()) <= p.high * (1 + 1e-12)
    factors = module.retention(50)
    assert factors.sum().item() == pytest.approx(1.0, abs=1e-12)
    factors.square().sum().backward()
    assert torch.isfinite(module.shift.grad).all()


def test_a_law_can_be_learned_from_its_factors(stated):
    """Ten cycles of another time constant, by gradient descent from 6 cycles."""
    target = torch.from_numpy(stated("exponential", {"tau": 2.0}).retention(10))
    module = Retention(stated("exponential", {"tau": 6.0}), trainable=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (module.retention(10) - target).square().sum().backward()
        optimizer.step()
    trained = module.trained()
    assert trained.parameters["tau"] == pytest.approx(2.0, rel=1e-3)
    assert trained.document.retention.parameters["tau"].origin.startswith("trained")
    np.testing.assert_allclose(trained.retention(10), module.retention(10).detach(), rtol=1e-12)


def test_fixed_parameters_are_no_part_of_a_models_state(stated):
    laws = stated("hill", VALUES["hill"])
    assert list(Retention(laws).state_dict()) == []
    assert list(Retention(laws, trainable=True).state_dict()) == ["shift"]
    assert [*Retention(laws).parameters()] == []


@pytest.mark.parametrize("kind", ["flat", "random"])
def test_weights_without_parameters_cannot_be_trained(stated, kind):
    with pytest.raises(InputError, match=f"laws.trainable: {kind} laws have no parameters to train"):
        Retention(stated("exponential", {"tau": 6.0}).perturbed(kind), trainable=True)


@pytest.mark.parametrize("totals", [[0], [3, 5]])
def test_totals_must_fit_the_segments(stated, totals):
    with pytest.raises(InputError, match="T: expected 1 to 4 segments"):
        Retention(stated("exponential", {"tau": 6.0})).retention_table(totals, 4)
