"""Where the astrocyte processes lie, and the coupling T that follows from it.

Positions are plain data, an array (post, pre, axis) in units of the spacing between neighbouring processes. The
named layouts below only fill that array; any other array does as well.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, require_known

Array = NDArray[np.float64]


def _grid(n: int) -> Array:
    return np.array(list(np.ndindex(n, n)), dtype=np.float64)


def _ring(n: int) -> Array:
    angle = 2 * np.pi * np.arange(n * n) / (n * n)
    radius = 0.5 / np.sin(np.pi / (n * n)) if n > 1 else 0.0  # neighbours are one spacing apart
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


LAYOUTS: dict[str, Callable[[int, np.random.Generator], Array]] = {
    "grid": lambda n, _: _grid(n),
    "line": lambda n, _: np.arange(n * n, dtype=float)[:, None],
    "ring": lambda n, _: _ring(n),
    # The processes of one postsynaptic neuron lie in a row; the rows lie three spacings apart.
    "clusters": lambda n, _: _grid(n) * np.array([3.0, 1.0]),
    # Corners of a regular simplex: every two processes are one spacing apart.
    "equidistant": lambda n, _: np.eye(n * n) / np.sqrt(2.0),
    "random": lambda n, generator: generator.uniform(0.0, n, size=(n * n, 2)),
}


def positions(layout: str, n: int, generator: np.random.Generator) -> Array:
    """Positions (post, pre, axis) of a named layout, in units of process spacing.

    ``generator`` matters to the layout "random" alone.
    """
    require_known("layout", layout, LAYOUTS)
    return LAYOUTS[layout](n, generator).astype(float).reshape(n, n, -1)


def check_positions(given: Array, n: int) -> Array:
    """Positions given by the user as (n * n, axis) or (n, n, axis), made (n, n, axis).

    Raises
    ------
    InputError
        Another shape, or a coordinate that is not finite.
    """
    array = np.asarray(given, dtype=float)
    if array.ndim == 2 and array.shape[0] == n * n and array.size:
        array = array.reshape(n, n, -1)
    if array.ndim != 3 or array.shape[:2] != (n, n) or not array.size:
        raise InputError(f"positions: expected {n * n} rows of coordinates for n = {n}, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError("positions: expected finite numbers")
    return array


def distances(at: Array) -> Array:
    """Euclidean distance between every two processes: (post, pre, axis) -> (post, pre, post, pre)."""
    from scipy.spatial.distance import cdist  # where it is needed: a dataset is read without

    n = at.shape[0]
    flat = at.reshape(n * n, -1)
    between = np.asarray(cdist(flat, flat), dtype=np.float64)  # broadcasting would hold n^6 numbers for a simplex
    return between.reshape(n, n, n, n)


def coupling(at: Array, scale: float, row_sum: float) -> Array:
    """T_ijkl ~ exp(-scale * distance), without self term, its largest row sum set to ``row_sum``.

    Without that normalisation the row sums grow with n (2.44, 4.08, 5.07 for grids of 3, 5, 8 at scale 1), and
    larger networks latch. Source: RMAAT (arXiv 2601.00426) for the kernel; the normalisation is chosen.

    Returns
    -------
    array, (post, pre, post, pre)
        Symmetric.
    """
    n = at.shape[0]
    kernel: Array = np.exp(-scale * distances(at)).reshape(n * n, n * n)
    np.fill_diagonal(kernel, 0.0)
    largest = kernel.sum(axis=1).max()
    if largest > 0:
        kernel = kernel / largest * row_sum  # in this order: row_sum / largest may overflow
    return kernel.reshape(n, n, n, n)
