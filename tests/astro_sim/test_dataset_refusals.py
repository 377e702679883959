"""What is not a dataset of ours is refused in one line that says what and where."""

import gc
import io
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import xarray as xr

import astro_sim
from astro_sim.common import sealed
from astro_sim.common.errors import InputError
from astro_sim.common.sealed import LENGTH
from astro_sim.dataset import check


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.fixture
def tried_here(monkeypatch):
    """A file without a seal is tried in this process, without the second that one of its own takes."""

    def run(command, input, **_):
        complaints = io.StringIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(input)))
        with redirect_stderr(complaints):
            try:
                exec(command[-1], {})
            except SystemExit as end:
                return SimpleNamespace(returncode=end.code, stderr=complaints.getvalue().encode())
        return SimpleNamespace(returncode=0, stderr=b"")

    monkeypatch.setattr(subprocess, "run", run)


# Truncation is felt in different layers: signature, superblock, object headers, data.
@pytest.mark.parametrize("keep", [0, 1, 8, 96, 2048, 0.5, 0.999])
def test_a_truncated_file_is_refused(ltp, tmp_path, keep, tried_here):
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


def test_a_cut_through_the_seal_leaves_the_contents_whole(ltp, tmp_path, tried_here):
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    path.write_bytes(path.read_bytes()[:-1])
    xr.testing.assert_identical(astro_sim.read(path), ltp)  # their digest holds


