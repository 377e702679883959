"""The model-free yardstick: any monotone curve, as smooth as its knots allow.

The rate at which the curve covers what is left, h(t) = -dL/dt, is a positive linear spline through its values at the
knots, constant after the last; F = 1 - exp(-integral of h) then rises by construction and is smooth. Since every
knot is a whole cycle, the step of a cycle is minus the mean of h at its two ends.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge.families.base import Array, Family, Parameter, Values

MOST_KNOTS = 6  # chosen: a rate a knot, and no more than a third as many as cycles


def knots_for(cycles: int) -> tuple[float, ...]:
    """Knots for a curve of so many cycles: 0, the last, and between them ever wider apart."""
    count = max(2, min(MOST_KNOTS, cycles // 3))
    inner = np.round(np.geomspace(1, cycles, count)) if count > 2 else np.array([cycles])
    return (0.0, *(float(knot) for knot in np.unique(inner)))


def spline(knots: Sequence[float]) -> Family:
    """The family of curves with these knots: whole cycles from 0, ascending."""
    edges = np.asarray(knots, dtype=float)
    names = [f"h{k}" for k in range(len(edges))]

    def integral(t: Any, v: Any, m: Any) -> Any:
        """Of h from 0 to t, interval by interval."""
        total = m.zeros_like(t)
        for k in range(len(edges) - 1):
            width = float(edges[k + 1] - edges[k])
            inside = m.clip(t - float(edges[k]), 0.0, width)
            here, there = v[names[k]], v[names[k + 1]]
            total = total + inside * (here + 0.5 * (there - here) * inside / width)
        return total + v[names[-1]] * m.clip(t - float(edges[-1]), 0.0, np.inf)

    def rate(t: Any, v: Any, m: Any) -> Any:
        found = v[names[0]] * m.ones_like(t)
        for k in range(len(edges) - 1):
            width = float(edges[k + 1] - edges[k])
            found = found + (v[names[k + 1]] - v[names[k]]) * m.clip(t - float(edges[k]), 0.0, width) / width
        return found

    def gradient(t: Array, v: Values) -> Array:
        return -np.array([integral(t, {**dict.fromkeys(names, 0.0), name: 1.0}, np) for name in names])

    def concave(v: Values) -> bool:
        # F'' = (h' - h^2) exp(-integral): where h rises, it is smallest at the start of the interval.
        h = np.array([v[name] for name in names])
        return bool((np.diff(h) / np.diff(edges) <= h[:-1] ** 2).all())

    return Family(
        name="spline",
        equation=f"F(t) = 1 - exp(-integral of h), h linear between {', '.join(names)} at its knots",
        limits="constant h: exponential; after the last knot h is constant",
        parameters=tuple(
            Parameter(name, "1/cycle", f"rate of covering what is left at cycle {knot:g}", 1e-5, 20.0, (1.0,))
            for name, knot in zip(names, edges, strict=True)
        ),
        log_survival=lambda t, v, m: -integral(t, v, m),
        log_survival_step=lambda t, v, m: -0.5 * (rate(t, v, m) + rate(t - 1.0, v, m)),
        gradient=gradient,
        concave=concave,
        knots=tuple(float(knot) for knot in edges),
    )
