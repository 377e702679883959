"""The run folder: what a training run leaves behind for people, the report and a resume.

    RUN/run.json             what was asked: task, model, every setting, data, laws digest, versions, machine, sittings
    RUN/laws.json            the laws the model was built with
    RUN/laws.trained.json    where training moved them, if it was allowed to
    RUN/start.safetensors    the weights it began with, if they were another run's
    RUN/metrics.jsonl        one line a logged step: split, step, loss, accuracy, ..., parameters of trainable laws
    RUN/model.safetensors    the weights at the end (settings: of the best validation, or the last), the laws' digest
    RUN/summary.json         how it ended: steps, tokens, seconds, memory, the best validation
    RUN/evaluation.json      accuracy on the test split, written by `rmaat evaluate`
    RUN/predictions.npy      what it answered there and what was right, for paired comparisons; by `rmaat evaluate` too
    RUN/diagnostics.json     how its memory works, written by `rmaat inspect`
    RUN/checkpoints/         what `--resume` continues from
    RUN/tensorboard/         event files, where asked for

This module reads it without importing torch.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_serializer

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import read_array, read_json
from astro_sim.common.settings import Settings, explain
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.settings import LawSettings, RunSettings, TrainSettings

SCHEMA_VERSION = 3
RUN, LAWS, TRAINED_LAWS = "run.json", "laws.json", "laws.trained.json"
START, WEIGHTS = "start.safetensors", "model.safetensors"
METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.npy"  # classes answered and labels of the test split, (2, examples)
EVALUATION = "evaluation.json"
DIAGNOSTICS, DIAGNOSTICS_VERSION = "diagnostics.json", 1
SUMMARY, SUMMARY_VERSION = "summary.json", 1

LARGEST = 1e15  # of the numbers that are read: all are counts, seconds, losses or shares
Count = Annotated[int, Field(strict=True, ge=0, lt=LARGEST)]
Number = Annotated[float, Field(strict=True, gt=-LARGEST, lt=LARGEST)]
Text = Annotated[str, Field(strict=True)]


class Record(BaseModel):
    """Base of what stands in the JSON files of a run: frozen, closed, without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        """From JSON; raises `InputError`, which begins with ``where``."""
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, got {brief(value)}")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InputError(f"{where}: {explain(error, cls)}") from None

    @classmethod
    def read(cls, path: Path, what: str) -> Self | None:
        """From a file; None where there is none."""
        if not path.is_file():
            return None
        value = read_json(path, what)
        if "schema_version" in cls.model_fields:
            known = cls.model_fields["schema_version"].default
            version = value.get("schema_version") if isinstance(value, dict) else None
            if version != known:
                raise InputError(f"{path}: {what} schema {brief(version)}; this version reads {known}")
        return cls.parse(value, str(path))


class Origin(Record):
    """The weights that a run began with, where they were another's."""

    path: Text
    digest: Text
    task: Text
    anew: list[Text] = Field(description="parts that are new, since those of the other did not fit")


class DataRecord(Record):
    """The data of a run."""

    path: Text
    digest: Text
    content: Text
    origin: Text
    own_source: Text | None = Field(None, description="SHA-256 of a task's file of one's own")
    train: Count | None = Field(None, description="examples of the split, where there is one")
    valid: Count | None = None
    test: Count | None = None
    longest: Count = Field(description="tokens")
    segments: Count = Field(description="the most that an example has")

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Any) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Circumstances(Record):
    """Code and machine of a sitting."""

    commit: Text | None = Field(description="of a checkout")
    versions: dict[str, Text]
    machine: dict[str, Text]


class Sitting(Circumstances):
    """The start of a run, or a resume."""

    from_step: Count


