"""Every shipped configuration trains for two steps."""

from pathlib import Path

import pytest

from astro_sim.common.settings import load_toml
from rmaat.tasks import storage
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.text import TextSettings
from rmaat.training.engine import train

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.fixture(scope="module")
def enwik8(tmp_path_factory) -> Path:
    """A dump of two thousand bytes."""
    root = tmp_path_factory.mktemp("enwik8")
    (root / "enwik8").write_bytes(b"".join(b"<mediawiki> word %d of text </mediawiki> " % n for n in range(60)))
    settings = Enwik8Settings(window=600, train=1200, valid=400, test=400)
    storage.prepare("enwik8", root / "data", settings, source=root)
    return root / "data"


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """Sixteen short reviews."""
    root = tmp_path_factory.mktemp("text")
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            folder = root / "aclImdb" / split / label
            folder.mkdir(parents=True)
            for number in range(8):
                (folder / f"{number}.txt").write_text(f"{split}, {label} review number {number} " * (number + 1))
    storage.prepare("text", root / "data", TextSettings(), source=root)
    return root / "data"


def test_there_are_configurations():
    assert {path.stem for path in CONFIGS} >= {"listops", "text"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_trains(path, listops, text, enwik8, laws, tmp_path):
    task = path.stem
    asked = load_toml(path)
    two_steps = {**asked["training"], "steps": 2, "batch": 4, "device": "cpu"}
    record = train(task, {"listops": listops, "text": text, "enwik8": enwik8}[task], laws, tmp_path / "run",
                   settings={"model": asked["model"], "training": two_steps})  # fmt: skip
    assert record.finished
    for name, value in asked["model"].items():
        assert record.run["model_config"][name] == value
