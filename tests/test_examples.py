"""The scripts of the gallery, each by itself in an empty folder, as a reader would run them."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow  # the pages of the gallery run them too
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_it_runs_without_a_warning(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", path], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.slow
def test_the_example_shows_that_the_law_matters(tmp_path):
    script = EXAMPLES / "law_to_model.py"
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    assert "linear: tau = 6.000 cycles" in out
    assert float(out.rsplit(":", 1)[1]) > 1e-4  # float32 logits of order one
