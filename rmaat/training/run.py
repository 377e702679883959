"""A training run: what it is asked, its folder, and what it ends with."""

import platform
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from astro_sim.common.errors import InputError, quoted
from astro_sim.common.files import alone, file_digest, require_free, versions, whole_folder, write_json
from astro_sim.common.machine import commit, processor
from bridge.laws import Laws
from rmaat import records, tasks
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.memory import RULES
from rmaat.models.registry import build_model, count_parameters, get, without_effect
from rmaat.models.weights import begin_with, load_weights, save_weights
from rmaat.records import WEIGHTS, DataRecord, Origin, Run, RunRecord, Sitting, Summary, read_run
from rmaat.settings import RunSettings, TrainSettings, flatten
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import DataFolder, Split
from rmaat.training import checkpoint
from rmaat.training.batches import placed, tensors
from rmaat.training.evaluation import autocast
from rmaat.training.logs import event_writer
from rmaat.training.loop import Loop
from rmaat.training.processes import Processes, denormals_dropped

# What must be as it was for a resumed run to end with the same bits.
EXACT = {"machine": ("device", "threads", "processes"), "versions": ("torch",)}


@denormals_dropped()
def train(
    task: str | Path,
    data: str | Path | None,
    laws: Laws | None,
    out: str | Path,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    minutes: float | None = None,
    tell: Callable[[str], None] | None = None,
    init_from: str | Path | None = None,
) -> RunRecord:
    """Train a model and leave a run folder.

    Under ``torchrun`` or `accelerate launch` the processes share each batch, and the main one writes.

    Parameters
    ----------
    task : str or path
        A name, or the path of a file of one's own; the file itself is not needed any more.
    data : path
        Data folder of that task. With ``resume`` it may be None, as ``laws`` and ``model``: the run's own.
    laws : Laws
        The laws that the model is built with.
    out : path
        Run folder to make, or with ``resume`` to go on with.
    model : str, optional
        Name for `rmaat.build_model`; by default "rmaat".
    settings : mapping, optional
        Fields of `RMAATConfig` and `TrainSettings`, flat or in tables, and of `LawSettings` in the table "laws" or
        with "laws." in front. With ``resume`` they may be left out, and must not contradict the run's own.
    resume : bool
        Go on from the newest checkpoint, on a CPU exactly as if the run had never stopped, if threads, processes and
        torch are the same; where they are not, a warning says so.
    minutes : float, optional
        Stop after so long, with a checkpoint to go on from. It moves nothing else: the schedule is fixed in steps.
    tell : callable, optional
        Is handed a line after each validation, in the main process.
    init_from : path, optional
        Begin with the weights of this finished run, or of this folder of a saved model. Head and relative position are
        new where theirs do not fit, all else must; ``laws`` alone say where a trainable law begins. The run keeps a
        copy.

    Returns
    -------
    RunRecord
        ``finished`` unless time was up.

    Raises
    ------
    InputError
        Before anything is written: unknown names, values out of bounds, data that are not there or that the model
        cannot take, weights to begin with that do not fit, a folder in the way; on resuming: other laws, data,
        settings or first weights than the run was started with, or a run that another process is at.
    Stopped
        A signal asked to stop (SIGINT, SIGTERM); the run has a checkpoint to go on from.
    """
    task = tasks.name_of(task)
    if minutes is not None and not minutes > 0:
        raise InputError(f"minutes: expected more than 0, got {minutes}")
    run = Path(out)
    if any("\ud800" <= letter <= "\udfff" for letter in str(run)):  # bytes of another encoding, as Python has them
        raise InputError(f"{quoted(str(run))}: expected a name in UTF-8, which safetensors needs")
    if resume and not records.is_run(run):
        raise InputError(f"{run}: nothing to resume (run.json is missing)")
    stored = None
    if resume:
        before = read_run(run)
        stored = before.run
        model, data, laws = model or stored.model, data or stored.data.path, laws or before.laws
    if data is None or laws is None:
        raise InputError(f"{run}: expected {'data' if data is None else 'laws'}")
    opened, model = data_folder.load(data, task), model or "rmaat"
    if stored is None:
        require_free(run, instead="choose another folder, remove it, or go on with --resume")
    values = flatten(settings or {}, "settings")
    if stored is not None:
        values = {**stored.asked, **values}
    manifest = opened.manifest
    longest = manifest.longest
    asked = RunSettings.build(values, manifest.vocabulary, manifest.classes, manifest.head, longest)
    training = asked.training
    _require_fit(model, asked, opened, longest)
    if stored is None or laws.digest != stored.laws_digest:  # else they are the run's own
        laws = asked.laws.apply(laws)
    processes = Processes(training.device)
    here = _sitting(processes)
    torch.manual_seed(training.seed)
    network = build_model(model, asked.model, laws).to(processes.device)
    parameters, position = count_parameters(network)
    new = Run(
        task=task,
        model=model,
        settings=training,
        laws=asked.laws,
        model_settings=asked.model,
        model_config=network.config,
        without_effect=_without_effect(model, network.config, asked, values),
        data=_data_record(opened, longest, asked.model.segment_length),
        laws_digest=laws.digest,
        parameters=parameters + position,
        position_parameters=position,
        init_from=_start(network, run, stored, init_from),
        commit=here.commit,
        versions=here.versions,
        machine=here.machine,
        sittings=[here],
    )
    if stored is not None:
        _require_same(run, stored, new)
        if (run / WEIGHTS).is_file():
            return read_run(run)
    else:
        _require_memory(network, opened.splits["train"], training, processes)
    loop = Loop(network, opened, training, run, laws.digest, processes, tell if processes.main else None)
    processes.wait()  # all have looked at the folder before it is there
    if stored is None and processes.main:
        with whole_folder(run) as folder:  # all files or none: no one alone can be gone on from
            laws.save(folder / records.LAWS)
            if init_from is not None:
                shutil.copyfile(Path(init_from) / WEIGHTS, folder / records.START)
            write_json(folder / records.RUN, new.dump())
    busy = f"{run}: another process is at this run, it holds {run / '.lock'}"
    with alone(run / ".lock", busy) if processes.main else nullcontext():
        if stored is not None and processes.main:
            checkpoint.tidy(run)
            data_record = stored.data.model_copy(update={"path": new.data.path})
            _warn_of_other_bits(run, stored.sittings[-1], here)
            here = here.model_copy(update={"from_step": records.last_step(run)})
            resumed = stored.model_copy(update={"data": data_record, "sittings": [*stored.sittings, here]})
            write_json(run / records.RUN, resumed.dump())
        processes.wait()
        if (end := loop.run(minutes)) != "minutes":
            _finish(loop, end, run, laws.digest)
        processes.wait()
    return read_run(run)


