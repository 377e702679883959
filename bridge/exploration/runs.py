"""Running the ltp experiment at many points of the parameters, for `bridge.sensitivity` and `bridge.match`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.units import carries_unit, number_in
from astro_sim.dataset import settings_of
from astro_sim.sweeps import run_points
from bridge.curves import Curve, read_curve

Array = NDArray[np.float64]
Ranges = Mapping[str, tuple[float, float]]

# What a law may depend on, and by how much either way it is varied unless ranges are given (chosen).
EXPLORED: dict[str, tuple[float, tuple[str, ...]]] = {
    "macro": (
        1.5,
        ("tau_cycle", "duty", "amplitude", "tau_s", "beta", "tau_p_s", "gamma_s", "tau_p_l", "gamma_l", "coupling"),
    ),
    "biophysical": (
        1.25,
        ("tau_cycle", "duty", "pre_rate", "G_T", "U_0_star", "Omega_d", "C_pre", "C_post", "sigma", "tau_rho"),
    ),
}
SAMPLES = 10  # a cycle: the law is in its end, but the biophysical model takes whole steps of 1 ms between few
# The macro model's LTP process is bounded here: the law of the linear one is known in closed form.
SETTINGS: dict[str, dict[str, Any]] = {
    "macro": {"tau_cycle": 10.0, "cycles": 24, "burn_in": 3, "ltp_dynamics": "bounded"},
    "biophysical": {"tau_cycle": 20.0, "cycles": 24, "repetitions": 10},
}
CLOSED_FORM = (
    "the law of the linear macro model is exponential with tau = tau_p_l / (gamma_l tau_cycle) cycles in closed form: "
    "it depends on nothing else"
)


def start(model: str, settings: Mapping[str, Any], seed: int, workers: int | None) -> tuple[dict[str, Any], xr.Dataset]:
    """What every point shares, and the run that the points are varied from.

    Raises
    ------
    InputError
        Another model, the linear macro model, or settings that do not run.
    """
    if model not in EXPLORED:
        raise InputError(f"unknown model {model!r} of ltp; {did_you_mean(model, EXPLORED)}")
    shared = {**SETTINGS[model], **settings}
    shared |= _sampled(_seconds(shared["tau_cycle"]))
    if model == "macro" and shared["ltp_dynamics"] == "linear":
        raise InputError(f"ltp_dynamics: {CLOSED_FORM}; expected bounded")
    (reference,) = run_points("ltp", [shared], model, seed, workers)
    if isinstance(reference, str):
        raise InputError(reference)
    return shared, reference


def complete(model: str, reference: xr.Dataset, ranges: Ranges | None) -> dict[str, tuple[float, float]]:
    """The ranges that were given, or the usual ones around the reference.

    Raises
    ------
    InputError
        A name that is no number of the experiment, or ends that are not positive and ascending.
    """
    known = {
        name: float(value)
        for name, value in settings_of(reference).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    if ranges is None:
        factor, names = EXPLORED[model]
        ranges = {name: (known[name] / factor, known[name] * factor) for name in names}
    if not ranges:
        raise InputError("ranges: expected one parameter at least")
    for name, ends in ranges.items():
        if name not in known:
            raise InputError(f"unknown parameter {name!r} to vary; {did_you_mean(name, known)}")
        if len(ends) != 2 or not (0 < ends[0] < ends[1] < np.inf):
            raise InputError(f"{name}: expected a range of positive numbers, low before high, got {tuple(ends)}")
    return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}


def points(ranges: Ranges, logs: Array) -> list[dict[str, float]]:
    """Parameter sets, from rows of natural logarithms in the order of the ranges."""
    sets = [dict(zip(ranges, map(float, row), strict=True)) for row in np.exp(logs)]
    return [each | _sampled(each["tau_cycle"]) if "tau_cycle" in each else each for each in sets]


def _seconds(value: Any) -> float:
    try:
        return number_in(value, "s") if carries_unit(value) else float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"tau_cycle: {error}") from None


def _sampled(tau_cycle: float) -> dict[str, float]:
    """A cycle of about this length that is a whole number of samples, and those of the biophysical model's steps."""
    interval = round(tau_cycle / SAMPLES, 3)
    return {"interval": interval, "tau_cycle": SAMPLES * interval}


def run(
    model: str, shared: Mapping[str, Any], sets: Sequence[Mapping[str, float]], seed: int, workers: int | None
) -> list[xr.Dataset | str]:
    """The ltp experiment at every parameter set; of one that failed, the message."""
    return run_points("ltp", [{**shared, **each} for each in sets], model, seed, workers)


def curve_of(dataset: xr.Dataset | str) -> Curve | str:
    """The curve of a run, or why there is none."""
    if isinstance(dataset, str):
        return dataset
    try:
        return read_curve(dataset)
    except InputError as error:
        return str(error)


def named(model: str, settings: Mapping[str, Any]) -> str:
    """The model of a simulation, and its LTP dynamics where it has a choice: the laws of the two differ."""
    return ", ".join([model, *([str(settings["ltp_dynamics"])] if "ltp_dynamics" in settings else [])])


def parse_ranges(pairs: Sequence[str]) -> dict[str, tuple[float, float]] | None:
    """Read ``NAME=LOW:HIGH`` words; None if there are none."""
    ranges: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            low, high = map(float, text.split(":"))
        except ValueError:
            raise InputError(f"--range {pair!r}: expected NAME=LOW:HIGH") from None
        if name.strip() in ranges:
            raise InputError(f"--range {name.strip()}: given twice")
        ranges[name.strip()] = (low, high)
    return ranges or None
