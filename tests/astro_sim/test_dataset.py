"""Datasets: described, identical after a round trip, written whole or not at all."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import astro_sim
from astro_sim import experiments
from astro_sim.common.errors import InputError
from astro_sim.dataset import REQUIRED_ATTRIBUTES, changes_of, content_digest, settings_of


def test_every_variable_carries_unit_and_description(dataset):
    known = experiments.find(dataset.attrs["experiment"]).known(dataset.attrs["model"], settings_of(dataset))
    for name, variable in dataset.variables.items():
        assert (variable.attrs["units"], variable.attrs["long_name"]) == known[name]
        assert variable.attrs["units"]
        assert variable.attrs["long_name"]


def test_provenance_is_complete(dataset, question):
    assert set(REQUIRED_ATTRIBUTES) <= set(dataset.attrs)
    assert (dataset.attrs["experiment"], dataset.attrs["model"]) == (question.experiment, question.model)
    assert dataset.attrs["seed"] == 3
    solver = {"macro": "numba", "biophysical": "Brian2"}[question.model]
    assert set(json.loads(dataset.attrs["versions"])) == {"rmaat", "numpy", solver, "xarray"}
    stored = settings_of(dataset)
    assert {name: stored[name] for name in question.settings} == question.settings


def test_every_experiment_and_model_is_among_those_tested(question):
    known = {(name, model) for name in experiments.NAMES for model in experiments.find(name).experiment.models}
    assert known == {(name, model) for name in experiments.NAMES for model in experiments.find(name).promised}
    assert (question.experiment, question.model) in known


def test_stored_settings_make_the_same_dataset_again(dataset, question):
    again = astro_sim.simulate(question.experiment, question.model, seed=3, **json.loads(dataset.attrs["settings"]))
    xr.testing.assert_identical(again, dataset)


def test_reading_gives_back_what_was_written_to_us_and_to_another_reader(dataset, tmp_path):
    path = tmp_path / "sub" / "run.nc"  # the folder is made
    astro_sim.write(dataset, path)
    xr.testing.assert_identical(astro_sim.read(str(path), dataset.attrs["experiment"]), dataset)
    with xr.open_dataset(path) as stored:  # default decoding: no unit may turn into a date
        for name in dataset.variables:
            np.testing.assert_array_equal(stored[name].values, dataset[name].values)


def test_a_read_dataset_no_longer_needs_its_file(ltp, tmp_path):
    astro_sim.write(ltp, tmp_path / "run.nc")
    dataset = astro_sim.read(tmp_path / "run.nc")
    (tmp_path / "run.nc").unlink()
    assert dataset["p_l"].sum() == ltp["p_l"].sum()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        astro_sim.write(astro_sim.simulate("ltp", cycles=2, seed=seed), tmp_path / f"{name}.nc")
    a, b, c = ((tmp_path / f"{name}.nc").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_changes_are_the_settings_that_are_not_the_defaults():
    run = astro_sim.simulate("ltp", cycles=1, tau_n=0.04, layout="line", duty=0.5)
    assert changes_of(run) == {
        "layout": ("line", "grid", "1"), "cycles": (1, 6, "1"), "tau_n": (0.04, 0.05, "s")
    }  # fmt: skip
    points = astro_sim.sweep("ltp", {"cycles": [1, 2]}, positions=None, ltp_dynamics="bounded")
    assert changes_of(points) == {"ltp_dynamics": ("bounded", "linear", "1")}  # what is swept is no setting of its own


def test_digests_are_equal_exactly_for_equal_questions():
    def asked(**question):
        return astro_sim.simulate(**{"experiment": "ltp", "cycles": 1, **question}).attrs["digest"]

    assert asked() == asked(tau_n=0.05)  # stating a default changes nothing
    others = [asked(seed=1), asked(tau_n=0.04), asked(cycles=2), asked(duty=0.4)]
    assert len({asked(), *others}) == 5


def test_digests_of_contents_are_equal_exactly_for_equal_numbers(ltp, tmp_path):
    squared = ltp.assign(p_l_cycle=ltp["p_l_cycle"] ** 2)
    assert content_digest(squared) != content_digest(ltp)
    assert content_digest(ltp.assign_attrs(seed=2)) != content_digest(ltp)
    assert content_digest(ltp[list(ltp)[::-1]]) == content_digest(ltp)  # the order of variables says nothing
    astro_sim.write(squared, tmp_path / "squared.nc")  # changed on purpose: written with the digest that it has now
    again = astro_sim.read(tmp_path / "squared.nc")
    assert content_digest(again) == content_digest(squared)
    assert again.attrs["digest"] == ltp.attrs["digest"]


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(width=64)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
ARRAYS = (
    arrays(st.sampled_from(["f4", "f8", "i2", "i8", "u1", "u8", "?"]), st.integers(0, 3))
    | st.lists(TEXT, max_size=3).map(lambda words: np.array(words, dtype=object))
)  # fmt: skip


@settings(max_examples=20)  # each writes and reads a file
@given(
    ARRAYS,
    st.dictionaries(
        TEXT.filter(lambda name: name and "/" not in name), TEXT | NUMBERS | st.lists(NUMBERS, min_size=1, max_size=3)
    ),
)
def test_whatever_is_written_comes_back(ltp, tmp_path_factory, values, attributes):
    path = tmp_path_factory.getbasetemp() / "any.nc"
    dataset = ltp.assign(more=("more_dim", values, attributes)).assign_attrs(
        {f"note {k}": v for k, v in attributes.items()}
    )
    try:
        astro_sim.write(dataset, path)
    except InputError:
        return  # refused is well, too; which are stands in test_dataset_refusals
    found = astro_sim.read(path)
    xr.testing.assert_identical(found, dataset)
    assert values.dtype.kind == "O" or found["more"].dtype == values.dtype
    assert content_digest(found) == content_digest(dataset)


def test_a_write_that_fails_half_way_leaves_the_old_file_untouched(ltp, tmp_path, monkeypatch):
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    before = path.read_bytes()

    def fail(self, content):
        self.write_text("half a file")
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    for target in (path, tmp_path / "new.nc"):
        with pytest.raises(OSError, match="disk full") as caught:
            astro_sim.write(ltp, target)
        assert caught.value.filename == str(target)  # not the temporary one
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.nc"]
    assert path.read_bytes() == before
