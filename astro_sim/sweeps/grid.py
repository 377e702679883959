"""The grid of a sweep: from what the caller wrote to validated points."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.settings import parse_assignments
from astro_sim.experiments import NamedExperiment
from astro_sim.simulation import require_seed

MOST_POINTS = 1_000_000  # more is a slip of a digit rather than a wish
SEED = "seed"
EXPECTED = "expected a sequence of values, 'a:b:n' or 'a:b:n:log'"


@dataclass(frozen=True)
class Grid:
    """A validated sweep: one question for every combination of values, the last name fastest."""

    experiment: NamedExperiment
    model: str
    seed: int  # of every point; the first one where the seed is swept
    given: Mapping[str, Any]  # what the caller fixed
    values: Mapping[str, list[Any]]  # of every swept setting, as the settings class holds them
    settings: Mapping[str, Any]  # every one that is the same at all points
    decided: tuple[str, ...] = ()  # settings that differ though they are not swept: a swept preset sets them, say

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each swept setting."""
        return tuple(map(len, self.values.values()))

    def point(self, index: int) -> tuple[int, dict[str, Any]]:
        """Seed and parameters of the point with this number."""
        place = np.unravel_index(index, self.shape)
        chosen = {name: values[i] for (name, values), i in zip(self.values.items(), place, strict=True)}
        seed = chosen.pop(SEED, self.seed)
        return seed, {**self.given, **chosen}

    def describe(self, name: str) -> tuple[str, str]:
        """Unit and meaning of a swept setting."""
        if name == SEED:
            return "1", "seed of everything random"
        variant = self.experiment.get(self.model)
        owner = variant.settings if name in variant.settings.model_fields else variant.parameters
        return owner.unit(name), owner.model_fields[name].description or name


def make(experiment: NamedExperiment, model: str, seed: int, grid: Any, given: Mapping[str, Any]) -> Grid:
    """Validate a sweep: every point is held against the settings classes before anything runs.

    Raises
    ------
    InputError
        Unknown name, no values, a value twice, malformed 'a:b:n', a name both swept and fixed, too many points, or a
        value that a settings class refuses.
    """
    variant = experiment.get(model)
    require_seed(seed)
    if not isinstance(grid, Mapping) or not grid:
        raise InputError(f"grid: expected a mapping from names of settings to values, got {grid!r}")
    known = [*variant.settings.model_fields, *variant.parameters.model_fields, SEED]
    for name in grid:
        if name not in known:
            raise InputError(f"grid: unknown setting {name!r}; {did_you_mean(str(name), known)}")
        if name in given or (name == SEED and seed != 0):
            raise InputError(f"{name}: both swept and fixed; expected one of the two")
    values = {name: _values(name, written) for name, written in grid.items()}
    sizes = list(map(len, values.values()))
    if math.prod(sizes) > MOST_POINTS:
        raise InputError(
            f"grid: {' x '.join(map(str, sizes))} = {math.prod(sizes)} points; expected at most {MOST_POINTS}"
        )
    held: dict[str, list[Any]] = {name: [None] * size for name, size in zip(values, sizes, strict=True)}
    settings: dict[str, Any] = {}
    varying = set(values)
    for place in itertools.product(*map(range, sizes)):
        chosen = {name: values[name][i] for name, i in zip(values, place, strict=True)}
        at = require_seed(chosen.pop(SEED, seed))
        protocol, constants = variant.complete({**given, **chosen})
        complete = {**protocol.model_dump(mode="json"), **constants.model_dump(mode="json")}
        settings = settings or complete
        varying |= {name for name, value in complete.items() if value != settings[name]}
        for name, i in zip(values, place, strict=True):
            held[name][i] = at if name == SEED else complete[name]
    for name, swept in held.items():
        texts = list(map(json.dumps, swept))
        if len({*texts}) < len(texts):
            twice = next(text for i, text in enumerate(texts) if text in texts[:i])
            raise InputError(f"{name}: the value {twice} is given twice")
    common = {name: value for name, value in settings.items() if name not in varying}
    first = held[SEED][0] if SEED in held else int(seed)
    return Grid(experiment, model, first, dict(given), held, common, tuple(sorted(varying - set(values))))


def parse(pairs: Iterable[str]) -> dict[str, Any]:
    """Read words of ``--sweep``: ``NAME=a:b:n``, ``NAME=a:b:n:log``, ``NAME=1,2,5`` or a TOML list.

    Examples
    --------
    >>> parse(["tau_s=0.2:1:5", "cycles=1,2", "layout=grid,ring", "layouts=[['grid'], ['line']]"])
    {'tau_s': '0.2:1:5', 'cycles': [1, 2], 'layout': ['grid', 'ring'], 'layouts': [['grid'], ['line']]}
    """
    grid: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not (equals and name and text):
            raise InputError(f"--sweep {pair!r}: expected NAME=a:b:n, NAME=a:b:n:log or NAME=VALUE,VALUE")
        if name in grid:
            raise InputError(f"--sweep {name}: given twice")
        (value,) = parse_assignments([f"{name}={text}"]).values()
        if isinstance(value, str) and ":" not in value:
            words = [word.strip() for word in text.split(",")]
            if not all(words):
                raise InputError(f"--sweep {pair!r}: expected a value before and after every comma")
            value = [parse_assignments([f"{name}={word}"])[name] for word in words]
        grid[name] = value if isinstance(value, str | list) else [value]
    return grid


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, str):
        listed = list(_spaced(name, values))
    elif isinstance(values, np.ndarray) and not hasattr(values, "dim"):
        listed = values.tolist() if values.ndim else [values.item()]
    elif isinstance(values, Sequence | np.ndarray):  # a quantity of Brian2 is an array whose elements carry the unit
        listed = list(values)
    else:
        raise InputError(f"{name}: {EXPECTED}, got {values!r}")
    if not listed:
        raise InputError(f"{name}: no values; {EXPECTED}")
    listed = [value.item() if isinstance(value, np.generic) else value for value in listed]
    if name == SEED:  # from text, whole numbers come as floats
        listed = [int(value) if isinstance(value, float) and value.is_integer() else value for value in listed]
    return listed


def _spaced(name: str, text: str) -> Iterator[float]:
    parts = text.split(":")
    try:
        low, high, count = float(parts[0]), float(parts[1]), int(parts[2])
        logarithmic = parts[3:] == ["log"]
        if len(parts) > 3 and not logarithmic:
            raise ValueError
    except (ValueError, IndexError):
        raise InputError(f"{name}: {EXPECTED}, got {text!r}") from None
    if count < 1:
        raise InputError(f"{name}: expected at least 1 value, got {text!r}")
    if count > MOST_POINTS:
        raise InputError(f"{name}: {count} values; expected at most {MOST_POINTS}")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{name}: expected finite ends, got {text!r}")
    if logarithmic and not (low > 0 and high > 0):
        raise InputError(f"{name}: expected ends above 0 for logarithmic steps, got {text!r}")
    space = np.geomspace if logarithmic else np.linspace
    yield from space(low, high, count).tolist()
