"""What the verbs leave behind, from the first to the last, and the same broken."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from bridge.laws import Laws
from rmaat.__main__ import main
from tests.cli.words import TRAINING, TREES


@pytest.fixture(scope="session")
def line(shared) -> Path:
    """The whole line by hand, small: what each verb of the README leaves behind."""

    def make(at: Path) -> None:
        ltp, laws, data, run = (str(at / name) for name in ("ltp.nc", "laws.json", "listops", "run"))
        for words in (
            ["simulate", "ltp", "--out", ltp, "--set", "cycles=24", "--set", "burn_in=3"],
            ["simulate", "stp", "--out", str(at / "stp.nc")],
            ["fit", ltp, "--out", laws],
            ["data", "listops", "--out", data, *TREES],
            ["train", "listops", "--laws", laws, "--data", data, "--out", run, *TRAINING],
            ["evaluate", run],
            ["report", str(at), "--out", str(at / "report.html")],
        ):
            assert main(words) == 0, words

    return shared("line", make)


@pytest.fixture(scope="session")
def broken(line, tmp_path_factory) -> Path:
    """Files that something is wrong with."""
    at = tmp_path_factory.mktemp("broken")
    for name in ("ltp.nc", "laws.json"):
        content = (line / name).read_bytes()
        (at / f"cut.{name}").write_bytes(content[: len(content) // 2])
    laws = json.loads((line / "laws.json").read_text())
    for name, change in (("version", {"schema_version": 9}), ("extra", {"colour": "red"})):
        (at / f"{name}.json").write_text(json.dumps({**laws, **change}))
    Laws.load(line / "laws.json").with_parameters({"tau": 5.0}, "trained, from the law").save(at / "other.json")
    (at / "lra").mkdir()
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        text = (line / "listops" / name).read_text().splitlines()
        text[4] = text[4].replace("\t", " ")
        (at / "lra" / name).write_text("\n".join(text))
    shutil.copytree(line / "run", at / "pickled")
    torch.save({"weights": torch.zeros(3)}, at / "pickled" / "model.safetensors")
    return at