class Run(Record):
    """What was asked of a run: run.json."""

    schema_version: Literal[3] = SCHEMA_VERSION
    task: Text
    model: Text
    settings: TrainSettings
    laws: LawSettings = Field(description="what was done with the laws")
    model_settings: RMAATConfig = Field(description="as asked")
    config: RMAATConfig = Field(alias="model_config", description="as built, with nothing left open")
    without_effect: list[Text] = Field(description="settings that were given and that this model has no use for")
    data: DataRecord
    laws_digest: Text
    parameters: Count
    position_parameters: Count
    init_from: Origin | None
    commit: Text | None
    versions: dict[str, Text]
    machine: dict[str, Text]
    sittings: list[Sitting]

    model_config = ConfigDict(populate_by_name=True)

    @field_validator("settings", "laws", "model_settings", "config", mode="before")
    @classmethod
    def _are_sound(cls, value: Any, info: Any) -> Any:
        """Settings tell what is wrong themselves; here in front which of them it is."""
        kind: type[Settings] = cls.model_fields[info.field_name].annotation  # pyright: ignore[reportAssignmentType]
        name = cls.model_fields[info.field_name].alias or info.field_name
        if isinstance(value, kind):
            return value
        try:
            return kind(**value) if isinstance(value, dict) else value
        except InputError as error:
            raise ValueError(f"{name}: {error}") from None

    @property
    def asked(self) -> dict[str, Any]:
        """Every setting by its flat name, as it was asked for (`rmaat.settings`)."""
        return RunSettings(self.model_settings, self.settings, self.laws).flat()

    @property
    def built(self) -> dict[str, Any]:
        """The same with nothing left open."""
        return RunSettings(self.config, self.settings, self.laws).flat()

    def dump(self) -> dict[str, Any]:
        """What run.json holds."""
        return self.model_dump(mode="json", by_alias=True)


class Evaluation(Record):
    """What a run answers on a split: evaluation.json.

    ``majority`` is the share of the most frequent answer, ``first_symbol`` the accuracy of a table that knows the first
    symbol alone (of classifiers), ``bits_per_token`` the loss in bits (of language models).
    """

    split: Text
    accuracy: Number
    loss: Number
    examples: Count
    majority: Number
    first_symbol: Number | None = None
    bits_per_token: Number | None = None
    step: Count
    data_digest: Text


class Kept(Record):
    """What the memory after T segments keeps of the first one, measured and by the memory rule alone."""

    T: Count
    measured: Number
    direct: Number


class Diagnostics(Record):
    """What `rmaat.models.diagnostics.look` says of a run: diagnostics.json."""

    schema_version: Literal[1] = DIAGNOSTICS_VERSION
    split: Text
    examples: Count
    data_digest: Text
    influence: list[Number] = Field(min_length=1, description="of each segment on the output")
    memory_norm: list[Number] | None = Field(min_length=1, description="after each segment; null without a memory")
    first: list[Kept] | None
    time_constants: list[list[Number]] | None = Field(
        None, description="of short-term plasticity, tokens: a list a layer, a head each; null where nothing fades"
    )


class Best(Record):
    """The best validation of a run."""

    step: Count
    loss: Number
    accuracy: Number


class Summary(Record):
    """How a run ended: summary.json."""

    schema_version: Literal[1] = SUMMARY_VERSION
    end: Literal["steps", "patience"]
    steps: Count
    weights_of_step: Count
    best: Best | None
    tokens: Count = Field(description="seen in training, padding not among them")
    padding: Number = Field(description="share of all places")
    idle_segments: Number = Field(description="share of all segments")
    seconds: Number = Field(description="of training steps")
    waited: Number = Field(description="of those, for data")
    memory_mb: Number


class Metric(Record):
    """A logged step, a line of metrics.jsonl; what else is logged must be numbers, too."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number | None] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    split: Text
    step: Count
    loss: Number
    accuracy: Number
    laws: dict[str, Number] = Field({}, description="parameters of trainable laws")


@dataclass(frozen=True)
class RunRecord:
    """A run folder, read.

    Attributes
    ----------
    path : Path
    run : Run
        What was asked.
    laws, trained_laws : Laws or None
        Before training, and after it where it moved them.
    metrics : list of dict
        Each with ``split`` ("train" or "valid"), ``step``, ``loss``, ``accuracy`` and ``seconds``.
    evaluation : Evaluation or None
    diagnostics : Diagnostics or None
    summary : Summary or None
        Of a finished run.
    finished : bool
        Whether the final weights are there.
    """

    path: Path
    run: Run
    laws: Laws | None
    trained_laws: Laws | None
    metrics: list[dict[str, Any]]
    evaluation: Evaluation | None
    diagnostics: Diagnostics | None
    summary: Summary | None
    finished: bool


def checkpoints(run: Path) -> list[Path]:
    """Folders of a run's checkpoints, the newest last; what else lies there is passed over."""
    paths = (run / "checkpoints").glob("step-*")
    return sorted((path for path in paths if re.fullmatch("step-[0-9]+", path.name) and path.is_dir()), key=step_of)