def _require_fit(model: str, asked: RunSettings, data: DataFolder, longest: int) -> None:
    """Refuse now what would fail, or be passed over, later."""
    if asked.training.tensorboard:
        event_writer()
    if longest > asked.model.max_length and "max_length" not in get(model).unused:
        raise InputError(f"max_length: expected at least {longest}, the longest example, got {asked.model.max_length}")
    if asked.training.patience is not None and not len(data.splits.get("valid", ())):
        raise InputError("patience: the data have no validation split")


def _require_memory(network: Model, split: Split, training: TrainSettings, processes: Processes) -> None:
    """Refuse now a ``replay_mb`` that the largest step would refuse."""
    config = network.config
    if config.replay_mb is None or config.backward != "amrb" or not network.recurs:
        return
    order = np.argsort(-split.lengths, kind="stable")
    size = -(-min(training.batch, len(order)) // (processes.count * training.accumulate))
    # The longest, with a short one where there is room for it, so that padding has its part in what a segment keeps.
    batch = tensors(split, np.concatenate([order[: max(1, size - 1)], order[-1:]])[:size])
    devices = [processes.device] if processes.device.type == "cuda" else []
    with torch.random.fork_rng(devices), autocast(training, processes.device):
        network.train().loss_and_hits(*placed(batch, processes.device))


def _start(network: Model, run: Path, stored: Run | None, init_from: str | Path | None) -> Origin | None:
    """Give a model the weights that its run begins with, if they are not its own; what run.json says of them."""
    before = None if stored is None else stored.init_from
    given = None if init_from is None else Path(init_from)
    if given is not None and not (given / WEIGHTS).is_file():
        raise InputError(f"{given}: expected a finished run or a saved model; {WEIGHTS} is missing")
    digest = None if given is None else file_digest(given / WEIGHTS)
    if stored is not None and given is not None and (before is None or before.digest != digest):
        raise InputError(f"{run}: did not begin with the weights of {given}")
    if before is not None:
        begin_with(network, run / records.START)
        return before
    if given is None:
        return None
    anew = begin_with(network, given / WEIGHTS)
    task = read_run(given).run.task if records.is_run(given) else given.resolve().name
    return Origin(path=str(given.resolve()), digest=str(digest), task=task, anew=anew)


def _sitting(processes: Processes) -> Sitting:
    """Code and machine of this sitting, as of one that begins a run."""
    device = processes.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": f"{device.type}: {name}",
        "threads": str(torch.get_num_threads()),
        "processes": str(processes.count),
    }
    packages = versions("rmaat", "torch", "numpy", "safetensors")
    return Sitting(commit=commit(), versions=packages, machine=machine, from_step=0)


