"""The laws file: what was fitted, from which data, how well it is known, and nothing else.

`LawsDocument` is the file, a closed and versioned schema (``laws.schema.json`` is made from it). `Laws` is what
programs use: it evaluates the law that the document states.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astro_sim.common.errors import InputError
from astro_sim.common.files import digest, read_json, write_json
from astro_sim.common.settings import explain
from bridge import families

KIND = "astromorphic-laws"
SCHEMA_VERSION = 1
PAPER_EXPONENT = 0.25  # presynaptic exponent, 1; hyperparameter tables of AT (arXiv 2312.10925) and RMAAT

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Number(_Closed):
    """A fitted number with its 95 % interval; null where the fit gives none."""

    value: float
    stderr: float | None = Field(description="standard error")
    low: float | None = Field(description="lower end of the 95 % interval")
    high: float | None = Field(description="upper end of the 95 % interval")
    unit: str
    origin: str = Field(description="how value and interval were obtained")


class Candidate(_Closed):
    """One family's attempt at the curve."""

    family: str
    parameters: dict[str, float]
    r_squared: float
    aicc: float | None = Field(description="corrected Akaike criterion; null with too few cycles")
    converged: bool


class RetentionLaw(_Closed):
    """The chosen law, the curve it was fitted to, and what was left over."""

    family: str
    parameters: dict[str, Number]
    amplitude: Number = Field(description="fitted saturation of the curve above its start")
    tau_cycle: float = Field(gt=0, description="length of one cycle, s")
    start: float = Field(description="p^l at cycle 0")
    samples: list[float] = Field(min_length=1, description="p^l averaged over synapses at the ends of cycles 1 .. n")
    residuals: list[float] = Field(description="samples minus fit")
    r_squared: float
    converged: bool
    concave: bool = Field(description="whether the law, as a function of time, is concave")
    fitted_cycles: int = Field(ge=1, description="simulated cycles; RetentionFactor at a larger T extrapolates")
    peak_cycle: int = Field(ge=1, description="cycle of the largest increment")
    candidates: list[Candidate] = Field(description="every family that was tried, best first")


class Source(_Closed):
    """A dataset that the laws rest on."""

    experiment: str
    model: str
    seed: int
    digest: Digest
    settings: dict[str, Any]


class LawsDocument(_Closed):
    """Contents of laws.json."""

    kind: Literal["astromorphic-laws"] = KIND
    schema_version: Literal[1] = SCHEMA_VERSION
    retention: RetentionLaw
    spatial_decay: Number | None = Field(description="decay of p^s with distance; null if no spatial data were given")
    presynaptic_exponent: Number | None = Field(description="exponent of calcium against rate; null likewise")
    sources: list[Source] = Field(min_length=1)
    versions: dict[str, str]


class Laws:
    """The distilled laws: what a model asks of the astrocyte.

    Parameters
    ----------
    document : LawsDocument

    Raises
    ------
    InputError
        The law's family is unknown or its parameters are not the family's.
    """

    def __init__(self, document: LawsDocument) -> None:
        self.document = document
        self.family = families.get(document.retention.family)
        found = sorted(document.retention.parameters)
        expected = sorted(p.name for p in self.family.parameters)
        if found != expected:
            raise InputError(f"retention law {self.family.name!r}: expected parameters {expected}, got {found}")
        for p in self.family.parameters:
            value = document.retention.parameters[p.name].value
            # Fitted as logarithms: a value at its bound comes back rounded.
            if not p.low * (1 - 1e-9) <= value <= p.high * (1 + 1e-9):
                bounds = f"{p.low:g} to {p.high:g}"
                raise InputError(f"{self.family.name} law: expected {p.name} in {bounds}, got {value:g}")

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the retention law."""
        return {name: number.value for name, number in self.document.retention.parameters.items()}

    @property
    def spatial_decay(self) -> float | None:
        """Decay of the process response with distance, per process spacing; None if not fitted."""
        number = self.document.spatial_decay
        return None if number is None else number.value

    @property
    def presynaptic_exponent(self) -> float | None:
        """Exponent alpha of calcium against presynaptic rate; None if not fitted."""
        number = self.document.presynaptic_exponent
        return None if number is None else number.value

    @property
    def fitted_cycles(self) -> int:
        """Number of simulated cycles; a larger T extrapolates."""
        return self.document.retention.fitted_cycles

    @property
    def digest(self) -> str:
        """SHA-256 of the contents: two laws are the same exactly if their digests are."""
        return digest(self.document.model_dump(mode="json"))

    def retention(self, total: int) -> NDArray[np.float64]:
        """RetentionFactor(t, T) for t = 1 .. T.

        Parameters
        ----------
        total : int
            T, the number of segments, at least 1. Beyond `fitted_cycles` the law extrapolates.

        Returns
        -------
        array, (T,)
            Positive, sums to 1.
        """
        return self.family.retention(_whole(total), self.parameters)

    def online(self, total: int) -> NDArray[np.float64]:
        """delta_t / p_t for t = 1 .. ``total``: the factors of the rule "consolidate", which needs no T in advance."""
        return self.family.online(_whole(total), self.parameters)

    def save(self, path: str | Path) -> None:
        """Write laws.json, whole or not at all; the digest of the contents goes in last."""
        write_json(path, {**self.document.model_dump(mode="json"), "digest": self.digest})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read laws.json.

        Raises
        ------
        InputError
            No such file, not JSON, not a laws file, another schema version, a field missing, unknown or out of
            bounds, or a digest that does not hold (the file was edited by hand).
        """
        return cls.from_json(read_json(path, "laws file"), where=str(path))

    @classmethod
    def from_json(cls, raw: Any, where: str = "laws") -> Self:
        """Validate parsed JSON; ``where`` names it in messages."""
        if not isinstance(raw, dict) or raw.get("kind") != KIND:
            raise InputError(f"{where}: not a laws file (expected kind {KIND!r})")
        if raw.get("schema_version") != SCHEMA_VERSION:
            version = raw.get("schema_version")
            raise InputError(f"{where}: laws schema {version}; this version reads {SCHEMA_VERSION}")
        stated = raw.get("digest")
        try:
            document = LawsDocument.model_validate({name: value for name, value in raw.items() if name != "digest"})
            laws = cls(document)
        except ValidationError as error:
            raise InputError(f"{where}: {explain(error, LawsDocument)}") from None
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if stated != laws.digest:
            raise InputError(f"{where}: the digest does not hold; the file was changed after it was written")
        return laws


def _whole(total: int) -> int:
    if isinstance(total, bool) or not isinstance(total, int | np.integer) or total < 1:
        raise InputError(f"T: expected a whole number of segments from 1, got {total!r}")
    return int(total)


@lru_cache
def json_schema() -> dict[str, Any]:
    """JSON Schema of laws.json; ``bridge/laws.schema.json`` is this, written out."""
    schema = LawsDocument.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"]["digest"] = {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "SHA-256 of the canonical JSON of everything else",
    }
    schema["required"] = [*schema["properties"]]
    return schema
