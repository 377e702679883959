"""Laws that differ on purpose, and the band that the draws leave."""

from pathlib import Path

import numpy as np
import pytest

import bridge
from astro_sim.common.errors import InputError
from bridge.laws import PERTURBATIONS, Laws
from bridge.retention import Retention
from rmaat.models.memory import RULES

EXAMPLES = Path(__file__).parent / "laws" / "valid"


@pytest.fixture
def laws():
    return Laws.load(EXAMPLES / "stretched.json")


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("total", [1, 2, 16, 1000])
def test_weights_stay_weights_and_online_factors_lead_to_them(laws, kind, total):
    changed = laws.perturbed(kind)
    weights, online = changed.retention(total), changed.online(total)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights > 0).all()
    assert online[0] == 1.0
    # After T steps of mem += online (x - mem), x_t weighs online_t times what later steps leave.
    left = np.concatenate([np.cumprod(1.0 - online[:0:-1])[::-1], [1.0]])
    np.testing.assert_allclose(online * left, weights, rtol=1e-9)  # a thousand products


def test_each_kind_is_what_it_says(laws):
    plain = laws.retention(16)
    np.testing.assert_allclose(laws.perturbed("flat").retention(16), 1 / 16, rtol=1e-14)
    np.testing.assert_allclose(laws.perturbed("reversed").retention(16), plain[::-1], rtol=1e-13)
    assert laws.perturbed("faster", factor=3.0).parameters == {"tau": 2.0, "b": 0.75}
    assert laws.perturbed("slower", factor=3.0).parameters == {"tau": 18.0, "b": 0.75}
    assert laws.perturbed("posterior", seed=6).parameters == {"tau": 6.5, "b": 0.8}  # draw 2 of 4
    one, other = laws.perturbed("random", seed=1), laws.perturbed("random", seed=2)
    assert np.abs(one.retention(16) - other.retention(16)).max() > 0.01
    # prefixes of one sequence of weights
    np.testing.assert_allclose(one.retention(16)[:8] / one.retention(16)[:8].sum(), one.retention(8), rtol=1e-13)


def test_draws_that_are_all_alike_are_no_other_laws(simulated):
    """A simulation without noise: another draw is the same law to ten digits."""
    quiet = bridge.fit_laws(simulated["ltp"], draws=4)
    assert quiet.document.retention.draws is not None
    message = "^these laws have no spread to draw from: their 4 draws differ by .* at most, less than the 0.1 % from"
    with pytest.raises(InputError, match=message):
        quiet.perturbed("posterior")


def test_what_was_done_is_in_the_file_and_its_digest(laws, tmp_path):
    for kind in PERTURBATIONS:
        changed = laws.perturbed(kind, seed=1)
        changed.save(tmp_path / "laws.json")
        again = Laws.load(tmp_path / "laws.json")
        assert again.digest == changed.digest != laws.digest
        assert again.document.perturbation.of == laws.digest
        np.testing.assert_array_equal(again.retention(16), changed.retention(16))
        assert changed.needs_total == (kind == "reversed")
        with pytest.raises(InputError, match=f"^these laws are perturbed already \\({kind}\\)$"):
            changed.perturbed("flat")


def test_a_model_gets_the_factors_of_each_examples_own_total(laws):
    changed = laws.perturbed("reversed")
    for rule, law in (("scale", changed.retention), ("consolidate", changed.online)):
        table = RULES[rule].factors(Retention(changed), [2, 4], 4).numpy()
        np.testing.assert_array_equal(table[0], [*law(2), 1.0, 1.0])
        np.testing.assert_array_equal(table[1], law(4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "flatt"}, "unknown perturbation 'flatt'; did you mean 'flat'"),
        ({"kind": "faster", "factor": 1.0}, "factor: expected a number above 1, got 1.0"),
        ({"kind": "slower", "factor": float("nan")}, "factor: expected a number above 1, got nan"),
        ({"kind": "random", "seed": -1}, "seed: expected a whole number from 0, got -1"),
        ({"kind": "slower", "factor": 1e9}, "stretched_exponential law: expected tau in 0.05 to 100000, got 6e+09"),
    ],
)
def test_wrong_perturbations_are_refused(laws, given, message):
    with pytest.raises(InputError) as caught:
        laws.perturbed(**given)
    assert str(caught.value).startswith(message)


def test_what_a_law_does_not_have_cannot_be_perturbed():
    with pytest.raises(InputError, match="^the spline has knots at whole cycles and no time scale"):
        Laws.load(EXAMPLES / "spline.json").perturbed("faster")
    with pytest.raises(InputError, match="^these laws have no draws"):
        Laws.load(EXAMPLES / "exponential.json").perturbed("posterior")


def test_the_band_is_that_of_the_draws(laws):
    low, high = laws.band(8, confidence=0.5)
    draws = laws.document.retention.draws.values
    tables = [laws.family.retention(8, {"tau": t, "b": b}) for t, b in zip(draws["tau"], draws["b"], strict=True)]
    np.testing.assert_allclose(low, np.quantile(tables, 0.25, axis=0), rtol=1e-14)
    np.testing.assert_allclose(high, np.quantile(tables, 0.75, axis=0), rtol=1e-14)
    assert Laws.load(EXAMPLES / "exponential.json").band(8) is None
    assert laws.perturbed("flat").band(8) is None
    assert (laws.extrapolates(6), laws.extrapolates(7)) == (False, True)
    with pytest.raises(InputError, match="^confidence: expected a share between 0 and 1, got 1.0$"):
        laws.band(8, confidence=1.0)
