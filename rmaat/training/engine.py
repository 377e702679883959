"""The training loop."""

import json
import math
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from astro_sim.common.errors import InputError
from astro_sim.common.files import require_free, versions, write_json, write_text
from astro_sim.common.progress import Progress
from bridge.laws import Laws
from bridge.torch import Retention
from rmaat import records, tasks
from rmaat.attention.mixer import Projection
from rmaat.family import build_model, count_parameters, without_effect
from rmaat.model import Model
from rmaat.records import RunRecord, read_run
from rmaat.tasks import storage
from rmaat.tasks.storage import Split
from rmaat.training import checkpoint
from rmaat.training.batches import Batches
from rmaat.training.evaluation import Batch, device_of, measure, score, tensors
from rmaat.training.settings import DECIDED, TrainSettings, build_settings, flatten


def train(
    task: str,
    data: str | Path,
    laws: Laws,
    out: str | Path,
    model: str = "rmaat",
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> RunRecord:
    """Train a model and leave a run folder.

    Parameters
    ----------
    task : str
    data : path
        Data folder of that task.
    laws : Laws
        The laws that the model is built with.
    out : path
        Run folder to make, or with ``resume`` to go on with.
    model : str
        Name for `rmaat.build_model`.
    settings : mapping, optional
        Fields of `RMAATConfig` and `TrainSettings`, flat or in tables, and of `LawSettings` in the table "laws" or
        with "laws." in front. With ``resume`` they may be left out, and
        must not contradict the run's own.
    resume : bool
        Go on from the newest checkpoint, exactly as if the run had never stopped (at the same number of threads).

    Raises
    ------
    InputError
        Before anything is written: unknown names, values out of bounds, data that are not there, a folder in the
        way; on resuming: other laws, data or settings than the run was started with.
    """
    tasks.get(task)
    run = Path(out)
    opened = storage.load(data, task)
    stored = records.read_run(run).run if resume and records.is_run(run) else None
    if resume and stored is None:
        raise InputError(f"{run}: nothing to resume (run.json is missing)")
    if stored is not None and (run / "model.safetensors").is_file() and not any((run / "checkpoints").glob("step-*")):
        raise InputError(f"{run}: nothing to resume: the run is finished and its checkpoints are gone")
    if stored is None:
        require_free(run)
    values = flatten(settings or {}, "settings")
    if stored is not None:
        values = {**_given(stored), **values}
    longest = max(split.longest for split in opened.manifest.splits.values())
    config, training, law_settings = build_settings(
        values, opened.manifest.vocabulary, opened.manifest.classes, tasks.get(task).head, longest
    )
    if stored is None or laws.digest != stored["laws_digest"]:  # else they are the run's own
        laws = law_settings.apply(laws)
    device = device_of(training.device)
    torch.manual_seed(training.seed)
    network = build_model(model, config, laws).to(device)
    parameters, position = count_parameters(network)
    asked = {
        "schema_version": records.SCHEMA_VERSION,
        "task": task,
        "model": model,
        "settings": training.model_dump(mode="json"),
        "laws": law_settings.model_dump(mode="json"),
        "model_settings": config.model_dump(mode="json"),
        "model_config": network.config.model_dump(mode="json"),
        "without_effect": without_effect(model, config),
        "data": _data_record(opened, config.segment_length),
        "laws_digest": laws.digest,
        "parameters": parameters + position,
        "position_parameters": position,
        "versions": versions("rmaat", "torch", "numpy", "safetensors"),
        "machine": _machine(device),
    }
    if stored is not None:
        _require_same(run, stored, asked)
    else:
        run.mkdir(parents=True, exist_ok=True)
        laws.save(run / "laws.json")
        write_json(run / "run.json", asked)
    _Loop(network, opened, training, run, laws.digest, config.segment_length, device).run()
    if (retention := _trainable(network)) is not None:
        retention.trained().save(run / records.TRAINED_LAWS)
    checkpoint.save_weights(network, run / "model.safetensors", laws.digest)
    return read_run(run)


class _Loop:
    """The state of a run between its first and its last step."""

    def __init__(
        self,
        network: Model,
        data: storage.Data,
        settings: TrainSettings,
        run: Path,
        laws_digest: str,
        segment_length: int,
        device: torch.device,
    ) -> None:
        self.network, self.settings, self.run_folder, self.device = network, settings, run, device
        self.train, self.valid = data.splits["train"], data.splits.get("valid")
        self.laws_digest, self.segment_length = laws_digest, segment_length
        self.batches = Batches(self.train.lengths, settings.batch, settings.seed)
        linear = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear | Projection)}
        matrices = [p for p in network.parameters() if id(p) in linear]
        others = [p for p in network.parameters() if id(p) not in linear]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
        )

    def run(self) -> None:
        s = self.settings
        done, sums = checkpoint.restore(self.run_folder, self.network, self.optimizer, self.laws_digest)
        self._trim_metrics(done)
        self.network.train()
        with (
            Progress("training", s.steps) as progress,
            (self.run_folder / "metrics.jsonl").open("a") as metrics,
        ):
            progress.advance(done)
            for step in range(done, s.steps):
                started = time.perf_counter()
                loss, right, count, batch = self._step(step)
                sums = {
                    "loss": sums.get("loss", 0.0) + loss * count,
                    "right": sums.get("right", 0) + right,
                    "count": sums.get("count", 0) + count,
                    "tokens": sums.get("tokens", 0) + int(batch[1].sum()),
                    "seconds": sums.get("seconds", 0.0) + time.perf_counter() - started,
                }
                note = f"loss {loss:.3f}, {sums['tokens'] / sums['seconds']:,.0f} tokens/s"
                last = step + 1 == s.steps
                if last or (step + 1) % s.log_every == 0:
                    _write_line(metrics, self._train_row(step, sums))
                    sums = {}
                if self.valid and (last or (step + 1) % s.validate_every == 0):
                    _write_line(metrics, self._valid_row(step, self.valid))
                if last or (step + 1) % s.checkpoint_every == 0:
                    os.fsync(metrics.fileno())
                    checkpoint.save(self.run_folder, self.network, self.optimizer, step + 1, sums, self.laws_digest)
                progress.advance(note=note)

    def _train_row(self, step: int, sums: dict[str, float]) -> dict[str, Any]:
        retention = _trainable(self.network)
        moved = {} if retention is None else {"laws": retention.trained().parameters}
        return {
            "split": "train",
            "step": step + 1,
            "loss": sums["loss"] / sums["count"],
            "accuracy": sums["right"] / sums["count"],
            "learning_rate": self._rate(step),
            "tokens": sums["tokens"],
            "segments_shown": self._shown(step),
            "seconds": sums["seconds"],
            **moved,
        }

    def _valid_row(self, step: int, split: Split) -> dict[str, Any]:
        started = time.perf_counter()
        loss, accuracy = measure(self.network, split, self.settings.batch, self.device, self.settings.validate_examples)
        seconds = time.perf_counter() - started
        return {"split": split.name, "step": step + 1, "loss": loss, "accuracy": accuracy, "seconds": seconds}

    def _step(self, step: int) -> tuple[float, float, int, Batch]:
        """Loss, right answers, over how many, and the batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        batch = self._batch(step)
        sums, count = score(self.network, batch)
        loss = sums[0] / count
        if not math.isfinite(value := float(loss.detach())):
            raise InputError(f"step {step + 1}: the loss is {value}; try a smaller learning_rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip))
        if not math.isfinite(norm):
            raise InputError(f"step {step + 1}: the norm of the gradient is {norm}; try a smaller learning_rate")
        self.optimizer.step()
        return value, float(sums[1].detach()), count, batch

    def _batch(self, step: int) -> Batch:
        """The examples of a step, cut to what the stage of the curriculum shows."""
        tokens, lengths, labels = tensors(self.train, self.batches.at(step), self.device)
        if shown := self._shown(step):
            most = shown * self.segment_length
            tokens, lengths = tokens[:, :most], lengths.clamp(max=most)
        return tokens, lengths, labels

    def _shown(self, step: int) -> int | None:
        """Segments that the curriculum's stage shows; None: all."""
        stage = step // self.settings.curriculum_steps
        return self.settings.curriculum[stage] if stage < len(self.settings.curriculum) else None

    def _rate(self, step: int) -> float:
        """Linear warm-up, then a cosine that would reach 0 one step after the last."""
        s = self.settings
        if step < s.warmup:
            return s.learning_rate * (step + 1) / s.warmup
        share = (step - s.warmup) / max(1, s.steps - s.warmup)
        return s.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def _trim_metrics(self, done: int) -> None:
        """Drop what was logged after the checkpoint: it will be logged again."""
        path = self.run_folder / "metrics.jsonl"
        kept = [row for row in records.read_metrics(path) if row["step"] <= done]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))


