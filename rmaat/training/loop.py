"""The training loop: from the state that a checkpoint left to the last step, or to an earlier end."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from astro_sim.common.errors import InputError
from astro_sim.common.machine import peak_memory_mb
from astro_sim.common.progress import Progress
from rmaat.attention.mixer import Projection
from rmaat.models.base import Model
from rmaat.models.weights import gathered, save_weights
from rmaat.records import Best
from rmaat.settings import TrainSettings
from rmaat.signals import Asked, Stopped, until_asked
from rmaat.tasks.data_folder import DataFolder, Split
from rmaat.training import checkpoint
from rmaat.training.batches import Batch, Batches, placed, tensors
from rmaat.training.evaluation import autocast, measure
from rmaat.training.logs import Logs
from rmaat.training.processes import Processes

End = Literal["steps", "patience", "minutes"]
TIME_IS_UP = 1_000  # beside the numbers of signals, which are smaller
# Counted by each process, and summed over them where a line is written.
COUNTED = ("loss", "right", "count", "tokens", "places", "segments", "idle_segments")
CLOCKS = ("seconds", "waited")


class Loop:
    """The state of a run between its first and its last step.

    Parameters
    ----------
    network : Model
        On its device. With the setting ``parallel`` = "fsdp" and several processes it is sharded here.
    data : DataFolder
    settings : TrainSettings
    run : Path
    laws_digest : str
    processes : Processes
    tell : callable, optional
        Is handed a line after each validation.

    Raises
    ------
    InputError
        A batch that processes and ``accumulate`` cannot share out equally.
    """

    def __init__(
        self,
        network: Model,
        data: DataFolder,
        settings: TrainSettings,
        run: Path,
        laws_digest: str,
        processes: Processes,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.tell, self._last_line = tell, (0, 0.0)  # its step and time
        self.network, self.settings, self.run_folder, self.processes = network, settings, run, processes
        self.train, self.valid = data.splits["train"], data.splits.get("valid")
        self.laws_digest, self.segment_length = laws_digest, network.config.segment_length
        self.batches = Batches(self.train.lengths, settings.batch, settings.seed)
        parts = processes.count * settings.accumulate
        if self.batches.size % parts:
            raise InputError(
                f"batch: {self.batches.size} examples cannot be shared out equally; expected a multiple of {parts} "
                f"(processes times accumulate)"
            )
        linear = [module for module in network.modules() if isinstance(module, nn.Linear | Projection)]
        if settings.compile:
            network.compile_segments(even=True)
        self.shared = processes.share(network, settings.parallel, network.config.trainable_laws)
        matrices = {id(module.weight) for module in linear}  # after sharding, which makes new ones
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in network.parameters() if id(p) in matrices],
                    "weight_decay": settings.weight_decay,
                },
                {"params": [p for p in network.parameters() if id(p) not in matrices], "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
        )
        self.state, self._saved = checkpoint.State(), 0

    def run(self, minutes: float | None = None) -> End:
        """Train until the last step, until validation has not improved for long, or for so many minutes.

        Raises
        ------
        Stopped
            A signal asked to stop (SIGINT, SIGTERM); there is a checkpoint of the step that it came in.
        """
        s = self.settings
        deadline = math.inf if minutes is None else time.monotonic() + 60.0 * minutes
        # Dropout differs between processes; a checkpoint puts its own state in place of this one.
        if self.processes.rank:
            torch.manual_seed(s.seed + 1_000_003 * self.processes.rank)
        self.state = checkpoint.restore(self.run_folder, self.network, self.optimizer, self.laws_digest, self.processes)
        self._saved = self.state.step
        if not self.processes.main:
            self.state.sums, self.state.totals = {}, {}  # the main process has those of all
        self.network.train()
        self._last_line = self.state.step, time.monotonic()
        with (
            until_asked() as asked,
            Logs(self.run_folder, self.state.step, s.tensorboard, self.processes.main) as logs,
            Progress("training", s.steps) as progress,
            self.ahead() as batches,
        ):
            progress.advance(self.state.step)
            while not (end := self._end(deadline, asked)):
                progress.advance(note=self._note(self._advance(batches, logs)))
                if self.state.step % s.checkpoint_every == 0:
                    self._save(logs)
            if self.state.step != self._saved:
                self._save(logs)
        if isinstance(end, int):
            raise Stopped(self.run_folder, self.state.step, end)
        return end

    def _end(self, deadline: float, asked: Asked) -> End | int | None:
        """Why the run ends here, if it does; the number of a signal that asked for it."""
        s, state = self.settings, self.state
        if state.step >= s.steps:
            return "steps"
        if self._out_of_patience:
            return "patience"
        why = asked.number or (TIME_IS_UP if time.monotonic() > deadline else 0)
        why = self.processes.largest(why)  # all end after the same step, whichever was told first
        return "minutes" if why == TIME_IS_UP else why or None

    def _advance(self, batches: Iterator[list[Batch]], logs: Logs) -> dict[str, float]:
        """One step, and what is due after it; what was counted in this process."""
        s, state = self.settings, self.state
        started = time.perf_counter()
        parts = next(batches)
        waited = time.perf_counter() - started
        counted = self.step(state.step, parts)
        counted |= {"seconds": time.perf_counter() - started, "waited": waited}
        state.sums = {name: state.sums.get(name, 0.0) + value for name, value in counted.items()}
        state.step += 1
        last = state.step == s.steps
        logged = last or state.step % s.log_every == 0
        if logged:
            logs.add(self._train_row())
        if self.valid and (last or state.step % s.validate_every == 0):
            logs.add(row := self._validate(self.valid))
            self._tell(row)
            if self._out_of_patience and not logged:
                logs.add(self._train_row())  # the last one, before any checkpoint is written
        return counted

    @property
    def _out_of_patience(self) -> bool:
        return self.settings.patience is not None and self.state.misses >= self.settings.patience

    def step(self, step: int, parts: list[Batch]) -> dict[str, float]:
        """One step of the optimiser; what was counted in this process."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        total = self._answers(step)
        self.optimizer.zero_grad(set_to_none=True)
        counted: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
        for place, batch in enumerate(parts):
            with self.processes.gradients(self.shared, meet=place + 1 == len(parts)):
                with autocast(self.settings, self.processes.device):
                    sums, count = self.network.loss_and_hits(*batch, self.shared)
                # Gradients are averaged over the processes, and the loss is the mean over the answers of all.
                (sums[0] * (self.processes.count / total)).backward()
            loss, right = sums.detach().tolist()
            for name, value in zip(COUNTED, (loss, right, count, *self._places(batch)), strict=True):
                counted[name] += value
        norm = float(gathered(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)))
        for name, value in (("loss", counted["loss"] / total), ("norm of the gradient", norm)):
            if not math.isfinite(value):
                raise InputError(f"step {step + 1}: the {name} is {value}; try a smaller learning_rate")
        self.optimizer.step()
        return counted

    @contextmanager
    def ahead(self) -> Iterator[Iterator[list[Batch]]]:
        """Batches from the present step on, the next one made while a step runs."""
        with ThreadPoolExecutor(1, "batches") as pool:

            def batches() -> Iterator[list[Batch]]:
                coming: Future[list[Batch]] = pool.submit(self._parts, self.state.step)
                for step in range(self.state.step, self.settings.steps):
                    parts = coming.result()
                    coming = pool.submit(self._parts, step + 1)
                    yield [placed(batch, self.processes.device) for batch in parts]

            yield batches()

    def _parts(self, step: int) -> list[Batch]:
        """This process's share of a step's examples, in parts, cut to what the stage of the curriculum shows."""
        chosen = self.batches.at(step)[self.processes.rank :: self.processes.count]
        parts = []
        for place in range(self.settings.accumulate):
            tokens, lengths, labels = tensors(self.train, chosen[place :: self.settings.accumulate])
            if shown := self._shown(step):
                most = shown * self.segment_length
                tokens, lengths = tokens[..., :most], lengths.clamp(max=most)
            parts.append((tokens, lengths, labels))
        return parts

    def _answers(self, step: int) -> int:
        """What the loss of a step is the mean over, in all processes: examples, or tokens of a language model."""
        lengths = self.batches.lengths[self.batches.at(step)]
        if shown := self._shown(step):
            lengths = np.minimum(lengths, shown * self.segment_length)
        return self.network.answers(lengths)

    def _places(self, batch: Batch) -> tuple[int, int, int, int]:
        """Tokens, places of the padded batch, segments, and how many of those hold nothing but padding."""
        lengths = batch[1].flatten()
        longest = int(lengths.max())
        segments = -(-longest // self.segment_length) * len(lengths)
        held = int((-(-lengths // self.segment_length)).sum())
        return int(lengths.sum()), longest * len(lengths), segments, segments - held

    def _train_row(self) -> dict[str, Any]:
        """What happened since the last row, over all processes; the sums start anew."""
        self._meet()
        sums, step = self.state.sums, self.state.step
        totals = self.state.totals
        for name in checkpoint.SUMMED:
            totals[name] = totals.get(name, 0.0) + sums[name]
        totals["memory_mb"] = max(totals.get("memory_mb", 0.0), peak := peak_megabytes(self.processes.device))
        self.state.sums = {}
        retention = self.network.trainable_law
        moved = {} if retention is None else {"laws": retention.trained().parameters}
        if not sums["count"]:
            return {}  # of a process that does not write
        return {
            "split": "train",
            "step": step,
            "loss": sums["loss"] / sums["count"],
            "accuracy": sums["right"] / sums["count"],
            "learning_rate": self.rate(step - 1),
            "tokens": int(sums["tokens"]),
            "padding": 1.0 - sums["tokens"] / sums["places"],
            "idle_segments": sums["idle_segments"] / sums["segments"],
            "segments_shown": self._shown(step - 1),
            "seconds": sums["seconds"],
            "waited": sums["waited"],
            "memory_mb": peak,
            **moved,
        }

    def _meet(self) -> None:
        """Sums of all processes go to the main one."""
        if self.processes.count > 1:
            sums = self.state.sums
            total = self.processes.sum([sums.get(name, 0.0) for name in COUNTED])
            counted = total if self.processes.main else [0.0] * len(total)
            self.state.sums = {**dict.fromkeys(CLOCKS, 0.0), **sums, **dict(zip(COUNTED, counted, strict=True))}

    def _validate(self, split: Split) -> dict[str, Any]:
        """Measure, and keep the weights if they are the best so far."""
        s, state, started = self.settings, self.state, time.perf_counter()
        loss, accuracy = measure(self.network, split, s, self.processes, s.validate_examples)
        if not math.isfinite(loss):
            raise InputError(f"step {state.step}: the validation loss is {loss}; try a smaller learning_rate")
        merit, best = self.network.merit, state.best
        if best is None or merit(loss, accuracy) > merit(best.loss, best.accuracy):
            state.best, state.misses = Best(step=state.step, loss=loss, accuracy=accuracy), 0
            if s.select == "best":
                path = checkpoint.best_weights(self.run_folder, state.step)
                save_weights(self.network, path, self.laws_digest, state.step, self.processes.main)
        elif self._shown(state.step - 1) is None:  # while a curriculum shows beginnings alone, nothing has run out
            state.misses += 1
        seconds = time.perf_counter() - started
        return {"split": split.name, "step": state.step, "loss": loss, "accuracy": accuracy, "seconds": seconds}

    def _tell(self, row: dict[str, Any]) -> None:
        if self.tell is None:
            return
        (before, then), now, steps = self._last_line, time.monotonic(), self.settings.steps
        left = (now - then) / (row["step"] - before) * (steps - row["step"]) / 60
        self._last_line = row["step"], now
        measured = f"{row['split']} loss {row['loss']:.3f}, accuracy {row['accuracy']:.3f}"
        self.tell(f"step {row['step']:,} of {steps:,}: {measured}; about {left:.0f} minutes left")

    def _save(self, logs: Logs) -> None:
        logs.sync()
        self._meet()
        checkpoint.save(self.run_folder, self.network, self.optimizer, self.state, self.laws_digest, self.processes)
        self._saved = self.state.step

    def _note(self, counted: dict[str, float]) -> str:
        """For the progress line: what this process saw in the last step."""
        loss, accuracy = (counted[name] / counted["count"] for name in ("loss", "right"))
        speed = self.processes.count * counted["tokens"] / counted["seconds"]
        memory = peak_megabytes(self.processes.device)
        return f"loss {loss:.3f}, accuracy {accuracy:.1%}, {speed:,.0f} tokens/s, {memory:,.0f} MB"

    def _shown(self, step: int) -> int | None:
        """Segments that the curriculum's stage shows; None: all."""
        stage = step // self.settings.curriculum_steps
        return self.settings.curriculum[stage] if stage < len(self.settings.curriculum) else None

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine that would reach 0 one step after the last."""
        s = self.settings
        if step < s.warmup:
            return s.learning_rate * (step + 1) / s.warmup
        share = (step - s.warmup) / max(1, s.steps - s.warmup)
        return s.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def peak_megabytes(device: torch.device) -> float:
    """Most memory held so far: of the GPU what torch allocated, else what the process has resident; 10^6 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_memory_mb()
