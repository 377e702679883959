"""How the law moves with the parameters of the simulation: which biology matters to a model.

Parameters vary together over ranges on a logarithmic scale, so that effects are elasticities: an elasticity of -0.5
says that 1 % more of the parameter makes the result 0.5 % less.

    morris   mean, mean size and spread of the elasticity over the ranges (Morris' elementary effects); few runs
    sobol    share of the variance that a parameter explains alone (S1) and with all its company (ST); many runs

Both by SALib (Herman and Usher 2017; Iwanaga et al. 2022). The law of the linear macro model needs neither: it is an
exponential with tau = tau_p_l / (gamma_l tau_cycle), so its elasticities are 1, -1 and -1, and 0 of everything else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from astro_sim.common.errors import InputError, require_known, require_whole
from astro_sim.common.files import read_json, versions, write_json
from astro_sim.common.settings import explain
from astro_sim.dataset import settings_of
from bridge import families
from bridge.curves import Curve, read_curve
from bridge.exploration import runs
from bridge.families import Family
from bridge.fitting import fit_curve
from bridge.schema import Closed
from bridge.selection import compare

Array = NDArray[np.float64]

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
LEVELS = 8  # of each range in Morris' design (chosen; even, as Morris asks)


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

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Head and rows: what each parameter of the simulation does to the law, by `OUTPUTS`."""
        names = {output: name.format(T=self.total) for output, name in OUTPUTS.items()}
        columns: dict[str, str] = {"alone": "alone (S1)", "together": "together (ST)", "confidence": "+-"}
        if self.method == "morris":
            columns = {"mean": "elasticity", "size": "mean size", "confidence": "+-", "spread": "spread"}
        rows = []
        for effect in self.effects:
            values = (getattr(effect, name) for name in columns)
            rows.append(
                (names[effect.output], effect.parameter, *("none" if v is None else f"{v:.3f}" for v in values))
            )
        return ("of", "parameter", *columns.values()), rows

    def varied(self) -> str:
        """What was varied: model, family and simulations."""
        failed = f", {self.failed} failed: {self.failure}" if self.failed else ""
        model = runs.named(self.model, self.settings)
        return f"{model}, {self.family.replace('_', ' ')} law, {self.runs} simulations{failed}"

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


def sensitivity(
    model: str = "macro",
    ranges: runs.Ranges | None = None,
    method: str = "morris",
    size: int = 20,
    total: int = 16,
    family: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    **settings: Any,
) -> Sensitivity:
    """Vary the parameters of the ltp experiment and see what becomes of the law.

    Parameters
    ----------
    model : {"macro", "biophysical"}
        The macro model with bounded LTP.
    ranges : mapping of str to (float, float), optional
        Parameters to vary and their positive ends, in the units of the settings; by default `runs.EXPLORED`.
    method : {"morris", "sobol"}
    size : int
        Morris: trajectories, of 1 + parameters runs each. Sobol: base samples, of 2 + parameters runs each; a power
        of 2.
    total : int
        T.
    family : str, optional
        Of every law; by default the one that AICc chooses for the unvaried curve.
    seed : int
        Of the design and of every simulation: the same trains and noise everywhere, so that differences are effects.
    workers : int, optional
        Processes of a model on Brian2; by default one a core.
    **settings
        Of the experiment, the same for all runs.

    Raises
    ------
    InputError
        Unknown names, ranges that are none, the linear macro model, or no trajectory whose runs all gave a law.
    """
    require_known("method", method, METHODS)
    size, total = require_whole("size", size, 2), require_whole("total", total, 2)
    if method == "sobol" and size & (size - 1):
        raise InputError(f"size: expected a power of 2 for Sobol's sequence, got {size}")
    shared, reference = runs.start(model, settings, seed, workers)
    asked = runs.complete(model, reference, ranges)
    curve = read_curve(reference)
    law = families.get(family) if family else compare(curve, noise="levels").attempts[0].fit.family
    logs, block = design(asked, method, size, seed)
    found = [runs.curve_of(each) for each in runs.run(model, shared, runs.points(asked, logs), seed, workers)]
    messages = [each for each in found if isinstance(each, str)]
    none = [np.nan] * len(OUTPUTS)
    values = np.array([none if isinstance(each, str) else _outputs(each, law, total) for each in found])
    # A design without one of its runs is none: the whole block that it belongs to goes.
    whole = np.isfinite(values).all(1).reshape(-1, block).all(1)
    if whole.sum() < 2:
        raise InputError(
            f"sensitivity: too few runs gave a law ({len(messages)} of {len(found)} failed): {messages[0]}"
        )
    kept = np.repeat(whole, block)
    return Sensitivity(
        model=model,
        method=method,  # pyright: ignore[reportArgumentType]  # one of METHODS
        total=total,
        family=law.name,
        ranges=asked,
        reference=dict(zip(OUTPUTS, np.exp(_outputs(curve, law, total)).tolist(), strict=True)),
        effects=effects(asked, method, logs[kept], dict(zip(OUTPUTS, values[kept].T, strict=True)), seed),
        runs=int(kept.sum()),
        failed=len(messages),
        failure=messages[0] if messages else "",
        seed=seed,
        settings=settings_of(reference),
        versions=versions("rmaat", "numpy", "scipy", "SALib"),
    )


