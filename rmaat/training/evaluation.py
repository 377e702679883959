"""What a run has learned: its accuracy on a whole split, and how its memory works."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from astro_sim.common.errors import InputError, brief, require_known
from astro_sim.common.files import require_writable, whole_file, write_json
from astro_sim.common.progress import Progress
from rmaat import records
from rmaat.models import diagnostics
from rmaat.models.base import Model, evaluating
from rmaat.models.registry import build_model
from rmaat.models.weights import load_weights
from rmaat.records import PREDICTIONS, WEIGHTS, RunRecord, read_run
from rmaat.settings import TASK_DECIDES, TrainSettings
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import SPLITS, DataFolder, Split, first_symbol_accuracy, shared
from rmaat.training import checkpoint
from rmaat.training.batches import placed, tensors
from rmaat.training.processes import Processes, device_of, started_processes


class NotKeptWarning(UserWarning):
    """A result is returned, but cannot be kept in the run folder."""


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    split: str = "test",
    device: str | None = None,
    weights: str | None = None,
) -> dict[str, Any]:
    """Measure a run on a whole split: a finished one, or by one of its checkpoints.

    The test split of the run's own data goes to RUN/evaluation.json, which the report reads. Other splits are kept
    beside it as RUN/evaluation.SPLIT.json; results on other data, or of checkpoints, are returned only.

    With the first of these goes RUN/predictions.npy, not of language models: the predicted classes and the labels of
    the test split in its order, (2, examples), in the smallest unsigned type that holds the classes. So runs can be
    compared example by example.

    Whether the run folder can be written to, as a colleague's may not, is found out before anything is measured: where
    it cannot, a warning says so, and the result has ``kept`` False.

    Parameters
    ----------
    run : path
    data : path, optional
        Data folder; by default the one the run was trained on.
    split : {"test", "valid", "train"}
    device : {"auto", "cpu", "cuda"}, optional
        Where to measure; by default as the run was trained.
    weights : {"best", "last"}, optional
        Those of the best validation so far, or of the newest checkpoint; by default those that the run ended with.

    Returns
    -------
    dict
        ``split``, ``accuracy``, ``loss``, ``examples``, ``step``, ``data_digest``; on other data than the run's own
        ``trained_on``, how many of the examples are among those that the run was trained on (None where those are not
        there any more); and what takes no model:
        ``majority``, the share of the most frequent label, and ``first_symbol``, the accuracy of a table that knows
        the first symbol alone (made on the training split). Of a language model accuracy, loss (nats) and majority
        are those of tokens, ``bits_per_token`` is the loss in bits, and ``first_symbol`` is left out.

    Raises
    ------
    InputError
        A run that is not finished, or without such a checkpoint; weights of other laws or of another shape; data that
        are not there; several processes (``torchrun``); a loss that is not finite.

    Warns
    -----
    NotKeptWarning
    """
    record, network, opened, step = _open(run, data, split, device, weights)
    measured, settings = opened.splits[split], record.run.settings
    own = opened.manifest.digest == record.run.data.digest
    file = record.path / (records.EVALUATION if split == "test" else f"evaluation.{split}.json")
    keeps = own and weights is None
    writable = keeps and _succeeds(lambda: [require_writable(path) for path in (record.path / PREDICTIONS, file)])
    answers = np.zeros(len(measured), dtype=np.int64) if network.classifies else None
    loss, accuracy = measure(network, measured, settings, Processes(device or settings.device), answers=answers)
    if not math.isfinite(loss):
        raise InputError(f"{record.path}: the loss on {split} is {loss}; the weights are not those of a sound run")
    if network.classifies:
        first = first_symbol_accuracy(opened.splits["train"], measured)
        known = {"majority": measured.majority, "first_symbol": first}
    else:
        known = {"bits_per_token": loss / math.log(2), "majority": measured.likeliest_symbol}
    result = {
        "split": split,
        "accuracy": accuracy,
        "loss": loss,
        "examples": len(measured),
        **known,
        "step": step,
        "data_digest": opened.manifest.digest,
    }
    if not own:
        result["trained_on"] = _trained_on(record, measured)

    def write() -> None:
        if answers is not None and split == "test":
            _write_predictions(record.path / PREDICTIONS, answers, measured.labels)
        write_json(file, result)

    return result if not keeps or (writable and _succeeds(write)) else {**result, "kept": False}


def _succeeds(act: Callable[[], object]) -> bool:
    """Whether a result can be written; a warning where not: a folder of somebody else, a disk that is full by now."""
    try:
        act()
    except (OSError, InputError) as error:
        warnings.warn(f"the result is returned, and not kept: {brief(error)}", NotKeptWarning, stacklevel=3)
        return False
    return True


def _trained_on(record: RunRecord, split: Split) -> int | None:
    """How many examples of other data are among those that a run was trained on; None where those are gone."""
    try:
        own = data_folder.load(record.run.data.path, record.run.task)
    except InputError:
        return None
    return shared(split, own.splits["train"]) if own.manifest.digest == record.run.data.digest else None


def _write_predictions(path: Path, answers: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
    both = np.stack([answers, labels])
    with whole_file(path) as temporary:
        np.save(temporary, both.astype(np.min_scalar_type(both.max())), allow_pickle=False)


def inspect(
    run: str | Path, data: str | Path | None = None, examples: int = 16, split: str = "test", device: str | None = None
) -> dict[str, Any]:
    """Look at the memory of a finished run at work.

    On the run's own data the result goes to RUN/diagnostics.json, which the report reads; on others it is returned.

    Parameters
    ----------
    run : path
    data : path, optional
        Data folder; by default the one the run was trained on.
    examples : int
        How many to look at: the longest of the split, so that there are segments to see.
    split : {"test", "valid", "train"}
    device : {"auto", "cpu", "cuda"}, optional
        As of `evaluate`.

    Returns
    -------
    dict
        What `rmaat.models.diagnostics.look` found, with ``split``, ``examples`` and ``data_digest``; ``kept`` False as
        of `evaluate`.

    Raises
    ------
    InputError
        As `evaluate`; a number of examples below 1.

    Warns
    -----
    NotKeptWarning
    """
    if examples < 1:
        raise InputError(f"examples: expected at least 1, got {examples}")
    record, network, opened, _ = _open(run, data, split, device)
    keeps = opened.manifest.digest == record.run.data.digest
    file = record.path / records.DIAGNOSTICS
    writable = keeps and _succeeds(lambda: require_writable(file))
    chosen = np.argsort(-opened.splits[split].lengths, kind="stable")[:examples]
    tokens, lengths, _ = placed(tensors(opened.splits[split], chosen), next(network.parameters()).device)
    result = {
        "schema_version": records.DIAGNOSTICS_VERSION,
        "split": split,
        "examples": len(chosen),
        "data_digest": opened.manifest.digest,
        **diagnostics.look(network.eval(), tokens, lengths),
    }
    if not all(map(math.isfinite, [*result["influence"], *(result["memory_norm"] or ())])):
        raise InputError(f"{record.path}: what is found is not finite; the weights are not those of a sound run")
    kept = writable and _succeeds(lambda: write_json(file, result))
    return result if not keeps or kept else {**result, "kept": False}


def _open(
    run: str | Path, data: str | Path | None, split: str, device: str | None = None, weights: str | None = None
) -> tuple[RunRecord, Model, DataFolder, int]:
    """A run with its model, its data, and the step that its weights are of."""
    require_known("split", split, SPLITS)
    if started_processes() > 1:
        raise InputError(f"expected one process to measure a run, got {started_processes()}; start it without torchrun")
    record = read_run(run)
    if record.laws is None:
        raise InputError(f"{record.path}: laws.json is missing")
    if record.laws.digest != record.run.laws_digest:
        raise InputError(f"{record.path / 'laws.json'}: not the laws that the run was started with")
    if weights is not None:
        require_known("weights", weights, ("best", "last"))
        file = checkpoint.stored_weights(record.path, weights, record.laws.digest)
    elif record.finished:
        file = record.path / WEIGHTS
    else:
        raise InputError(
            f"{record.path}: the run is not finished ({WEIGHTS} is missing); go on with --resume, or evaluate "
            "a checkpoint with --weights best"
        )
    folder = Path(data or record.run.data.path)
    if data is None and not folder.is_dir():
        raise InputError(f"{folder}: the run's data are not there any more; expected --data DIR, where they are now")
    opened = data_folder.load(folder, record.run.task)
    config = record.run.config
    for name in TASK_DECIDES:  # a file of one's own may have made both, and changed in between
        if (found := getattr(opened.manifest, name)) != (own := getattr(config, name)):
            raise InputError(f"{opened.path}: has {name} {found}, the run was trained with {own}")
    if split not in opened.splits or not len(opened.splits[split]):
        raise InputError(f"{opened.path}: no examples in the split {split!r}")
    training = record.run.settings
    place = device_of(device or training.device)
    network = build_model(record.run.model, config, record.laws).to(place)
    step = load_weights(network, file, record.laws.digest)
    return record, network, opened, training.steps if step is None else step


@torch.no_grad()
def measure(
    network: Model, split: Split, settings: TrainSettings, processes: Processes, most: int | None = None,
    answers: NDArray[np.int64] | None = None,
) -> tuple[float, float]:  # fmt: skip
    """Mean loss and accuracy over a split, or over ``most`` examples of it; batched by length, dropout off.

    Means are over examples, of a language model over tokens. Several processes take turns, and all know the means.

    The examples are drawn with a fixed seed: a split may be sorted by label, as the reviews of Text are.

    ``answers``, (examples of the split,), takes the predicted classes of this process; not of a language model.
    """
    chosen = np.random.default_rng(0).permutation(len(split))[:most]
    order = chosen[np.argsort(split.lengths[chosen], kind="stable")]
    # Each process has as many examples at once as in a part of a training step.
    size, totals = max(processes.count, -(-settings.batch // settings.accumulate)), [0.0, 0.0, 0.0]
    seen: list[Tensor] = []

    def answer(tokens: Tensor, lengths: Tensor) -> Tensor:
        seen[:] = [network(tokens, lengths)]
        return seen[0]

    with evaluating(network), Progress(f"evaluating on {split.name}", len(order)) as progress:
        for start in range(0, len(order), size):
            together = order[start : start + size]
            mine = together[processes.rank :: processes.count]
            # A sharded model is run by all or by none, so one that has no example left takes another's, uncounted.
            batch = placed(tensors(split, mine if len(mine) else together[:1]), processes.device)
            with autocast(settings, processes.device):
                sums, of = network.loss_and_hits(*batch, None if answers is None else answer)
            if len(mine):
                totals = [a + b for a, b in zip(totals, (*sums.tolist(), of), strict=True)]
                if answers is not None:
                    answers[mine] = seen[0].argmax(-1).cpu()
            progress.advance(len(together))
    loss, right, count = processes.sum(totals)
    return loss / count, right / count


def autocast(settings: TrainSettings, device: torch.device) -> torch.autocast:
    """Where products are formed in the precision of the settings."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