def last_step(run: Path) -> int:
    """Steps done at the newest checkpoint; 0 if there is none."""
    return max(map(step_of, checkpoints(run)), default=0)


def step_of(checkpoint: Path) -> int:
    """Steps done at a checkpoint, which its folder is named after."""
    return int(checkpoint.name.removeprefix("step-"))


def is_run(path: str | Path) -> bool:
    """Whether ``path`` looks like a run folder."""
    return (Path(path) / RUN).is_file()


def read_run(path: str | Path) -> RunRecord:
    """Read a run folder, finished or not.

    Raises
    ------
    InputError
        No run.json, another schema version, or a broken file inside.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path}: a file; expected a run folder, as rmaat train makes it")
    if not path.is_dir():
        raise InputError(f"{path}: no such run folder")
    run = Run.read(path / RUN, "run")
    if run is None:
        raise InputError(f"{path / RUN}: no such run record (run.json)")
    laws, trained = path / LAWS, path / TRAINED_LAWS
    return RunRecord(
        path=path,
        run=run,
        laws=Laws.load(laws) if laws.is_file() else None,
        trained_laws=Laws.load(trained) if trained.is_file() else None,
        metrics=read_metrics(path / METRICS),
        evaluation=Evaluation.read(path / EVALUATION, "evaluation"),
        diagnostics=Diagnostics.read(path / DIAGNOSTICS, "diagnostics"),
        summary=Summary.read(path / SUMMARY, "summary"),
        finished=(path / WEIGHTS).is_file(),
    )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Parse metrics.jsonl. A last line without newline is a write that was cut off, and is left out."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text: {brief(error)}") from None
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: not JSON: {brief(error)}") from None
        Metric.parse(row, f"{path}, line {number}")
        rows.append(row)
    return rows


def read_right(record: RunRecord) -> NDArray[np.bool_] | None:
    """Which test examples an evaluated run has right, in the order of the split; None where that was not kept.

    Raises
    ------
    InputError
        Predictions that are broken, or of another evaluation.
    """
    path, evaluation = record.path / PREDICTIONS, record.evaluation
    if not path.is_file():
        return None
    mend = f"make both with rmaat evaluate {record.path}"
    both = read_array(path)
    if evaluation is None:
        raise InputError(f"{path}: without {EVALUATION}; {mend}")
    if both.shape != (2, evaluation.examples) or not np.issubdtype(both.dtype, np.integer):
        raise InputError(f"{path}: expected whole numbers (2, {evaluation.examples}), got {both.dtype} {both.shape}")
    right = both[0] == both[1]
    if right.sum() != round(evaluation.accuracy * len(right)):
        raise InputError(f"{path}: of another evaluation than {EVALUATION}; {mend}")
    return right


def packed(right: NDArray[np.bool_]) -> str:
    """Which examples are right as text for a table: a bit an example, the first one highest, in base64.

    Examples
    --------
    >>> packed(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: Any, examples: int) -> NDArray[np.bool_]:
    """What `packed` wrote; raises `InputError` where ``text`` is not that of so many examples."""
    try:
        bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except (TypeError, ValueError, binascii.Error):
        raise InputError("expected base64") from None
    if len(bits) != -(-examples // 8):
        raise InputError(f"expected the bits of {examples} examples, got {len(bits)} bytes")
    return np.unpackbits(bits, count=examples).astype(bool)
