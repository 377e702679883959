"""How long a step of an explicit solver may be: its stability on the negative real axis."""

from collections.abc import Mapping

from astro_sim.common.errors import InputError

# method -> largest stable product of step and rate of decay; 2.785 for classical Runge-Kutta
REAL_LIMITS = {"rk4": 2.78, "rk2": 2.0, "euler": 2.0}


def require_stable(dt: float, rates: Mapping[str, float], method: str, name: str = "dt") -> None:
    """Raise `InputError` when a step is beyond the bound that the fastest decay sets.

    Parameters
    ----------
    dt : float
        s.
    rates : mapping
        What decays -> its rate, 1/s.
    method : {"rk4", "rk2", "euler"}
    name : str
        Of the setting that holds the step.
    """
    fastest = max(rates, key=rates.__getitem__)
    longest = REAL_LIMITS[method] / rates[fastest] if rates[fastest] > 0 else float("inf")
    if dt > longest:
        raise InputError(
            f"{name}: expected at most {longest:.3g} s, where the solver turns unstable ({fastest}), got {dt:g} s"
        )
