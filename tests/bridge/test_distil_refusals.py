"""What no law can be fitted to is refused in one line."""

import numpy as np
import pytest
import xarray as xr

import astro_sim
import bridge
from astro_sim.common.errors import InputError
from astro_sim.dataset import describe
from bridge.curves import read_curve

RISING = 1 - np.exp(-np.arange(13) / 6)


def refused(datasets, **options):
    with pytest.raises(InputError) as caught:
        bridge.fit_laws(datasets, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_and_no_ltp(simulated):
    for datasets in ([], [simulated["spatial"]], [simulated["spatial"], simulated["frequency"]]):
        assert refused(datasets).startswith("expected an 'ltp' dataset (variable 'p_l_cycle') to fit the retention law")


@pytest.mark.parametrize(("given", "got"), [("ltp.nc", "'ltp.nc'"), (["ltp.nc"], "'ltp.nc'"), (3, "int")])
def test_what_is_no_dataset(given, got):
    assert refused(given) == f"dataset: expected an xarray.Dataset, as of astro_sim.read or simulate, got {got}"


@pytest.mark.parametrize("name", ["ltp", "spatial", "frequency"])
def test_two_of_one_kind(simulated, name):
    assert refused([simulated[name], simulated[name]]) == f"two datasets of the experiment {name!r}; expected one"


def test_a_kind_that_teaches_nothing(simulated):
    memory = astro_sim.simulate("associative", n=4, cues=1, duration=1.0)
    expected = "cannot fit a law to the experiment 'associative'; expected ltp, spatial, frequency, stp"
    assert refused([simulated["ltp"], memory]) == f"{expected}, or one of your own that stands for one of them"


def test_two_models_in_one_file_are_refused(simulated):
    values = (("post", "pre"), np.array([[0.0, 1.0, 2.0]]))
    content = xr.Dataset(dict.fromkeys(("distance", "p_s_peak", "C_peak"), values))
    other = describe(content, "spatial", "biophysical", 0, {})
    told = "datasets of different models (ltp macro, spatial biophysical); expected one model for all of a laws file"
    assert refused([simulated["ltp"], other]) == told


@pytest.mark.parametrize("cycles", [1, 4])
def test_too_few_cycles(ltp_dataset, cycles):
    expected = f"p_l_cycle: expected at least 5 cycles to fit a law to, got {cycles}"
    assert refused([ltp_dataset(RISING[: cycles + 1])]) == expected


def test_five_cycles_are_enough(ltp_dataset):
    assert bridge.fit_laws([ltp_dataset(RISING[:6])]).parameters["tau"] == pytest.approx(6.0, rel=1e-6)


@pytest.mark.parametrize(
    "curve",
    [np.zeros(13), np.ones(13), RISING[::-1], -RISING, RISING * (RISING < 0.8)],
    ids=["zero", "constant", "falling", "negative", "back to zero"],
)
def test_a_curve_that_does_not_rise(ltp_dataset, curve):
    expected = "p_l_cycle: expected a curve that rises from cycle 0 to the last; this one is flat or falls"
    assert refused([ltp_dataset(curve)]) == expected


@pytest.mark.parametrize("scale", [1e-160, 1e150, 1e300])
def test_a_curve_in_a_unit_that_numbers_cannot_bear(ltp_dataset, scale):
    expected = f"p_l_cycle: expected values up to 1e+100, the largest above 1e-100, got {RISING.max() * scale:g}"
    assert refused([ltp_dataset(RISING * scale)]).startswith(expected)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_the_law_of_a_curve_does_not_depend_on_its_unit(ltp_dataset, scale):
    usual, other = (bridge.fit_laws(ltp_dataset(RISING * each), draws=0) for each in (1.0, scale))
    assert other.family.name == usual.family.name
    assert other.parameters == pytest.approx(usual.parameters, rel=1e-6)  # where the search ends


def test_a_curve_that_is_flat_after_its_first_cycle(ltp_dataset):
    expected = "p_l_cycle: expected a rise over several cycles; this curve is flat after the first"
    assert refused([ltp_dataset(np.append(0.0, np.ones(12)))]) == expected


def test_no_drive_gives_no_curve():
    assert refused([astro_sim.simulate("ltp", amplitude=0.0)]).startswith("p_l_cycle: expected a curve that rises")


def test_a_dataset_without_its_variables(simulated):
    message = refused([simulated["ltp"].drop_vars("p_l_cycle")])
    assert message == "dataset: variable 'p_l_cycle' is missing; a dataset of 'ltp' needs it"
    assert "attribute 'experiment' is missing" in refused([simulated["ltp"].drop_attrs()])


def test_no_coupling_gives_no_decay(simulated):
    spatial = astro_sim.simulate("spatial", coupling=0.0)
    expected = "p_s_peak: expected positive responses; with no coupling there is no decay to fit"
    assert refused([simulated["ltp"], spatial]) == expected


@pytest.mark.parametrize("setting", [{"layout": "equidistant"}, {"n": 1}, {"n": 2, "layout": "grid"}])
def test_too_few_distances_give_no_decay(simulated, setting):
    spatial = astro_sim.simulate("spatial", **{"n": 3, **setting})
    expected = "distance: expected processes at three distances at least, to fit a decay to"
    assert refused([simulated["ltp"], spatial]) == expected


def test_no_calcium_gives_no_exponent(simulated):
    frequency = astro_sim.simulate("frequency", n=1, amplitude=0.0)
    assert refused([simulated["ltp"], frequency]) == "calcium: expected positive values to fit an exponent to"


def test_an_unknown_family(simulated):
    expected = "unknown law family 'stretched_exponental'; did you mean 'stretched_exponential'?"
    assert refused([simulated["ltp"]], family="stretched_exponental") == expected


def test_a_curve_with_holes(simulated):
    holed = simulated["ltp"].copy(deep=True)
    holed["p_l_cycle"][5] = np.nan
    assert refused([holed]) == "dataset: variable 'p_l_cycle' holds NaN or infinite values"


@pytest.mark.parametrize(
    ("name", "variable", "unit", "expected"),
    [
        ("ltp", "p_l_cycle", "mV", "1 or a.u."),
        ("spatial", "distance", "um", "spacing"),
        ("frequency", "rate", "1/s", "Hz"),
    ],
)
def test_units_that_do_not_match(simulated, name, variable, unit, expected):
    changed = simulated[name].copy()
    changed[variable].attrs["units"] = unit
    others = [] if name == "ltp" else [simulated["ltp"]]
    message = refused([*others, changed])
    assert variable in message
    assert f"expected the unit {expected}, got {unit!r}" in message or f"unit {unit!r}" in message


def repeated(rise, deviation, rng):
    """What `read_curve` asks for, of 20 repetitions around a curve."""
    levels = rise[:, None] + deviation * rng.standard_normal((len(rise), 20))
    levels[0] = 0.0
    p_l = xr.Variable(("cycle", "repetition"), levels, {"units": "1"})
    return xr.Dataset({"p_l_cycle": p_l, "tau_cycle": 10.0})


def test_a_rise_within_its_noise_is_none(rng):
    """The mean of a rise of 0.02 is known to 0.11."""
    with pytest.raises(InputError, match="flat or falls"):
        read_curve(repeated(0.02 * RISING, 0.5, rng))


def test_falling_steps_within_the_noise_are_data(rng):
    curve = read_curve(repeated(RISING, 0.2, rng))
    assert (np.diff(curve.levels) < 0).any()
    assert curve.averaged == {"repetition": 20}