def _problem(ranges: runs.Ranges) -> dict[str, Any]:
    bounds = [[float(np.log(low)), float(np.log(high))] for low, high in ranges.values()]
    return {"num_vars": len(ranges), "names": [*ranges], "bounds": bounds}


def design(ranges: runs.Ranges, method: str, size: int, seed: int) -> tuple[Array, int]:
    """Rows of log parameters, and how many of them belong together."""
    problem = _problem(ranges)
    if method == "morris":
        from SALib.sample import morris

        return morris.sample(problem, size, num_levels=LEVELS, seed=seed), len(ranges) + 1
    from SALib.sample import sobol

    return sobol.sample(problem, size, calc_second_order=False, seed=seed), len(ranges) + 2


def _outputs(curve: Curve, family: Family, total: int) -> list[float]:
    """Logarithms of `OUTPUTS`."""
    fit = fit_curve(curve.rise, family, spread=curve.spread())
    factors = family.log_increments(total, fit.values) - np.log(family.level(float(total), fit.values))
    return [float(factors[0]), float(factors[-1]), float(np.log(fit.amplitude.value))]


def effects(ranges: runs.Ranges, method: str, logs: Array, outputs: Mapping[str, Array], seed: int = 0) -> list[Effect]:
    """What a design found, largest first; ``outputs`` are logarithms, a value a row of ``logs``."""
    problem = _problem(ranges)
    width = np.array([high - low for low, high in problem["bounds"]])
    told = []
    for output, values in outputs.items():
        if method == "morris":
            from SALib.analyze import morris

            # SALib takes steps on the unit cube, so an effect is that of the whole range.
            found = morris.analyze(problem, logs, values, num_levels=LEVELS, seed=seed)
            parts = {
                "mean": found["mu"] / width,
                "size": found["mu_star"] / width,
                "spread": found["sigma"] / width,
                "confidence": found["mu_star_conf"] / width,
            }
            order = "size"
        else:
            from SALib.analyze import sobol

            # SALib takes a seed of 0 for none, and intervals would differ from call to call.
            found = sobol.analyze(problem, values, calc_second_order=False, seed=seed or 2**31)
            parts = {"alone": found["S1"], "together": found["ST"], "confidence": found["ST_conf"]}
            order = "together"
        none = dict.fromkeys(("mean", "size", "spread", "alone", "together"))
        for i in np.argsort(-np.asarray(parts[order], dtype=float)):
            given = {name: float(column[i]) for name, column in parts.items()}
            told.append(Effect(parameter=problem["names"][i], output=output, **{**none, **given}))  # pyright: ignore[reportArgumentType]
    return told
