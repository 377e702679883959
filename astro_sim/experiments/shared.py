"""What the experiments on the macro model have in common: where the processes lie, how strongly neurons are driven."""

from collections.abc import Generator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

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
        if len({len(row) for row in self.positions}) > 1:
            raise InputError("positions: expected the same number of coordinates in every row")
        return geometry.check_positions(np.array(self.positions, dtype=float), n)


def drive(amplitude: float, n: int, cv: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """Input strengths of the pre- and postsynaptic neurons: log-normal with mean ``amplitude`` and variation ``cv``."""
    sigma = np.sqrt(np.log1p(cv**2))
    factors = np.exp(sigma * generator.standard_normal((2, n)) - 0.5 * sigma**2)
    return amplitude * factors[0], amplitude * factors[1]


def traces(run: MacroRun) -> dict[str, Any]:
    """Every state and input of a run as dataset variables."""
    synapse = ("time", "post", "pre")
    return {
        "x_pre": (("time", "pre"), run.state.x_pre),
        "x_post": (("time", "post"), run.state.x_post),
        "s": (synapse, run.state.s),
        "p_s": (synapse, run.state.p_s),
        "p_l": (synapse, run.state.p_l),
        "input_pre": (("time", "pre"), run.input_pre),
        "input_post": (("time", "post"), run.input_post),
    }


def indices(n: int, **more: Any) -> dict[str, Any]:
    """Coordinates of the neurons and whatever else is given."""
    return {"pre": np.arange(n), "post": np.arange(n), **more}


def position_variable(at: Array) -> xr.Variable:
    """Positions as a dataset variable."""
    return xr.Variable(("post", "pre", "axis"), at)
