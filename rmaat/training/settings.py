"""How a model is trained. Needs no torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.settings import Settings, quantity, split_settings
from rmaat.config import RMAATConfig

CHOSEN = "chosen"


class TrainSettings(Settings):
    """Settings of a training run; names do not overlap with those of the model."""

    seed: int = quantity(0, "1", "seed of weights, dropout and the order of examples", CHOSEN, ge=0, le=2**63 - 1)
    steps: int = quantity(1_000, "1", "optimiser steps; the schedule is fixed by them", CHOSEN, ge=1, le=10**9)
    batch: int = quantity(32, "examples", "examples a step", "LRA recipes", ge=1, le=2**20)
    learning_rate: float = quantity(2e-3, "1", "peak learning rate of AdamW", CHOSEN, gt=0, le=1e3)
    warmup: int = quantity(100, "steps", "linear warm-up; a cosine towards 0 follows", CHOSEN, ge=0, le=10**9)
    weight_decay: float = quantity(
        0.01, "1", "decoupled weight decay, on weights of linear layers", CHOSEN, ge=0, le=1e3
    )
    clip: float = quantity(1.0, "1", "largest norm of the gradient", CHOSEN, gt=0)
    curriculum: tuple[Annotated[int, Field(ge=1, le=2**20)], ...] = quantity(
        (), "segments", "stages that see the first so many segments of each example only, then all", CHOSEN
    )
    curriculum_steps: int = quantity(50, "steps", "length of each stage of the curriculum", CHOSEN, ge=1, le=10**9)
    log_every: int = quantity(10, "steps", "between lines of metrics.jsonl", CHOSEN, ge=1, le=10**9)
    validate_every: int = quantity(250, "steps", "between looks at the validation split", CHOSEN, ge=1, le=10**9)
    validate_examples: int = quantity(1_000, "examples", "validation examples looked at", CHOSEN, ge=1, le=10**9)
    checkpoint_every: int = quantity(250, "steps", "between checkpoints", CHOSEN, ge=1, le=10**9)
    device: Literal["auto", "cpu", "cuda"] = quantity(
        "auto", "1", "where to train; auto: a GPU if there is one", CHOSEN
    )


TABLES: dict[str, type[Settings]] = {"model": RMAATConfig, "training": TrainSettings}


def flatten(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Open the tables "model" and "training" of a settings file; settings outside of them are taken as they are.

    Raises
    ------
    InputError
        Another table, a setting in the wrong one, or one given twice; ``where`` names the file.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        part = {name: value}
        if isinstance(value, Mapping):
            if name not in TABLES:
                raise InputError(f"{where}: unknown table [{name}]; {did_you_mean(name, TABLES)}")
            for key in value:
                if key not in TABLES[name].model_fields:
                    nearest = did_you_mean(key, TABLES[name].model_fields)
                    raise InputError(f"{where}: unknown setting {key!r} in [{name}]; {nearest}")
            part = dict(value)
        for key in part:
            if key in flat:
                raise InputError(f"{where}: {key} is given twice")
        flat |= part
    return flat


def build_settings(values: Mapping[str, Any], vocabulary: int, classes: int) -> tuple[RMAATConfig, TrainSettings]:
    """Share out flat settings between model and training; tables of a TOML file (one level) are opened.

    Raises
    ------
    InputError
        An unknown setting (the nearest is named), a value out of bounds, or one that the task decides.
    """
    flat = flatten(values, "settings")
    for name in ("vocabulary", "classes"):
        if name in flat:
            raise InputError(f"{name}: the task's data decide it; leave it out")
    model, training = split_settings(flat, RMAATConfig, TrainSettings)
    return RMAATConfig(vocabulary=vocabulary, classes=classes, **model), TrainSettings(**training)
