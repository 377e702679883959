"""What several experiments have in common: where processes lie, how neurons are driven, variables over shared axes."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.macro import geometry
from astro_sim.macro.model import MacroRequest, MacroRun

Array = NDArray[np.float64]
MacroSteps = Generator[MacroRequest, MacroRun, xr.Dataset]
CHOSEN = "chosen"


class PlacedSettings(Settings):
    """Settings of an experiment whose processes lie somewhere."""

    layout: str = quantity("grid", "1", f"arrangement of the processes: {', '.join(geometry.LAYOUTS)}", "RMAAT Fig. 1")
    positions: tuple[tuple[float, ...], ...] | None = quantity(
        None, "spacing", "coordinates of every process, postsynaptic index slowest; overrides layout", "ours"
    )

    def place(self, n: int, generator: np.random.Generator) -> Array:
        """Positions (post, pre, axis), given or by layout."""
        if self.positions is None:
            return geometry.positions(self.layout, n, generator)
        if len({len(coordinates) for coordinates in self.positions}) > 1:
            raise InputError("positions: expected the same number of coordinates in every row")
        return geometry.check_positions(np.array(self.positions, dtype=float), n)


def require_different(settings: Settings, *names: str) -> None:
    """Raise `ValueError` where one of these settings holds a value twice."""
    for name in names:
        given = getattr(settings, name)
        if len(set(given)) != len(given):
            raise ValueError(f"{name}: expected different ones, got {given}")


def drive(amplitude: float, n: int, cv: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """Input strengths of the pre- and postsynaptic neurons: log-normal with mean ``amplitude`` and variation ``cv``."""
    sigma = np.sqrt(np.log1p(cv**2))
    factors = np.exp(sigma * generator.standard_normal((2, n)) - 0.5 * sigma**2)
    return amplitude * factors[0], amplitude * factors[1]


def over(dims: tuple[str, ...], shape: tuple[int, ...], named: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """Arrays as dataset variables over the same dimensions, folded to ``shape`` (of which -1 is what is left)."""
    return {name: (dims, np.reshape(array, shape)) for name, array in named.items()}


def traces(run: MacroRun) -> dict[str, Any]:
    """Every state and input of a run as dataset variables."""
    at_synapse = {name: (("time", "post", "pre"), getattr(run.state, name)) for name in ("s", "p_s", "p_l")}
    return {
        "x_pre": (("time", "pre"), run.state.x_pre),
        "x_post": (("time", "post"), run.state.x_post),
        **at_synapse,
        "input_pre": (("time", "pre"), run.input_pre),
        "input_post": (("time", "post"), run.input_post),
    }


def indices(n: int, **more: Any) -> dict[str, Any]:
    """Coordinates of the neurons and whatever else is given."""
    return {"pre": np.arange(n), "post": np.arange(n), **more}


def position_variable(at: Array) -> xr.Variable:
    """Positions as a dataset variable."""
    return xr.Variable(("post", "pre", "axis"), at)
