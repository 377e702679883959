"""What is not a dataset of ours is refused in one line that says what and where."""

import gc
import sys

import numpy as np
import pytest

import astro_sim
from astro_sim.common.errors import InputError
from astro_sim.dataset import check


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


# Truncation is felt in different layers: signature, superblock, object headers, data.
@pytest.mark.parametrize("keep", [0, 1, 7, 8, 50, 96, 500, 2048, 5000, 0.25, 0.5, 0.9, 0.999, -1])
def test_a_truncated_file_is_refused(ltp, tmp_path, keep):
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    one_line(caught, f"{path}: not a readable netCDF file, perhaps truncated (")


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "run.nc"
    path.write_text("time,p_l\n0,0\n")
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    assert str(caught.value) == (
        f"{path}: not a netCDF 4 (HDF5) file; expected a dataset that rmaat simulate wrote (.nc)"
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_refused_and_nothing_else_is_printed(ltp, tmp_path, seed, monkeypatch):
    """h5netcdf prints "Exception ignored" when the object that failed to open is collected."""
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    damaged, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in rng.integers(0, 6000, size=40):  # headers of objects lie at the front
        damaged[place] ^= rng.integers(1, 256)
    path.write_bytes(damaged)
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    one_line(caught, f"{path}: not a readable netCDF file, perhaps truncated (")
    gc.collect()
    assert printed == []


def test_a_missing_file_and_a_folder_are_refused(ltp, tmp_path):
    def told(path):
        with pytest.raises(InputError) as caught:
            astro_sim.read(path)
        return str(caught.value)

    assert told(tmp_path / "none.nc") == f"{tmp_path}/none.nc: no such dataset"
    assert told(tmp_path) == f"{tmp_path}: a folder; expected a dataset (.nc); it holds no .nc"
    astro_sim.write(ltp, tmp_path / "ltp.nc")
    assert told(tmp_path) == f"{tmp_path}: a folder; expected a dataset (.nc), such as {tmp_path}/ltp.nc"


@pytest.mark.parametrize(("given", "got"), [("ltp.nc", "'ltp.nc'"), (3, "int")])
def test_what_is_no_dataset_is_refused(given, got):
    with pytest.raises(InputError) as caught:
        check(given)
    one_line(caught, f"dataset: expected an xarray.Dataset, as of astro_sim.read or simulate, got {got}")


def test_a_foreign_netcdf_file_is_refused(ltp, tmp_path):
    path = tmp_path / "foreign.nc"
    ltp.drop_attrs().to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    assert str(caught.value) == f"{path}: not a dataset of astro_sim (attribute 'experiment' is missing)"


def test_another_experiment_than_the_asked_one_is_refused(ltp, tmp_path):
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    with pytest.raises(InputError, match=r"run.nc: expected a dataset of the experiment 'stp', found 'ltp'"):
        astro_sim.read(path, "stp")


@pytest.mark.parametrize("version", [2, 0, "1", "new", 1.0])
def test_another_schema_version_is_refused(ltp, version):
    with pytest.raises(InputError, match=f"^dataset: dataset schema {version}; this version reads 1$"):
        check(ltp.assign_attrs(schema_version=version))


@pytest.mark.parametrize("name", ["experiment", "model", "seed", "settings", "versions", "digest", "schema_version"])
def test_a_missing_attribute_is_named(ltp, name):
    stripped = ltp.copy()
    del stripped.attrs[name]
    with pytest.raises(InputError, match=rf"not a dataset of astro_sim \(attribute '{name}' is missing\)"):
        check(stripped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("p_l_cycle"), "variable 'p_l_cycle' is missing; a dataset of 'ltp' needs it"),
        (lambda d: d.drop_vars("tau_cycle"), "variable 'tau_cycle' is missing"),
        (
            lambda d: d.transpose("pre", ...),
            r"variable 'p_l_cycle' has dimensions \('pre', 'cycle', 'post'\), expected \('cycle', 'post'",
        ),
        (
            lambda d: d.assign(p_l=d["p_l"].where(d["time"] < 9)),
            "variable 'p_l' holds NaN or infinite values",
        ),
        (lambda d: d.assign(tau_cycle=np.inf), "variable 'tau_cycle' holds NaN or infinite values"),
        (lambda d: d.assign(p_l=d["p_l"].astype(str)), "variable 'p_l' holds <U.*, expected numbers"),
        (lambda d: d.assign_attrs(experiment="ltq"), "unknown experiment 'ltq'; did you mean 'ltp'?"),
        (lambda d: d.assign_attrs(settings="{"), "attribute 'settings' is not a JSON object"),
        (lambda d: d.assign_attrs(digest="abc"), "attribute 'digest' is not a SHA-256"),
    ],
)
def test_contents_outside_the_schema_are_named(ltp, change, message, tmp_path):
    with pytest.raises(InputError, match=f"^here: {message}"):
        check(change(ltp), where="here")
    with pytest.raises(InputError, match=message):
        astro_sim.write(change(ltp), tmp_path / "bad.nc")
    assert not any(tmp_path.iterdir())


def test_rates_are_part_of_a_frequency_dataset():
    run = astro_sim.simulate("frequency", n=1)
    with pytest.raises(InputError, match="variable 'rate' is missing"):
        check(run.drop_vars("rate"))
