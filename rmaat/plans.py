"""Which runs the paper's experiments are: a plan each, with its settings and where its data and its folder lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from astro_sim.common.errors import InputError, require_known
from astro_sim.common.settings import load_toml
from bridge.laws import Laws
from rmaat.config import MODELS, RMAATConfig
from rmaat.settings import RunSettings, beyond, of_model
from rmaat.tasks.data_folder import MANIFEST, load

TASKS = ("listops", "text", "retrieval", "image", "pathfinder")
PRESETS = {"small": "lra-small", "paper": "lra"}
SHORT_TERM = "short-term"  # the preset of that experiment, and of no other
SHORT_TERM_TASKS = ("enwik8", "text")
BASE = "rmaat"  # the name of the row that ablations differ from


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes
    ----------
    task, model : str
    seed : int
    name : str
        What it is called in the table: the model, or what an ablation changes.
    changes : mapping
        Settings over those of the preset.
    """

    task: str
    model: str
    seed: int
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Path of its run below the folder of all runs."""
        return f"{self.task}/{self.name.replace(' ', '-').replace('/', '-')}-{self.seed}"


@dataclass(frozen=True)
class Place:
    """Where things lie: folders of data (a folder a task) and of runs, the laws file, the configurations."""

    data: Path
    runs: Path
    laws: Path
    configs: Path

    def preset(self, task: str, model: str) -> dict[str, Any]:
        """What the settings file of a task says for a model."""
        path = self.configs / f"{task}.toml"
        return of_model(load_toml(path), model, str(path))

    def settings(self, plan: Plan, over: Mapping[str, Any]) -> dict[str, Any]:
        """All that a plan is asked, flat: the preset's, over those ``over``, and over both what the plan changes."""
        return {**self.preset(plan.task, plan.model), **over, **plan.changes, "seed": plan.seed}

    def missing(self, plan: Plan) -> str | None:
        """How to make the data of a plan, where there are none."""
        data = self.data / plan.task
        return None if (data / MANIFEST).is_file() else f"no data: make {data} with rmaat data {plan.task}"


def lra(tasks: Sequence[str], models: Sequence[str], seeds: int) -> list[Plan]:
    """The table: every model on every task, all with the preset's settings."""
    _check(tasks, seeds)
    for model in models:
        require_known("model", model, MODELS)
    return [Plan(t, m, seed, m) for seed in range(seeds) for t in tasks for m in models]


def ablations(
    tasks: Sequence[str], seeds: int, laws: Laws, lengths: Mapping[str, int], presets: Mapping[str, Mapping[str, Any]]
) -> list[Plan]:
    """What each part of RMAAT is worth.

    Parameters
    ----------
    tasks : sequence of str
    seeds : int
    laws : Laws
    lengths : mapping
        Symbols of the longest example of a task (of a pair: of the longer document), to cut into segments.
    presets : mapping
        RMAAT's settings on each task.
    """
    _check(tasks, seeds)
    exponent = laws.presynaptic_exponent
    changes: list[tuple[str, str, dict[str, Any]]] = [
        (BASE, "rmaat", {}),
        ("no retention", "rmaat", {"memory_rule": "none"}),
        ("consolidate", "rmaat", {"memory_rule": "consolidate"}),
        *(
            (f"{kind} law", "rmaat", {"laws.perturbed": kind})
            for kind in ("flat", "reversed", "faster", "slower", "random")
        ),
        ("no H_astro", "rmaat", {"relative_position": False}),
        ("no feedback P", "rmaat", {"feedback": False}),
        ("alpha 1", "rmaat", {"presynaptic_exponent": 1.0}),
        *([("alpha fitted", "rmaat", {"presynaptic_exponent": exponent})] if exponent is not None else []),
        ("AMRB all replayed", "rmaat", {"kept_segments": 0}),
        ("BPTT", "rmaat", {"backward": "bptt"}),
        ("RLT with AMRB", "rlt", {"kept_segments": 0}),
        ("RLT with BPTT", "rlt", {"backward": "bptt"}),
        ("RMT with AMRB", "rmt", {"kept_segments": 0}),
        ("RMT with BPTT", "rmt", {"backward": "bptt"}),
    ]
    plans = []
    for seed in range(seeds):
        for task in tasks:
            cuts = [(f"{n} segments", "rmaat", _cut(presets[task], lengths[task], n))
                    for n in (16, 8, 4) if task in lengths]  # fmt: skip
            plans += [Plan(task, model, seed, name, change) for name, model, change in [*changes, *cuts]]
    return plans


