"""Files and folders that appear whole or not at all."""

import json
import math
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.common import files
from astro_sim.common.errors import InputError


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


class Interrupted(BaseException):
    """Stands for Ctrl-C: not an Exception."""


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with files.whole_file(path) as temporary:
        temporary.write_text("all of it")
        assert not path.exists()
        assert temporary.parent == path.parent  # the same disk, so that the move is one step
        assert temporary.suffix == ".txt"
    assert path.read_text() == "all of it"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, Interrupted])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_file_that_fails_half_way_leaves_everything_as_it_was(tmp_path, error, old):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)

    def write():
        with files.whole_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == (["a.txt"] if old else [])
    assert old is None or path.read_text() == old


def test_files_and_folders_get_the_usual_permissions(tmp_path):
    mask = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a.txt", "x")
        with files.whole_folder(tmp_path / "folder"):
            pass
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
        assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750
        assert os.umask(0o027) == 0o027  # reading the mask did not change it
    finally:
        os.umask(mask)


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "run"
    with files.whole_folder(path) as temporary:
        (temporary / "a.txt").write_text("x")
        assert not path.exists()
    assert names(path) == ["a.txt"]
    assert names(path.parent) == ["run"]


def test_an_empty_folder_is_not_in_the_way(tmp_path):
    (tmp_path / "run").mkdir()
    with files.whole_folder(tmp_path / "run") as temporary:
        (temporary / "a.txt").write_text("x")
    assert names(tmp_path / "run") == ["a.txt"]
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_in_the_way_of_a_folder(tmp_path, replace):
    (tmp_path / "run").write_text("x")
    with (
        pytest.raises(InputError, match="run: exists already; choose another folder or remove it"),
        files.whole_folder(tmp_path / "run", replace=replace),
    ):
        pass
    assert names(tmp_path) == ["run"]


def test_a_folder_with_contents_is_in_the_way_unless_replaced(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(InputError, match="run: exists already"), files.whole_folder(path):
        pass
    assert names(path) == ["old.txt"]
    with files.whole_folder(path, replace=True) as temporary:
        (temporary / "new.txt").write_text("new")
    assert names(path) == ["new.txt"]
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("error", [OSError, Interrupted])
def test_a_folder_that_fails_half_way_leaves_everything_as_it_was(tmp_path, error):
    path = tmp_path / "run"
    path.mkdir()
    (path / "old.txt").write_text("old")

    def write():
        with files.whole_folder(path, replace=True) as temporary:
            (temporary / "new.txt").write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ["run"]
    assert names(path) == ["old.txt"]


def test_json_round_trip_and_no_nan(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": [1, 0.1, None]})
    assert files.read_json(path, "example") == {"a": [1, 0.1, None]}
    assert path.read_text().endswith("}\n")
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            files.write_json(path, bad)
    assert files.read_json(path, "example") == {"a": [1, 0.1, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such example"),
        (b"{", "not a example: Expecting property name"),
        (b"", "not a example: Expecting value"),
        (b"\xff", "not text; expected a example (JSON)"),
        (b"\x89HDF\r\n\x1a\n", "a netCDF dataset; expected a example (JSON)"),
    ],
)
def test_unreadable_json_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        files.read_json(path, "example")
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_folder_is_no_json_file(tmp_path):
    with pytest.raises(InputError, match="a folder; expected a example"):
        files.read_json(tmp_path, "example")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_digests_survive_json_and_forget_the_order_of_keys(value):
    assert files.digest(json.loads(json.dumps(value))) == files.digest(value)
    if isinstance(value, dict):
        assert files.digest(dict(reversed(value.items()))) == files.digest(value)


def test_digests_are_sha_256_of_canonical_json():
    # printf '{"a":1,"b":[2]}' | sha256sum
    expected = "0855bfc20eb6cfaa4be7d6b510c63dd22997718bddadcb1a4915cec3a16145b9"
    assert files.digest({"b": [2], "a": 1}) == expected


def test_file_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, the first example of SHA-256
    assert files.file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_link_is_followed_and_a_device_is_refused(tmp_path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    files.write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    with pytest.raises(InputError, match="/dev/null: exists and is not a regular file"):
        files.write_text("/dev/null", "x")


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path):
    out = tmp_path / "out"

    def make():
        with files.whole_folder(out) as temporary:
            (temporary / "ours").write_text("x")
            out.mkdir()
            (out / "theirs").write_text("precious")

    with pytest.raises(InputError, match="exists already"):
        make()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "theirs").read_text() == "precious"


def test_a_lock_keeps_others_out_while_it_is_held(tmp_path):
    lock = tmp_path / ".lock"
    with (
        files.alone(lock),
        pytest.raises(InputError, match="somebody is at it"),
        files.alone(lock, "somebody is at it"),
    ):
        pass
    with files.alone(lock, "somebody is at it"):
        pass


def test_what_gets_its_name_is_on_the_disk(tmp_path, monkeypatch):
    """Or after a loss of power a renamed file may be there and empty."""
    done, fsync = [], os.fsync

    def synced(handle):
        done.append(os.readlink(f"/proc/self/fd/{handle}").rpartition("/")[2].strip(".").partition(".")[0])
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    for name in ("replace", "rename"):
        usual = getattr(os, name)
        monkeypatch.setattr(os, name, lambda a, b, usual=usual: done.append("named") or usual(a, b))
    files.write_text(tmp_path / "file.json", "x")
    assert done == ["file", "named"]
    done.clear()
    with files.whole_folder(tmp_path / "folder") as temporary:
        (temporary / "inside").write_text("x")
    assert done == ["inside", "folder", "named"]
