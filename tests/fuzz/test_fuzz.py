"""Some of what `python -m tests.fuzz` and `python -m tests.fuzz.kill` try; the scripts try far more."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.fuzz import damage
from tests.fuzz.targets import TARGETS, attempt

FEW, MANY = 40, 160  # inputs of each target


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("seeds", [range(FEW), pytest.param(range(FEW, MANY), marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_refused_or_taken_for_what_it_is(name, seeds, place):
    kinds = Counter()
    for seed in seeds:
        outcome = attempt(name, seed, place)
        kinds[outcome] += 1
        assert outcome in ("accepted", "refused"), (
            f"python -m tests.fuzz --only {name} --seed {seed} --count 1: {outcome}"
        )
    assert kinds["refused"] > len(seeds) // 10  # damage does damage


def test_damage_is_the_same_again_and_differs_from_seed_to_seed():
    from random import Random

    content = bytes(range(256))
    assert damage.of_bytes(Random(1), content) == damage.of_bytes(Random(1), content)
    assert len({damage.of_bytes(Random(seed), content) for seed in range(20)}) > 15


@pytest.mark.slow
def test_runs_that_are_killed_and_disks_that_are_full():
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.kill", "--kills", "10", "--inside", "3"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "of them inside a checkpoint: bitwise the same" in done.stdout
    assert "two at once: one refused" in done.stdout
