"""Training in two processes: the loss curve of one process, and a resume that ends with the same bits.

Both processes meet over gloo once, for all cases that are asked for; a start costs seconds, a case about one.
"""

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import astro_sim
import bridge
from bridge.laws import Laws
from rmaat.records import read_run
from rmaat.settings import TrainSettings
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.writer import prepare
from rmaat.training.loop import Loop
from rmaat.training.run import train
from tests.rmaat.run_folders import TINY, assignments

RANKS = 2
PATIENCE = 600.0  # s, for all cases together; they take 20 s on an idle machine, and these may be its only two cores
SMALL = {**TINY, "steps": 50, "log_every": 1, "validate_every": 25, "checkpoint_every": 20}
SHORT = {"steps": 12, "dropout": 0.2, "checkpoint_every": 4, "log_every": 3}
CURVES: dict[str, tuple[str, dict[str, Any]]] = {
    "ddp": ("listops", {"parallel": "ddp"}),
    "fsdp": ("listops", {"parallel": "fsdp"}),
    "fsdp in parts": ("listops", {"parallel": "fsdp", "accumulate": 2}),
    "ddp in parts": ("listops", {"parallel": "ddp", "accumulate": 2}),
    "trainable laws": ("listops", {"parallel": "fsdp", "laws.trainable": True, "curriculum": [1]}),
    "trainable laws, ddp": ("listops", {"parallel": "ddp", "laws.trainable": True, "curriculum": [1]}),
    "two parameters": ("listops", {"parallel": "fsdp", "laws.trainable": True}),
    "language": ("enwik8", {"parallel": "fsdp", "kept_segments": 0}),
}
LAWS = {"two parameters": "stretched.json"}  # the others: laws.json
RESUMED = ("ddp", "fsdp")


def quick(names: Iterable[str], among: set[str]) -> list[Any]:
    """The names as cases, ``slow`` but for those ``among`` them."""
    return [pytest.param(name, marks=[] if name in among else pytest.mark.slow) for name in names]


def stop_once(at: int) -> Any:
    """The loop's end, which comes after ``at`` steps as if time were up."""

    def end(loop: Loop, *_: Any) -> str | None:
        return "minutes" if loop.state.step == at else "steps" if loop.state.step == loop.settings.steps else None

    return end


def work(rank: int, folder: str, port: int, data: dict[str, Path], curves: list[str], resumed: list[str]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    here = Path(folder)
    laws = Laws.load(here / "laws.json")
    try:
        for name in curves:
            task, changes = CURVES[name]
            own = Laws.load(here / LAWS.get(name, "laws.json"))
            train(task, data[task], own, here / name, settings={**SMALL, **changes})
        for name in resumed:
            settings = {**SMALL, **SHORT, "parallel": name}
            train("listops", data["listops"], laws, here / f"{name} whole", settings=settings)
            usual, Loop._end = Loop._end, stop_once(6)
            assert not train("listops", data["listops"], laws, here / f"{name} cut", settings=settings).finished
            Loop._end = usual
            torch.manual_seed(99 + rank)
            train("listops", data["listops"], laws, here / f"{name} cut", resume=True)
        torch.distributed.destroy_process_group()
    except BaseException:
        (here / f"error-{rank}").write_text(traceback.format_exc())
        raise


@pytest.fixture(scope="module")
def data(listops: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    (root / "enwik8").write_bytes(torch.randint(32, 127, (4000,)).to(torch.uint8).numpy().tobytes())
    settings = Enwik8Settings(window=70, train=3_000, valid=450, test=400)
    prepare("enwik8", root / "data", settings, source=root / "enwik8")
    return {"listops": listops, "enwik8": root / "data"}


@pytest.fixture(scope="module")
def runs(
    laws: Laws, data: dict[str, Path], start_ranks: Any, tmp_path_factory: pytest.TempPathFactory, request: Any
) -> Path:
    """The folder in which two processes left the runs that the chosen tests look at."""

    def asked(test: Callable[..., None]) -> list[str]:
        return [item.callspec.params["name"] for item in request.session.items if item.originalname == test.__name__]

    cases = asked(test_two_processes_have_the_loss_curve_of_one), asked(test_two_processes_go_on_exactly)
    folder = tmp_path_factory.mktemp("ranks")
    laws.save(folder / "laws.json")
    dataset = astro_sim.simulate("ltp", cycles=24, burn_in=3)
    bridge.fit_laws([dataset], family="stretched_exponential", draws=0).save(folder / "stretched.json")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        start_ranks(work, (str(folder), port, data, *cases), PATIENCE)
    except Exception:
        pytest.fail("\n".join(path.read_text() for path in folder.glob("error-*")) or traceback.format_exc())
    return folder


@pytest.mark.parametrize("name", quick(CURVES, {"fsdp"}))
def test_two_processes_have_the_loss_curve_of_one(runs, data, tmp_path, name):
    """Same global batch, dropout 0, float32, 50 steps: to 1e-5, since sums are added in another order."""
    task, changes = CURVES[name]
    laws = Laws.load(runs / LAWS.get(name, "laws.json"))
    one = train(task, data[task], laws, tmp_path / "one", settings={**SMALL, **changes, "accumulate": 1})
    two = read_run(runs / name)
    assert two.run.machine["processes"] == "2"
    assert len(two.metrics) == len(one.metrics) == 52
    for mine, others in zip(two.metrics, one.metrics, strict=True):
        assert mine["loss"] == pytest.approx(others["loss"], abs=1e-5)
        assert (mine["step"], mine["split"]) == (others["step"], others["split"])
        assert mine.get("tokens") == others.get("tokens")
        if "laws" in others:
            assert mine["laws"] == pytest.approx(others["laws"], rel=1e-4)
    assert two.summary.tokens == one.summary.tokens
    ours, theirs = load_file(runs / name / "model.safetensors"), load_file(tmp_path / "one" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[key].shape == theirs[key].shape for key in theirs)


@pytest.mark.parametrize("name", quick(RESUMED, {"fsdp"}))
def test_two_processes_go_on_exactly(runs, name):
    """Dropout on: each process has its own masks, and gets its own random state back."""
    whole, cut = (load_file(runs / f"{name} {which}" / "model.safetensors") for which in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    random = load_file(runs / f"{name} cut" / "checkpoints" / "step-00000012" / "optimizer.safetensors")
    assert not torch.equal(random["random.cpu"], random["random.cpu.1"])


def test_a_batch_that_cannot_be_shared_out_is_refused(listops, laws, tmp_path):
    from astro_sim.common.errors import InputError

    with pytest.raises(InputError, match="batch: 8 examples cannot be shared out equally; expected a multiple of 3"):
        train("listops", listops, laws, tmp_path / "run", settings={**SMALL, "accumulate": 3})
    assert not (tmp_path / "run").exists()
    assert TrainSettings().accumulate == 1


@pytest.mark.slow
def test_torchrun_starts_a_run_that_speaks_once(listops, laws, tmp_path):
    laws.save(tmp_path / "laws.json")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "rmaat", "train", "listops", "--laws", str(tmp_path / "laws.json"), "--data", str(listops)]
    command += ["--out", str(tmp_path / "run")]
    command += assignments({**SMALL, "steps": 4})
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("measure it with: rmaat evaluate") == 1
    record = read_run(tmp_path / "run")
    assert record.finished
    assert record.run.machine["processes"] == "2"
