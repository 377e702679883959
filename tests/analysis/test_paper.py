"""The paper's table as we hold it, and how ours is set beside it."""

import pytest

from analysis import paper
from bridge.describe import AT_SLOPE


def test_averages_follow_from_the_tasks() -> None:
    for row in paper.LRA.values():
        assert sum(row[:5]) / 5 == pytest.approx(row.average, abs=0.11)


def test_lookup_by_our_names() -> None:
    assert paper.accuracy("listops", "rmaat") == 38.9
    assert paper.accuracy("image", "linear_transformer") == 42.3
    assert paper.accuracy("listops", "titans") is None
    assert paper.accuracy("copying", "rmaat") is None


def test_ablations_agree_with_the_table() -> None:
    for ablation in paper.ABLATIONS:
        assert ablation.task in paper.TASKS
        if ablation.quantity == "accuracy" and "segments" not in ablation.change:
            model = "RLT" if "RLT" in ablation.change else "RMAAT"
            assert ablation.before == paper.accuracy(ablation.task, model)


def test_slope_of_the_published_curve() -> None:
    assert pytest.approx(0.0615, abs=1e-4) == AT_SLOPE
