"""What a training run is asked: settings of the model, of the training and of the laws. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.settings import Settings, describe, quantity, split_settings
from bridge.laws import Laws
from bridge.schema import Perturbed
from rmaat.config import MODELS, RMAATConfig

CHOSEN = "chosen"
Device = Literal["auto", "cpu", "cuda"]


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
    validate_examples: int | None = quantity(
        None, "examples", "validation examples looked at; by default all", CHOSEN, ge=1, le=10**9
    )
    select: Literal["best", "last"] = quantity(
        "best", "1", "which weights a run ends with: those of its best validation, or of its last step", CHOSEN
    )
    patience: int | None = quantity(
        None, "1", "end after so many validations in a row that were no better; by default never", CHOSEN, ge=1
    )
    checkpoint_every: int = quantity(250, "steps", "between checkpoints", CHOSEN, ge=1, le=10**9)
    device: Device = quantity("auto", "1", "where to train; auto: a GPU if there is one", CHOSEN)
    precision: Literal["float32", "bfloat16"] = quantity(
        "float32", "1", "bfloat16: products in bfloat16, weights and sums in float32", CHOSEN
    )
    compile: bool = quantity(False, "1", "hand the step of a segment to torch.compile", CHOSEN)
    accumulate: int = quantity(
        1, "1", "parts that each process cuts its share of a batch into, one after the other", CHOSEN, ge=1, le=2**20
    )
    parallel: Literal["ddp", "fsdp"] = quantity(
        "ddp", "1", "of several processes: each holds the model, or between steps a shard of it", CHOSEN
    )
    tensorboard: bool = quantity(False, "1", "leave event files for TensorBoard in RUN/tensorboard", CHOSEN)


class LawSettings(Settings):
    """What a training run does with the laws it is given: the table [laws], or names that begin with "laws."."""

    trainable: bool = quantity(False, "1", "training may move the parameters of the retention law", "ours")
    perturbed: Perturbed | None = quantity(
        None, "1", "train with laws that differ on purpose: " + ", ".join(get_args(Perturbed)), "ours"
    )
    factor: float = quantity(2.0, "1", "of faster and slower laws: by how much", CHOSEN, gt=1)
    seed: int = quantity(0, "1", "of random and posterior laws: which", CHOSEN, ge=0, le=2**63 - 1)

    def apply(self, laws: Laws) -> Laws:
        """The laws that the model is built with."""
        return laws if self.perturbed is None else laws.perturbed(self.perturbed, self.factor, self.seed)


def beyond(training: TrainSettings) -> str | None:
    """What of the schedule a run of so few steps never comes to, in a line; None if it comes to all."""
    stages = len(training.curriculum) * training.curriculum_steps
    longer = []
    if training.warmup >= training.steps:
        longer.append(f"warmup of {training.warmup} steps")
    if training.curriculum and stages >= training.steps:
        longer.append(f"curriculum of {stages} steps, so that no example is shown whole")
    return f"longer than the {training.steps} steps of a run: {'; '.join(longer)}" if longer else None


TABLES: dict[str, type[Settings]] = {"model": RMAATConfig, "training": TrainSettings, "laws": LawSettings}
LAWS = "laws."  # stands in front of the settings of that table, in flat names
TASK_DECIDES = ("vocabulary", "classes", "head")
# Settings of the model that are not asked for under their own name, and what a message says of them.
DECIDED = {
    "vocabulary": "the task's data decide it; leave it out",
    "classes": "the task's data decide it; leave it out",
    "head": "the task decides it; leave it out",
    "trainable_laws": "expected laws.trainable instead",
}


@dataclass(frozen=True)
class RunSettings:
    """All settings of a training run.

    Attributes
    ----------
    model : RMAATConfig
    training : TrainSettings
    laws : LawSettings
    """

    model: RMAATConfig
    training: TrainSettings
    laws: LawSettings

    @classmethod
    def build(
        cls,
        flat: Mapping[str, Any],
        vocabulary: int = 2,
        classes: int | None = 2,
        head: str = "classify",
        longest: int | None = None,
    ) -> Self:
        """Share out flat settings (`flatten`), beside what a task decides; without a task for checks alone.

        ``longest`` is the ``max_length`` of models without segments, where the settings do not give one.

        Raises
        ------
        InputError
            An unknown setting (the nearest is named), a value out of bounds, or one that is decided elsewhere.
        """
        for name, instead in DECIDED.items():
            if name in flat:
                raise InputError(f"{name}: {instead}")
        laws = LawSettings(**{name.removeprefix(LAWS): flat[name] for name in flat if name.startswith(LAWS)})
        rest = {name: value for name, value in flat.items() if not name.startswith(LAWS)}
        elsewhere = [LAWS + name for name in LawSettings.model_fields]
        model, training = split_settings(rest, RMAATConfig, TrainSettings, elsewhere=elsewhere)
        if longest is not None:
            model = {"max_length": longest, **model}
        decided = {"vocabulary": vocabulary, "classes": classes, "head": head, "trainable_laws": laws.trainable}
        return cls(RMAATConfig(**decided, **model), TrainSettings(**training), laws)

    def flat(self) -> dict[str, Any]:
        """Every setting that can be asked for, by its flat name, as JSON has it."""
        model, training, laws = (part.model_dump(mode="json") for part in (self.model, self.training, self.laws))
        asked = {name: value for name, value in model.items() if name not in DECIDED}
        return {**asked, **training, **{LAWS + name: value for name, value in laws.items()}}


def flatten(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Open the tables of a settings file; settings outside of them are taken as they are, "table.name" as in its table.

    Raises
    ------
    InputError
        Another table, a setting in the wrong one, or one given twice; ``where`` names the file.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        table, dot, key = name.partition(".")
        if isinstance(value, Mapping):
            given = {_flat_name(name, inside, where): value[inside] for inside in value}
        else:
            given = {_flat_name(table, key, where) if dot else name: value}
        for key in given:
            if key in flat:
                raise InputError(f"{where}: {key} is given twice")
        flat |= given
    return flat


def of_model(values: Mapping[str, Any], model: str, where: str) -> dict[str, Any]:
    """Settings for one model, flat: a table with a model's name holds what that model alone has otherwise.

    Raises
    ------
    InputError
        As `flatten`.
    """
    own = {name: values[name] for name in MODELS if name in values}
    known = [*RMAATConfig.model_fields, *TrainSettings.model_fields]
    flat_own = {}
    for name, table in own.items():  # those of other models are checked, too
        if not isinstance(table, Mapping):
            raise InputError(f"{where}: expected a table [{name}], got {table!r}")
        flat_own[name] = flatten(table, where)
        for key in flat_own[name]:
            if "." not in key and key not in known:
                raise InputError(f"{where}: unknown setting {key!r} in [{name}]; {did_you_mean(key, known)}")
    shared = flatten({name: value for name, value in values.items() if name not in own}, where)
    return shared | flat_own.get(model, {})


def _flat_name(table: str, key: str, where: str) -> str:
    if table not in TABLES:
        raise InputError(f"{where}: unknown table [{table}]; {did_you_mean(table, TABLES)}")
    if key not in TABLES[table].model_fields:
        raise InputError(
            f"{where}: unknown setting {key!r} in [{table}]; {did_you_mean(key, TABLES[table].model_fields)}"
        )
    return f"{table}.{key}" if table == "laws" else key


def describe_settings() -> list[tuple[str, Any, str, str]]:
    """Every setting of a training run: name as ``--set`` takes it, default, unit, meaning."""
    return [
        (_flat_name(table, row[0], table), *row[1:])
        for table, model in TABLES.items()
        for row in describe(model)
        if row[0] != "trainable_laws"
    ]
