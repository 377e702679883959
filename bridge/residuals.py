"""What is left over of a curve, in numbers."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def autocorrelation(residuals: Array) -> float:
    """Of residuals one cycle apart; beyond 2 / sqrt(cycles) the law or the kind of noise is wrong."""
    return float(residuals[1:] @ residuals[:-1] / (residuals @ residuals)) if residuals.any() else 0.0


def deviation(residuals: Array, fitted: int) -> float:
    """Standard deviation of residuals that so many fitted numbers have made smaller; NaN where no freedom is left."""
    freedom = len(residuals) - fitted
    return float(np.sqrt(residuals @ residuals / freedom)) if freedom > 0 else float("nan")


def r_squared(residuals: Array, data: Array, weight: Array | None = None) -> float:
    """Share of the weighted variance of the data that is explained; NaN for data without any."""
    weight = np.ones_like(data) if weight is None else weight
    total = float(np.sum((weight * (data - np.average(data, weights=weight**2))) ** 2))
    return 1.0 - float(np.sum((weight * residuals) ** 2)) / total if total > 0 else float("nan")
