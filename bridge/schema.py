"""What stands in laws.json: a closed, versioned schema. ``laws.schema.json`` is made from it."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

KIND = "astromorphic-laws"
SCHEMA_VERSION = 2
REACH = 0.6  # share of the fitted saturation below which a curve does not tell its law (chosen)
# Below this share of the rise, residuals are no noise but transients of the protocol and rounding: a simulation without
# noise. They admit no interval, and no choice of a family that another seed or layout would bear out, so AICc counts
# them as this large (chosen; noisy data lie above).
RESOLUTION = 1e-3

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Perturbed = Literal["flat", "reversed", "random", "faster", "slower", "posterior"]


Array = NDArray[np.float64]


def finite(value: float) -> float | None:
    """JSON has no infinity and no NaN."""
    return float(value) if math.isfinite(value) else None


def residual_autocorrelation(residuals: Array) -> float:
    """Of residuals one cycle apart; beyond 2 / sqrt(cycles) the law or the kind of noise is wrong."""
    return float(residuals[1:] @ residuals[:-1] / (residuals @ residuals)) if residuals.any() else 0.0


def residual_deviation(residuals: Array, fitted: int) -> float:
    """Standard deviation of residuals that so many fitted numbers have made smaller; NaN where no freedom is left."""
    freedom = len(residuals) - fitted
    return float(np.sqrt(residuals @ residuals / freedom)) if freedom > 0 else float("nan")


def residual_r_squared(residuals: Array, data: Array, weight: Array | None = None) -> float:
    """Share of the weighted variance of the data that is explained; NaN for data without any."""
    weight = np.ones_like(data) if weight is None else weight
    total = float(np.sum((weight * (data - np.average(data, weights=weight**2))) ** 2))
    return 1.0 - float(np.sum((weight * residuals) ** 2)) / total if total > 0 else float("nan")


@dataclass(frozen=True)
class Estimate:
    """A fitted number: value, standard error and 95 % interval (NaN where the fit gives none)."""

    value: float
    stderr: float
    low: float
    high: float


def _is_near(value: float | None, floor: float) -> bool:
    return value is not None and math.isclose(value, floor, rel_tol=1e-9)


class Closed(BaseModel):
    """No field but those named, no conversion of types, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Number(Closed):
    """A fitted number with its 95 % interval; null where the fit gives none."""

    value: float
    stderr: float | None = Field(description="standard error")
    low: float | None = Field(description="lower end of the 95 % interval")
    high: float | None = Field(description="upper end of the 95 % interval")
    unit: str
    origin: str = Field(description="how value and interval were obtained")

    @classmethod
    def of(cls, estimate: Estimate, unit: str, origin: str) -> Self:
        """A fitted number as the file has it."""
        stderr, low, high = (finite(part) for part in (estimate.stderr, estimate.low, estimate.high))
        return cls(value=float(estimate.value), stderr=stderr, low=low, high=high, unit=unit, origin=origin)


class Candidate(Closed):
    """One family's attempt at the curve."""

    family: str
    parameters: dict[str, float]
    knots: list[float] = Field(description="of the spline; empty for every other family")
    r_squared: float
    aicc: float | None = Field(description="corrected Akaike criterion; null with too few cycles")
    bic: float | None = Field(description="Bayesian criterion; null where it was not computed")
    held_out: float | None = Field(
        description="error on the last third of the cycles when fitted to those before, over the largest sample"
    )
    converged: bool


def _deviance(candidate: Candidate, count: int) -> float | None:
    """What AICc of a fit to ``count`` samples is beside its penalty; None where it is not known."""
    free = len(candidate.parameters) + 2  # amplitude and variance
    spare = count - free - 1
    if candidate.aicc is None or spare <= 0:
        return None
    return candidate.aicc - 2 * free - 2 * free * (free + 1) / spare


class Draws(Closed):
    """Parameters of the law refitted to resampled data: what else it could be."""

    method: str = Field(description="what was resampled")
    seed: int = Field(ge=0)
    values: dict[str, Annotated[list[float], Field(min_length=1)]] = Field(
        description="one list for each parameter and for the amplitude"
    )

    @property
    def count(self) -> int:
        """Number of draws."""
        return len(next(iter(self.values.values())))

    def draw(self, k: int) -> dict[str, float]:
        """Parameters and amplitude of draw ``k``."""
        return {name: column[k] for name, column in self.values.items()}