def _trainable(network: Model) -> Retention | None:
    """The retention law of a network, if training moves it."""
    return network.retention if network.retention is not None and network.retention.shift is not None else None


def _write_line(stream: Any, row: dict[str, Any]) -> None:
    stream.write(json.dumps(row) + "\n")
    stream.flush()


def _data_record(data: storage.Data, segment_length: int) -> dict[str, Any]:
    """What run.json says of the data: where, which, how much, and the most segments that an example has."""
    longest = max(split.longest for split in data.manifest.splits.values())
    return {
        "path": str(data.path.resolve()),
        "digest": data.manifest.digest,
        **{name: len(split) for name, split in data.splits.items()},
        "longest": longest,
        "segments": -(-longest // segment_length),
    }


def _machine(device: torch.device) -> dict[str, str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": f"{device.type}: {name}",
        "threads": str(torch.get_num_threads()),
    }


def _given(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a stored run, without what is decided elsewhere."""
    model = {name: value for name, value in stored["model_settings"].items() if name not in DECIDED}
    return {**model, **stored["settings"], **{f"laws.{name}": value for name, value in stored["laws"].items()}}


def _require_same(run: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to resume a run under other circumstances than it was started with; name the first difference."""
    if stored["laws_digest"] != asked["laws_digest"]:
        was, now = stored["laws_digest"][:12], asked["laws_digest"][:12]
        raise InputError(f"{run}: started with other laws (digest {was}, these have {now})")
    if stored["data"]["digest"] != asked["data"]["digest"]:
        raise InputError(f"{run}: started on other data ({stored['data']['path']})")
    for part in ("task", "model", "settings", "laws", "model_config", "model_settings"):
        old, new = stored[part], asked[part]
        pairs = [(part, old, new)] if isinstance(old, str) else [(name, old.get(name), new[name]) for name in new]
        for name, was, now in pairs:
            if was != now:
                raise InputError(f"{run}: started with {name} = {was!r}, cannot go on with {now!r}")
