"""Laws as an object: what a model asks of it."""

import copy
import pickle

import numpy as np
import pytest

import bridge
from astro_sim.common.errors import InputError
from astro_sim.common.files import digest
from bridge.families import FAMILIES, get
from bridge.families.parametric import EXPONENTIAL
from bridge.laws import PAPER_EXPONENT, Laws

METHODS = ["retention", "online"]


@pytest.fixture
def laws(document):
    return Laws.from_json(document)


def test_the_stated_law_is_evaluated(laws):
    assert laws.parameters == {"tau": 6.0, "b": 0.75}
    assert laws.family.name == "stretched_exponential"
    np.testing.assert_array_equal(laws.retention(8), laws.family.retention(8, laws.parameters))
    np.testing.assert_array_equal(laws.online(8), laws.family.online(8, laws.parameters))


def test_online_factor_is_the_last_retention_factor(laws):
    online = laws.online(12)
    for t in range(1, 13):
        assert online[t - 1] == pytest.approx(laws.retention(t)[t - 1], rel=1e-13)  # logarithms of order 1


def test_one_segment_is_kept_whole(laws):
    assert laws.retention(1).tolist() == [1.0]
    assert laws.online(1).tolist() == [1.0]


def test_the_law_reaches_past_the_fitted_cycles(laws):
    assert laws.fitted_cycles == 6
    assert laws.retention(1000).sum() == pytest.approx(1.0, abs=1e-12)


def test_logarithms_are_finite_where_a_factor_is_too_small_to_hold(document):
    laws = Laws.from_json(document)
    np.testing.assert_allclose(np.exp(laws.log_retention(50)), laws.retention(50), rtol=1e-12)  # logarithms up to 10
    steep = laws.with_parameters({"tau": 6.0, "b": 1.0}, "set")  # exponential: q^(t - 1) (1 - q) / (1 - q^T)
    q = np.exp(-1 / 6)
    assert (steep.retention(5_000) == 0).any()
    expected = np.arange(5_000) * np.log(q) + np.log1p(-q)
    np.testing.assert_allclose(steep.log_retention(5_000), expected, rtol=1e-12)  # rounding of logarithms up to 833


@pytest.mark.parametrize("name", [*FAMILIES, "spline"])
def test_families_and_laws_are_pickled_and_copied(name, laws):
    family = get(name, (0.0, 2.0, 6.0) if name == "spline" else ())
    for again in (pickle.loads(pickle.dumps(family)), copy.deepcopy(family)):  # noqa: S301 - our own
        assert (again.name, again.knots, again.parameters) == (family.name, family.knots, family.parameters)
        assert name == "spline" or again is family
    assert pickle.loads(pickle.dumps(laws)).digest == laws.digest  # noqa: S301 - our own


def test_laws_of_before_contents_had_a_digest_keep_their_own(document):
    assert "contents" not in document["sources"][0]
    old = Laws.from_json(document)
    assert "contents" not in old.document.model_dump(mode="json")["sources"][0]
    document["sources"][0]["contents"] = "c" * 64
    document["digest"] = digest({name: value for name, value in document.items() if name != "digest"})
    assert Laws.from_json(document).digest != old.digest


def test_the_optional_numbers(laws, document):
    assert (laws.spatial_decay, laws.presynaptic_exponent) == (0.875, 0.25)
    assert PAPER_EXPONENT == 0.25  # hyperparameter tables of AT and RMAAT


def test_short_term_constants_become_decays_of_a_token(document):
    """A cycle of 10 s over 20 tokens: half a second each."""
    number = {"value": 2.0, "stderr": None, "low": None, "high": None, "unit": "s", "origin": "stated"}
    document["short_term"] = {"p_s": number}
    document["digest"] = digest({name: value for name, value in document.items() if name != "digest"})
    laws = Laws.from_json(document)
    assert laws.short_term(20) == {"p_s": pytest.approx(np.exp(-0.25), rel=1e-15)}
    with pytest.raises(InputError, match="tokens: expected a whole number of tokens from 1, got 0"):
        laws.short_term(0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("total", [0, -1, 2.0, True, False, "4", None, np.float64(3)])
def test_the_number_of_segments_is_a_whole_number_from_one(laws, method, total):
    with pytest.raises(InputError) as caught:
        getattr(laws, method)(total)
    assert str(caught.value) == f"T: expected a whole number of segments from 1, got {total!r}"


@pytest.mark.parametrize("method", METHODS)
def test_numpy_integers_count_too(laws, method):
    np.testing.assert_array_equal(getattr(laws, method)(np.int64(4)), getattr(laws, method)(4))


def test_the_package_offers_its_names_and_no_others():
    assert set(bridge.__all__) == {"Laws", "default_laws", "fit_laws", "fit_sweep", "match", "sensitivity"}
    assert bridge.Laws is Laws
    with pytest.raises(AttributeError, match="module 'bridge' has no attribute 'fit_law'"):
        _ = bridge.fit_law


def test_the_simulated_law_is_the_papers_closed_form(simulated):
    laws = bridge.fit_laws([simulated["ltp"]], draws=0)
    assert laws.family is EXPONENTIAL
    q = np.exp(-1.0 / 6.0)
    exact = (1 - q) * q ** np.arange(16) / (1 - q**16)
    # burn-in leaves 1e-13 in the ratios of increments, the fit magnifies it little
    np.testing.assert_allclose(laws.retention(16), exact, rtol=1e-8)


@pytest.mark.parametrize("model", ["macro", "biophysical"])
def test_laws_ship_with_the_package(model):
    """Time constants in s: of the macro model as coupled, of the others 1/3.33 Hz, 1/2 Hz, 10 s, 40 s and 2 min."""
    laws = bridge.default_laws(model)
    assert [source.model for source in laws.document.sources if source.experiment == "ltp"] == [model]
    expected = {
        "s": 0.52,
        "p_s": 2.3,
        "facilitation": 0.3,
        "depression": 0.5,
        "AG": 10.0,
        "eSP": 40.0,
        "Gamma_S": 120.0,
    }
    times = {name: number.value for name, number in laws.document.short_term.items()}
    assert times == pytest.approx(expected, rel=2e-3)
    assert laws.document.retention.identifiable
    assert laws.spatial_decay is not None
    assert laws.presynaptic_exponent is not None


def test_only_known_laws_ship_with_the_package():
    with pytest.raises(InputError, match="unknown model 'micro'; did you mean 'macro'"):
        bridge.default_laws("micro")