class RetentionLaw(Closed):
    """The chosen law, the curve it was fitted to, what was left over, and how well it is known."""

    family: str
    parameters: dict[str, Number]
    knots: list[float] = Field(description="of the spline, in cycles; empty for every other family")
    amplitude: Number = Field(description="fitted saturation of the curve above its start")
    tau_cycle: float = Field(gt=0, description="length of one cycle, s")
    unit: str = Field(description="of start, samples, spread, residuals and deviation")
    start: float = Field(description="p^l at cycle 0")
    samples: list[float] = Field(min_length=1, description="mean p^l at the ends of cycles 1 .. n")
    averaged: dict[str, int] = Field(description="dimensions that were averaged over, and their sizes")
    spread: list[Annotated[float, Field(gt=0)]] | None = Field(
        description="standard error over what was averaged, of samples (levels) or of increments (dynamics); "
        "the weights of the fit; null where nothing repeats"
    )
    noise: Literal["levels", "dynamics"] = Field(description="where noise enters: samples, or steps between them")
    noise_origin: str = Field(description="how it is known where noise enters")
    residuals: list[float] = Field(description="samples minus fit, or minus what the sample before predicts")
    deviation: float | None = Field(description="standard deviation of the residuals, degrees of freedom counted")
    autocorrelation: float = Field(description="of residuals one cycle apart")
    r_squared: float
    converged: bool
    reached: float = Field(ge=0, le=1, description="share of the fitted saturation at the last cycle")
    identifiable: bool = Field(description="converged, and 60 % of the fitted saturation reached")
    concave: bool = Field(description="whether the law, as a function of time, is concave")
    fitted_cycles: int = Field(ge=1, description="simulated cycles; RetentionFactor at a larger T extrapolates")
    peak_cycle: int = Field(ge=1, description="cycle of the largest increment")
    candidates: list[Candidate] = Field(description="every family that was tried, best first")
    draws: Draws | None = Field(description="null where nothing repeats and there is no noise")

    @property
    def negligible(self) -> bool:
        """Whether the residuals are too small for noise."""
        size = max(map(abs, self.residuals)) if self.deviation is None else self.deviation
        return size < RESOLUTION * self.amplitude.value * self.reached

    @property
    def correlated(self) -> bool:
        """Whether there is noise, and residuals one cycle apart go together more than independent ones would.

        Beyond the 95 % band of independent residuals, 1.96 / sqrt(cycles), the law or the kind of noise is wrong, and
        the intervals and the band of the draws are too narrow.
        """
        return not self.negligible and abs(self.autocorrelation) > 1.96 / math.sqrt(self.fitted_cycles)

    @property
    def indistinct(self) -> list[str]:
        """Families with residuals below `RESOLUTION`, in the order of ``candidates``: their parameters alone decide."""
        count = self.fitted_cycles
        floor = 2.0 * count * math.log(RESOLUTION)
        if self.spread is not None:  # weights as in the fit: some samples are sharper, which the density counts
            typical = math.hypot(*self.spread) / math.sqrt(count)
            floor -= sum(2.0 * math.log(typical / each) for each in self.spread)
        return [each.family for each in self.candidates if _is_near(_deviance(each, count), floor)]


class Perturbation(Closed):
    """How laws differ on purpose from those that were fitted."""

    kind: Perturbed
    factor: float | None = Field(description="of faster and slower: by how much")
    seed: int | None = Field(description="of random and posterior: which")
    of: Digest = Field(description="digest of the laws before")


class Source(Closed):
    """A dataset that the laws rest on."""

    experiment: str
    model: str
    seed: int
    digest: Digest = Field(description="of the question: experiment, model, seed and settings")
    contents: Digest | None = Field(
        None, description="of the answer, `astro_sim.dataset.content_digest`; left out where it was not kept"
    )
    settings: dict[str, Any]

    @model_serializer(mode="wrap")
    def _without_unknown(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A digest of contents that was not kept leaves no trace in the digest by which runs name the laws."""
        fields = handler(self)
        return fields if self.contents is not None else {k: v for k, v in fields.items() if k != "contents"}


class LawsDocument(Closed):
    """Contents of laws.json."""

    kind: Literal["astromorphic-laws"] = KIND
    schema_version: Literal[2] = SCHEMA_VERSION
    retention: RetentionLaw
    spatial_decay: Number | None = Field(description="decay of p^s with distance; null if no spatial data were given")
    presynaptic_exponent: Number | None = Field(description="exponent of calcium against rate; null likewise")
    short_term: dict[str, Number] = Field(description="time constants of short-term plasticity, s; empty likewise")
    perturbation: Perturbation | None = Field(description="null for laws as they were fitted")
    sources: list[Source] = Field(min_length=1)
    versions: dict[str, str]


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