def _warn_of_other_bits(run: Path, last: Sitting, here: Sitting) -> None:
    """A warning where the run will not be that of a single sitting."""
    for part, names in EXACT.items():
        for name in names:
            was, now = (getattr(sitting, part).get(name) for sitting in (last, here))
            if was != now:
                warnings.warn(
                    f"{run}: begun with {name} {was}, goes on with {now}; its end will differ in the last bits",
                    stacklevel=3,
                )


def _without_effect(model: str, built: RMAATConfig, asked: RunSettings, given: Mapping[str, Any]) -> list[str]:
    """Settings that were given though this model has no use for them; what the data decide was not given."""
    idle = [name for name in without_effect(model, asked.model) if name != "max_length" or name in given]
    # A perturbation changes the retention law alone.
    keeps_law = get(model).recurrent and RULES[str(built.memory_rule)].uses_laws
    return sorted([*idle, *(["laws.perturbed"] if asked.laws.perturbed is not None and not keeps_law else [])])


def _finish(loop: Loop, end: Literal["steps", "patience"], run: Path, laws_digest: str) -> None:
    """The weights that the run ends with, the laws of a run that trained them, and a summary."""
    network, state, main = loop.network, loop.state, loop.processes.main
    step = state.step
    if loop.settings.select == "best" and state.best is not None:
        step = state.best.step
        load_weights(network, checkpoint.best_weights(run, step), laws_digest)
    retention = network.trainable_law
    trained = None if retention is None else retention.trained()
    if main:
        if trained is not None:
            trained.save(run / records.TRAINED_LAWS)
        totals = state.totals
        summary = Summary(
            end=end,
            steps=state.step,
            weights_of_step=step,
            best=state.best,
            tokens=int(totals["tokens"]),
            padding=1.0 - totals["tokens"] / totals["places"],
            idle_segments=totals["idle_segments"] / totals["segments"],
            seconds=totals["seconds"],
            waited=totals["waited"],
            memory_mb=totals["memory_mb"],
        )
        write_json(run / records.SUMMARY, summary.model_dump())
    # Last, since it says that the run is finished.
    save_weights(network, run / WEIGHTS, laws_digest, step, main)


def _data_record(data: DataFolder, longest: int, segment_length: int) -> DataRecord:
    manifest = data.manifest
    return DataRecord(
        path=str(data.path.resolve()),
        digest=manifest.digest,
        content=manifest.content,
        origin=manifest.origin,
        own_source=manifest.own_source or None,
        **{name: len(split) for name, split in data.splits.items()},
        longest=longest,
        segments=-(-longest // segment_length),
    )


def _require_same(run: Path, stored: Run, asked: Run) -> None:
    """Refuse to resume a run under other circumstances than it was started with; name the first difference."""
    if stored.laws_digest != asked.laws_digest:
        was, now = stored.laws_digest[:12], asked.laws_digest[:12]
        raise InputError(f"{run}: started with other laws (digest {was}, these have {now})")
    if stored.data.digest != asked.data.digest:
        raise InputError(f"{run}: started on other data ({stored.data.path})")
    before, after = stored.dump(), asked.dump()
    for part in ("task", "model", "settings", "laws", "model_config", "model_settings"):
        old, new = before[part], after[part]
        pairs = [(part, old, new)] if isinstance(old, str) else [(name, old[name], new[name]) for name in new]
        for name, was, now in pairs:
            if was != now:
                raise InputError(f"{run}: started with {name} = {quoted(was)}, cannot go on with {quoted(now)}")
