"""What a sensitivity analysis found: the file that it leaves."""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError

from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json, write_json
from astro_sim.common.settings import explain
from bridge.schema import Closed

KIND = "astromorphic-sensitivity"
Method = Literal["morris", "sobol"]
Output = Literal["first", "last", "saturation"]
METHODS: tuple[Method, ...] = get_args(Method)
# What is looked at: the shares of the first and the last of T segments, and the fitted amplitude of the curve.
OUTPUTS: dict[Output, str] = {
    "first": "RetentionFactor(1, {T})",
    "last": "RetentionFactor({T}, {T})",
    "saturation": "saturation",
}


class Effect(Closed):
    """What one parameter does to one output; ``mean``, ``size`` and ``spread`` by Morris, the shares by Sobol."""

    parameter: str
    output: Output
    mean: float | None = Field(description="mean elasticity, 1")
    size: float | None = Field(description="mean of its absolute value, 1")
    spread: float | None = Field(description="standard deviation: how much it depends on the other parameters, 1")
    alone: float | None = Field(description="S1, share of the variance of the logarithm")
    together: float | None = Field(description="ST, likewise with all interactions")
    confidence: float = Field(description="half width of the 95 % interval of size, or of together")


class Sensitivity(Closed):
    """Contents of a sensitivity file."""

    kind: Literal["astromorphic-sensitivity"] = KIND
    schema_version: Literal[1] = 1
    model: str
    method: Method
    total: int = Field(ge=2, description="T")
    family: str = Field(description="of every law: the one that the unvaried curve asked for, or that was named")
    ranges: dict[str, tuple[float, float]]
    reference: dict[str, float] = Field(description="outputs of the unvaried simulation")
    effects: list[Effect] = Field(description="largest first, output by output")
    runs: int = Field(description="simulations that count")
    failed: int = Field(description="simulations without a law; with them their whole trajectory is left out")
    failure: str = Field(description="message of the first that failed; empty if none did")
    seed: int
    settings: dict[str, Any] = Field(description="of the unvaried simulation")
    versions: dict[str, str]

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a sensitivity file; `InputError` where it is none."""
        raw = read_json(path, "sensitivity file")
        if not isinstance(raw, dict) or raw.get("kind") != KIND:
            raise InputError(f"{path}: not a sensitivity file (expected kind {KIND!r})")
        for name, ends in (raw.get("ranges") or {}).items():
            raw["ranges"][name] = tuple(ends)  # JSON has no tuples
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise InputError(f"{path}: {explain(error, cls)}") from None
