"""Every shipped configuration trains for two steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astro_sim.common.settings import load_toml, parse_assignments
from rmaat.cli.demo import TRAINING
from rmaat.config import MODELS
from rmaat.settings import RunSettings, flatten, of_model
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.image import ImageSettings
from rmaat.tasks.pathfinder import PathfinderSettings
from rmaat.tasks.retrieval import RetrievalSettings
from rmaat.tasks.text import TextSettings
from rmaat.tasks.writer import prepare
from rmaat.training.run import train

ROOT = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(ROOT.glob("*.toml"))
PRESETS = sorted([*ROOT.glob("lra/*.toml"), *ROOT.glob("lra-small/*.toml")])


@pytest.fixture(scope="module")
def enwik8(tmp_path_factory) -> Path:
    """A dump of two thousand bytes."""
    root = tmp_path_factory.mktemp("enwik8")
    (root / "enwik8").write_bytes(b"".join(b"<mediawiki> word %d of text </mediawiki> " % n for n in range(60)))
    settings = Enwik8Settings(window=600, train=1200, valid=400, test=400)
    prepare("enwik8", root / "data", settings, source=root)
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
    prepare("text", root / "data", TextSettings(), source=root)
    return root / "data"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_trains(path, listops, text, enwik8, laws, tmp_path):
    task = path.stem
    asked = load_toml(path)
    two_steps = {**asked["training"], "steps": 2, "batch": 4, "device": "cpu"}
    record = train(task, {"listops": listops, "text": text, "enwik8": enwik8}[task], laws, tmp_path / "run",
                   settings={"model": asked["model"], "training": two_steps})  # fmt: skip
    assert record.finished
    for name, value in asked["model"].items():
        assert record.run.built[name] == value


@pytest.fixture(scope="module")
def lra(listops, text, tmp_path_factory) -> dict[str, Path]:
    """All five tasks, a few examples each."""
    root, generator = tmp_path_factory.mktemp("lra"), np.random.default_rng(0)
    (root / "cifar").mkdir()
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        records = generator.integers(0, 256, (10, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(10)
        (root / "cifar" / name).write_bytes(records.tobytes())
    prepare("image", root / "image", ImageSettings(valid=10), source=root / "cifar")
    (root / "aan").mkdir()
    for name in ("train", "eval", "test"):
        rows = [f"{n % 2}.0\t{n}\t{n}\t{name} first {n}\t{name} second {n}" for n in range(8)]
        (root / "aan" / f"new_aan_pairs.{name}.tsv").write_text("\n".join(rows) + "\n")
    prepare("retrieval", root / "retrieval", RetrievalSettings(), source=root / "aan")
    prepare("pathfinder", root / "pathfinder", PathfinderSettings(train=8, valid=4, test=4))
    made = {name: root / name for name in ("image", "retrieval", "pathfinder")}
    return {"listops": listops, "text": text, **made}


def preset_cases() -> list[Any]:
    """Every model under every file; slow but for every small file with rmaat, every model on ListOps, and one large."""
    cases = []
    for path in PRESETS:
        for model in MODELS:
            small = path.parent.name == "lra-small"
            quick = path.stem == "listops" or model == "rmaat" if small else (path.stem, model) == ("text", "rmaat")
            marks = [] if quick else [pytest.mark.slow]
            cases.append(pytest.param(path, model, marks=marks, id=f"{path.parent.name}-{path.stem}-{model}"))
    return cases


@pytest.mark.parametrize(("path", "model"), preset_cases())
def test_every_model_trains_under_every_preset(path, model, lra, laws, tmp_path):
    """Two steps of two examples; of what the file says, only what concerns memory may be without effect."""
    settings = of_model(load_toml(path), model, str(path))
    small = {"steps": 2, "batch": 2, "device": "cpu", "validate_examples": 2}
    record = train(path.stem, lra[path.stem], laws, tmp_path / "run", model, {**settings, **small})
    assert record.finished
    assert record.run.config.memory_rule == ("scale" if model == "rmaat" else "none")
    assert not {"width", "depth", "feedforward", "readout"} & set(record.run.without_effect)


def test_the_file_of_the_first_page_is_the_demos_model_for_longer():
    by_hand = RunSettings.build(flatten(load_toml(ROOT / "listops.toml"), "listops"), 16, 10)
    demo = RunSettings.build(parse_assignments(TRAINING), 16, 10)
    assert by_hand.model == demo.model
    assert by_hand.training.steps >= 2 * demo.training.steps
    for name in ("curriculum_steps", "learning_rate", "batch"):
        assert getattr(by_hand.training, name) == getattr(demo.training, name)