def short_term(tasks: Sequence[str], seeds: int, laws: Laws, presets: Mapping[str, Mapping[str, Any]]) -> list[Plan]:
    """What short-term plasticity is worth, and whether it is the simulated law that is.

    Every row has the preset's gate and convolution, and rotation where something fades. The ladder is that of the laws,
    spread over the heads. "Spread" lies evenly in the logarithm between 2 tokens and 8 segments; the random one draws
    between the ends of the ladder, anew for each seed.

    Parameters
    ----------
    tasks : sequence of str
        Of `SHORT_TERM_TASKS`.
    seeds : int
    laws : Laws
        With short-term time constants.
    presets : mapping
        RMAAT's settings on each task.
    """
    _check(tasks, seeds, SHORT_TERM_TASKS)
    plans = []
    for seed in range(seeds):
        for task in tasks:
            heads, tokens = (
                int(presets[task].get(name, RMAATConfig.model_fields[name].default))
                for name in ("heads", "segment_length")
            )
            ladder = np.array(laws.time_constants(heads, tokens))
            spread = np.geomspace(2.0, 8.0 * tokens, heads)
            drawn = np.random.default_rng(seed).uniform(np.log(ladder[0]), np.log(ladder[-1]), heads)
            retnet = -1.0 / np.log1p(-(2.0 ** (-5.0 - np.arange(heads))))
            changes: list[tuple[str, dict[str, Any]]] = [
                ("none", {"short_term": "none", "rotation": False}),
                ("none at alpha 1", {"short_term": "none", "rotation": False, "presynaptic_exponent": 1.0}),
                ("laws", {}),
                ("laws at alpha 1", {"presynaptic_exponent": 1.0}),
                ("trainable", {"short_term": "trainable"}),
                ("adaptive", {"short_term": "adaptive"}),
                ("spread", {"time_constants": spread}),
                ("trainable spread", {"time_constants": spread, "short_term": "trainable"}),
                ("ladder of RetNet", {"time_constants": retnet}),
                ("ladder over 4", {"time_constants": ladder / 4}),
                ("ladder times 4", {"time_constants": ladder * 4}),
                ("random", {"time_constants": np.sort(np.exp(drawn))}),
                ("all at the median", {"time_constants": np.full(heads, np.exp(np.median(np.log(ladder))))}),
                ("no rotation", {"rotation": False}),
                ("no gate", {"output_gate": False}),
                ("no convolution", {"convolution": 0}),
                ("no carried traces", {"carry_traces": False}),
                ("no H_astro", {"relative_position": False}),
            ]
            plans += [Plan(task, "rmaat", seed, name, _plain(change)) for name, change in changes]
            rivals = ["retnet", "rmt", "s4d", "transformer", "rlt"]
            plans += [Plan(task, model, seed, model) for model in rivals]
    return plans


def _plain(change: Mapping[str, Any]) -> dict[str, Any]:
    """With the base of all rows, and numbers as settings have them."""
    rounded = {
        name: tuple(float(f"{time:.6g}") for time in value) if isinstance(value, np.ndarray) else value
        for name, value in change.items()
    }
    return {"short_term": "laws", "rotation": True, **rounded}


def _cut(preset: Mapping[str, Any], length: int, segments: int) -> dict[str, Any]:
    """Settings that cut so long an example into so many segments, and else show and keep as much as the preset does."""
    before = preset.get("segment_length", RMAATConfig.model_fields["segment_length"].default)
    size = -(-length // segments)
    settings: dict[str, Any] = {"segment_length": size}
    if curriculum := preset.get("curriculum"):
        settings["curriculum"] = tuple(max(1, round(shown * before / size)) for shown in curriculum)
    if kept := preset.get("kept_segments"):
        settings["kept_segments"] = -(-kept * before // size)
    return settings


def longest(tasks: Sequence[str], data: Path) -> dict[str, int]:
    """Symbols of the longest example of every task whose data are there."""
    there = [task for task in tasks if (data / task / MANIFEST).is_file()]
    return {task: load(data / task, task).manifest.longest for task in there}


def unreached(plans: Sequence[Plan], place: Place, over: Mapping[str, Any]) -> list[str]:
    """What of their schedules runs never come to, a line a task."""
    lines = {plan.task: beyond(RunSettings.build(place.settings(plan, over)).training) for plan in plans}
    return [f"{task}: {line}" for task, line in lines.items() if line is not None]


def _check(tasks: Sequence[str], seeds: int, known: Sequence[str] = TASKS) -> None:
    for task in tasks:
        require_known("task", task, known)
    if seeds < 1:
        raise InputError(f"seeds: expected at least 1, got {seeds}")
