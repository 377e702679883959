"""What `rmaat evaluate` keeps of every example of the test split, and that `analysis.compare` reads it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.comparison import statistics
from rmaat.records import packed, read_run, unpacked
from rmaat.tasks import data_folder
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.listops import ListOpsSettings
from rmaat.tasks.writer import prepare
from rmaat.training import evaluation
from rmaat.training.batches import tensors
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train
from tests.rmaat.run_folders import TINY

SMALL = {**TINY, "batch": 5, "steps": 6, "validate_every": 6, "checkpoint_every": 6}


@pytest.fixture(scope="module")
def runs(listops, laws, tmp_path_factory) -> list[Path]:
    at = tmp_path_factory.mktemp("runs")
    for model in ("rmaat", "rmt"):
        for seed in (0, 1):
            train("listops", listops, laws, at / f"{model}-{seed}", model, {**SMALL, "seed": seed})
            evaluate(at / f"{model}-{seed}")
    return sorted(at.iterdir())


def kept(run: Path) -> Any:
    return np.load(run / "predictions.npy", allow_pickle=False)


def test_predictions_are_the_models_in_the_order_of_the_split(runs, listops):
    """One example at a time, which neither sorts nor pads."""
    _, network, opened, _ = evaluation._open(runs[0], None, "test")
    split = opened.splits["test"]
    network.eval()
    with torch.no_grad():
        alone = [int(network(*tensors(split, np.array([at]))[:2]).argmax()) for at in range(len(split))]
    found = kept(runs[0])
    assert found.dtype == np.uint8
    assert found[0].tolist() == alone
    assert (found[1] == data_folder.load(listops).splits["test"].labels).all()
    result = read_run(runs[0]).evaluation
    assert result is not None
    assert (found[0] == found[1]).mean() == result.accuracy


def test_other_splits_and_other_data_leave_them_alone(runs, listops, tmp_path):
    before = (runs[0] / "predictions.npy").read_bytes()
    evaluate(runs[0], split="valid")
    settings = ListOpsSettings(train=8, valid=4, test=6, min_length=10, max_length=40)
    prepare("listops", tmp_path / "other", settings, seed=9)
    evaluate(runs[0], tmp_path / "other")
    assert (runs[0] / "predictions.npy").read_bytes() == before


def test_language_models_keep_none(laws, tmp_path):
    dump = tmp_path / "enwik8"
    dump.write_bytes(np.random.default_rng(0).integers(32, 127, 4000).astype(np.uint8).tobytes())
    settings = Enwik8Settings(window=100, train=3000, valid=400, test=400)
    prepare("enwik8", tmp_path / "data", settings, source=dump)
    train("enwik8", tmp_path / "data", laws, tmp_path / "run", settings=SMALL)
    assert "bits_per_token" in evaluate(tmp_path / "run")
    assert not (tmp_path / "run" / "predictions.npy").exists()


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_what_is_right_goes_through_text_and_back(right):
    np.testing.assert_array_equal(unpacked(packed(np.array(right)), len(right)), right)


def test_runs_are_compared_example_by_example(runs):
    found = analysis.compare(runs, "rmt")
    right = [(kept(run)[0] == kept(run)[1]).astype(int) for run in runs]
    assert [arm.seeds for arm in found.arms] == [(0, 1), (0, 1)]
    expected = statistics.over_seeds_and_examples(np.stack([right[0] - right[2], right[1] - right[3]]))
    assert found.differences[0].estimate == expected
    assert found.differences[0].method == "pairs, examples"