def test_a_flipped_bit_anywhere_is_refused_before_hdf5_sees_it(ltp, tmp_path, monkeypatch):
    path, rng = tmp_path / "run.nc", np.random.default_rng(0)
    astro_sim.write(ltp, path)
    monkeypatch.setattr(h5py, "File", None)
    whole = path.read_bytes()
    for place in (8, *rng.integers(8, len(whole) - LENGTH, size=200), len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            astro_sim.read(path)
        one_line(caught, f"{path}: not a readable netCDF file, perhaps truncated (damaged or changed after it was")


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_without_a_seal_is_refused_and_nothing_else_is_printed(ltp, tmp_path, seed, monkeypatch):
    """h5netcdf prints "Exception ignored" when the object that failed to open is collected."""
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    damaged, rng = bytearray(path.read_bytes()[:-LENGTH]), np.random.default_rng(seed)
    for place in rng.integers(8, 6000, size=40):  # headers of objects lie at the front
        damaged[place] ^= rng.integers(1, 256)
    path.write_bytes(damaged)
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    one_line(caught, f"{path}: not a readable netCDF file, perhaps truncated (")
    gc.collect()
    assert printed == []


# In place of HDF5, which a flipped bit can send into a loop in C that no signal ends.
ENDLESS = "import sys, time; sys.stdin.buffer.read(); time.sleep(600)"


def test_a_file_without_a_seal_whose_reading_never_ends_is_refused(ltp, tmp_path, monkeypatch):
    path = tmp_path / "foreign.nc"
    ltp.to_netcdf(path, engine="h5netcdf")
    monkeypatch.setattr(sealed, "_TRIAL", ENDLESS)
    monkeypatch.setattr(sealed, "PATIENCE", 0.3)
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    one_line(caught, f"{path}: not a readable netCDF file", "reading it did not end within 0 s")


def test_an_interrupt_ends_the_trial_of_a_file_without_a_seal(ltp, tmp_path):
    path = tmp_path / "foreign.nc"
    ltp.to_netcdf(path, engine="h5netcdf")
    code = (
        "import sys; from astro_sim import dataset; from astro_sim.common import sealed;"
        f"sealed._TRIAL = {ENDLESS!r};"
        "print('ready', flush=True); dataset.read(sys.argv[1])"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)  # for the trial to begin; if it has not, the interrupt ends the process all the same
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


def test_a_file_that_another_program_wrote_is_read(ltp, tmp_path):
    ltp.to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    xr.testing.assert_identical(astro_sim.read(tmp_path / "foreign.nc"), ltp)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("p_l_cycle",), "0.5 ** 2", "its contents are not those that were written"),
        (("p_l_cycle", "long_name"), "something else", "its contents are not those that were written"),
        (
            ("settings",),
            '"tau_cycle": 6.0',
            "attribute 'digest' is not that of its experiment, model, seed and settings",
        ),
        (("seed",), 7, "attribute 'digest' is not that of its experiment, model, seed and settings"),
    ],
)
def test_what_another_program_changed_in_a_file_is_refused(ltp, tmp_path, where, value, message, tried_here):
    path = tmp_path / "run.nc"
    astro_sim.write(ltp, path)
    with h5py.File(path, "r+") as file:
        if where == ("p_l_cycle",):
            file["p_l_cycle"][...] = file["p_l_cycle"][...] ** 2
        elif where == ("settings",):
            file.attrs["settings"] = re.sub(r'"tau_cycle": [\d.]+', value, file.attrs["settings"])
        else:
            (file[where[0]] if len(where) == 2 else file).attrs[where[-1]] = value
    with pytest.raises(InputError) as caught:
        astro_sim.read(path)
    one_line(caught, f"{path}: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign(day=np.datetime64("2026-12-01", "ns")), r"variable 'day' holds datetime64\[ns\]"),
        (lambda d: d.assign(lag=np.timedelta64(1, "s")), "variable 'lag' holds timedelta64"),
        (lambda d: d.assign(z=1j), "variable 'z' holds complex128"),
        (lambda d: d.assign(half=np.float16(0.5)), "variable 'half' holds float16"),
        (lambda d: d.assign(x=((), np.array({}, object))), "variable 'x' holds object"),
        (lambda d: d.assign(x=((), "a\0b")), "variable 'x' holds <U3"),
        (lambda d: d.assign({"a/b": 1.0}), "variable 'a/b': expected a name without '/'"),
        (lambda d: d.assign({7: 1.0}), "variable 7: expected a name"),
        (lambda d: d.assign(x=((), 1.0, {"scale_factor": 2.0})), "variable 'x' has the attribute 'scale_factor'"),
        *(
            (
                lambda d, value=value: d.assign_attrs(note=value),
                "dataset: attribute 'note': expected text or numbers, got",
            )
            for value in (None, True, {"a": 1}, "a\0b", "\ud800", [], [1.0], [[1.0]], b"bytes", 1j, ["a", "b"], 2**70)
        ),
        (lambda d: d.assign(x=((), 1.0, {"note": None})), "variable 'x': attribute 'note': expected text or numbers"),
    ],
)
def test_what_a_file_would_not_give_back_is_not_written(ltp, tmp_path, change, message):
    with pytest.raises(InputError, match=f"^(dataset: )?{message}"):
        astro_sim.write(change(ltp), tmp_path / "run.nc")
    assert not any(tmp_path.iterdir())


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


def test_a_foreign_netcdf_file_is_refused(ltp, tmp_path, tried_here):
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
        (lambda d: d.assign(p_l=d["p_l"].where(d["time"] < 9)), "variable 'p_l' holds NaN or infinite values"),
        (lambda d: d.assign(tau_cycle=np.inf), "variable 'tau_cycle' holds NaN or infinite values"),
        (lambda d: d.assign(p_l=d["p_l"].astype(str)), "variable 'p_l' holds <U.*, expected numbers"),
        (lambda d: d.assign_attrs(experiment="ltq"), "unknown experiment 'ltq'; did you mean 'ltp'?"),
        (lambda d: d.assign_attrs(settings="{"), "attribute 'settings' is not a JSON object"),
        (lambda d: d.assign_attrs(digest="abc"), "attribute 'digest' is not that of its experiment, model, seed"),
        (lambda d: d.assign_attrs(seed=8), "attribute 'digest' is not that of its experiment, model, seed"),
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
