"""The front door of the simulator: names, seeds, settings."""

import json

import numpy as np
import pytest
import xarray as xr

import astro_sim
from astro_sim import experiments
from astro_sim.simulation import describe_settings


@pytest.mark.parametrize(("experiment", "names"), [("ltp", "bcd"), ("associative", "bcd")])
def test_biases_have_the_unit_of_what_they_are_added_to(experiment, names):
    units = {name: unit for name, _, unit, _ in describe_settings(experiment, "macro")}
    assert [units[name] for name in names] == ["a.u."] * 3


def test_the_settings_that_were_used_are_in_the_dataset():
    run = astro_sim.simulate("ltp", cycles=2, gamma_l=2.0, seed=7)
    stored = json.loads(run.attrs["settings"])
    assert (stored["cycles"], stored["gamma_l"], stored["tau_p_l"], stored["layout"]) == (2, 2.0, 60.0, "grid")
    assert run.attrs["seed"] == 7


def test_numpy_integers_are_seeds_too():
    run = astro_sim.simulate("ltp", cycles=1, seed=np.int64(3))
    xr.testing.assert_identical(run, astro_sim.simulate("ltp", cycles=1, seed=3))


def test_every_setting_is_described_with_the_default_in_force(question):
    rows = describe_settings(question.experiment, question.model)
    names = [name for name, *_ in rows]
    assert len(set(names)) == len(names)  # protocol and model share no name, or a value would reach only one
    assert all(unit and meaning for _, _, unit, meaning in rows)
    settings, parameters = experiments.find(question.experiment).get(question.model).complete({})
    assert {name: default for name, default, *_ in rows} == {**dict(settings), **dict(parameters)}


@pytest.mark.parametrize("experiment", experiments.NAMES)
def test_every_preset_is_valid_and_listed(experiment):
    for model, variant in experiments.find(experiment).experiment.models.items():
        for preset in variant.presets:
            variant.complete({"preset": preset})
            listed = {name: meaning for name, _, _, meaning in describe_settings(experiment, model)}
            assert preset in listed["preset"]


def test_the_default_model_is_macro_where_it_runs():
    assert experiments.find("ltp").resolve(None) == "macro"
    assert experiments.find("calcium").resolve(None) == "biophysical"
    assert experiments.find("ltp").resolve("biophysical") == "biophysical"


def test_the_package_offers_its_names_and_no_others():
    assert set(astro_sim.__all__) == {"InputError", "read", "select", "simulate", "sweep", "write"}
    assert all(callable(getattr(astro_sim, name)) for name in astro_sim.__all__)
    with pytest.raises(AttributeError, match="module 'astro_sim' has no attribute 'simulat'"):
        _ = astro_sim.simulat
