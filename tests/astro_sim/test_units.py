"""Numbers with units: what they become, and which are refused."""

import pytest
from brian2 import amp, mV, second, umolar

import astro_sim
from astro_sim.biophysical.process import ProcessParameters
from astro_sim.common.errors import InputError
from astro_sim.common.units import brian_unit, carries_unit, number_in
from astro_sim.macro.parameters import MacroParameters


@pytest.mark.parametrize(
    ("given", "unit", "number"),
    [
        ("20 ms", "s", 0.02),
        ("20ms", "s", 0.02),
        ("2e-3 s", "s", 0.002),
        ("-60 mV", "mV", -60.0),
        ("0.9 mM/s", "uM/s", 900.0),
        ("0.2 1/uM/s", "1/uM/s", 0.2),
        ("3.33 Hz", "1/s", 3.33),
        ("1/min", "1/s", 1 / 60),
        ("0.5 1/s", "1/min", 30.0),
        ("9.99 nS", "nS", 9.99),
        ("1 s^-1", "Hz", 1.0),
        (2 * second, "s", 2.0),
        (0.9 * umolar / second, "uM/s", 0.9),
    ],
)
def test_a_quantity_becomes_a_number_in_the_declared_unit(given, unit, number):
    assert carries_unit(given)
    assert number_in(given, unit) == pytest.approx(number, rel=1e-14)


@pytest.mark.parametrize("given", ["saturation", "closed", "3", "1e-3", 3.0, "ring", "1.", ""])
def test_words_and_plain_numbers_carry_no_unit(given):
    assert not carries_unit(given)


def test_settings_take_quantities_one_by_one_and_in_lists():
    parameters = ProcessParameters(O_P="0.9e-3 mM/s", dt="500 us", C_Theta=0.4 * umolar)
    assert (parameters.O_P, parameters.dt, parameters.C_Theta) == pytest.approx((0.9, 5e-4, 0.4), rel=1e-14)
    run = astro_sim.simulate("frequency", rates=["1 Hz", "2 Hz", "0.003 kHz"], n=1)
    assert run["rate"].values.tolist() == pytest.approx([1.0, 2.0, 3.0], rel=1e-14)


def test_the_unit_of_every_setting_can_be_read():
    for model in (ProcessParameters, MacroParameters):
        for name in model.model_fields:
            if model.unit(name) not in ("1", "a.u.", "spacing", "1/spacing"):
                assert float(brian_unit(model.unit(name))) > 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"O_P": "0.9 mV"}, "O_P: expected a quantity in uM/s, got 0.9 mV: the units do not match"),
        ({"O_P": 0.9 * umolar}, "O_P: expected a quantity in uM/s, got 0.9 uM: the units do not match"),
        ({"dt": 1 * mV}, "dt: expected a quantity in s, got 1. mV: the units do not match"),
        ({"dt": 1 * amp}, "dt: expected a quantity in s, got 1. A: the units do not match"),
        ({"dt": "1 fortnight"}, "dt: expected a quantity in s, got '1 fortnight' (unknown unit 'fortnight')"),
        ({"dt": "1 s!"}, "dt: expected a quantity in s, got '1 s!' (unknown unit 's!')"),
        ({"alpha": "0.5 s"}, "alpha: expected a plain number, got 0.5 s"),
        ({"O_P": "1 s", "K_P": "1 s"}, "O_P: expected a quantity in uM/s, got 1 s: the units do not match; K_P: "),
        ({"C_T": float("nan")}, "C_T: expected a finite number (uM), got nan"),
        ({"C_T": -1.0}, "C_T: expected greater than 0 (uM), got -1.0"),
    ],
)
def test_units_that_do_not_match_are_told_in_one_line(setting, message):
    with pytest.raises(InputError) as caught:
        ProcessParameters(**setting)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
