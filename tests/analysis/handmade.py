"""Small datasets of every biophysical experiment, by hand, with values that are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.dataset import describe

TIME = np.linspace(0.0, 20.0, 201)
POINT = ("modulation", "U_0_star", "alpha", "rate", "repetition")


def made(experiment: str, variables: Mapping[str, Any], coords: Mapping[str, Any], **settings: Any) -> xr.Dataset:
    """A dataset by hand, held against the schema."""
    model = "macro" if experiment == "associative" else "biophysical"
    return describe(xr.Dataset(dict(variables), dict(coords)), experiment, model, 0, settings)


def calcium() -> xr.Dataset:
    level = np.array([0.2, 0.5])
    trace = 0.1 + level * np.abs(np.sin(TIME))[:, None]
    events = {f"event_{name}": ("level", np.array([3.0, np.nan])) for name in ("count", "interval", "variation")}
    return made(
        "calcium",
        {
            "C": (("time", "level"), trace),
            "h": (("time", "level"), trace),
            "calcium_peak": ("level", trace.max(0)),
            **events,
        },
        {"time": TIME, "level": level},
        stimulus="spikes",
        onset=2.0,
    )


def scan() -> xr.Dataset:
    shape, swing = ("direction", "level"), np.array([[0.0, 0.3, 0.4, 0.0], [0.2, 0.3, 0.4, 0.0]])
    return made(
        "calcium",
        {
            "amplitude": (shape, swing),
            "calcium_low": (shape, np.full((2, 4), 0.1)),
            "calcium_high": (shape, 0.1 + swing),
            "period": (shape, np.where(swing > 0, 10.0, np.nan)),
            "oscillates": (shape, (swing > 0).astype("i1")),
            "oscillation_from": ("direction", [0.4, 0.3]),
            "oscillation_to": ("direction", [0.5, 0.5]),
        },
        {"direction": ["up", "down"], "level": [0.3, 0.4, 0.5, 0.6]},
        stimulus="scan",
    )


def gliotransmission(stars: tuple[float, ...] = (0.5,), alphas: tuple[float, ...] = (0.0,)) -> xr.Dataset:
    """Half of the receptors bound: a spike releases U_0* without, and (U_0* + alpha) / 2 with gliotransmission."""
    u, alpha, bound = np.array(stars)[:, None], np.array(alphas)[None], np.array([0.0, 0.5])[:, None, None]
    released = ((1 - bound) * u + bound * alpha)[..., None, None] * np.ones((1, 1, 1, 3, 2))
    rate = np.array([1.0, 2.0, 4.0])
    flat = {name: (POINT, np.full(released.shape, 0.25)) for name in ("glio_rate", "Gamma_S_mean", "C_mean")}
    return made(
        "gliotransmission",
        {"r_S_mean": (POINT, released), "release_rate": (POINT, released * rate[:, None]), **flat},
        {
            "modulation": ["none", "open"],
            "U_0_star": list(stars),
            "alpha": list(alphas),
            "rate": rate,
            "repetition": [0, 1],
        },
    )


def ltp(curve: Any = (0.0, 0.4, 0.6, 0.7)) -> xr.Dataset:
    """Twenty-one synapses around the curve, evenly spread by 0.1 either way."""
    curve = np.array(curve)
    efficacy = curve[:, None, None] + np.linspace(-0.1, 0.1, 21) * (np.arange(len(curve)) > 0)[:, None, None]
    whole = np.broadcast_to(np.linspace(0, 0.7, len(TIME))[:, None, None], (len(TIME), 1, 21))
    cycle, each = np.arange(len(curve)), ("time", "repetition", "synapse")
    return made(
        "ltp",
        {
            "p_l_cycle": (("cycle", *each[1:]), efficacy),
            "r_S_cycle": ("completed", 0.5 / cycle[1:]),
            "Gamma_S": (each, whole),
            "glio_count": (each[1:], np.full((1, 21), 6.0)),
            "tau_cycle": ((), 5.0),
        },
        {"cycle": cycle, "completed": cycle[1:], "repetition": [0], "synapse": np.arange(21), "time": TIME},
    )


def noisy_ltp(noise: str, cycles: int = 24, tau: float = 6.0, seed: int = 0) -> xr.Dataset:
    """An exponential curve of 21 synapses that each err by 5 %: in every sample, or in every step between them."""
    t = np.arange(cycles + 1)
    errors = 0.05 * np.random.default_rng(seed).standard_normal((cycles + 1, 1, 21))
    errors[0] = 0.0
    if noise == "dynamics":
        for at in t[1:]:
            errors[at] += np.exp(-1 / tau) * errors[at - 1]
    data = ltp(1 - np.exp(-t / tau))
    data["p_l_cycle"].values[:] = 1 - np.exp(-t / tau)[:, None, None] + errors
    return data


def stdp() -> xr.Dataset:
    change, dims = np.array([[0.9, 0.8], [1.2, 1.4]]), ("offset", "repetition")
    return made(
        "ltp", {"weight_change": (dims, change)}, {"offset": [-0.01, 0.02], "repetition": [0, 1]}, protocol="stdp"
    )


def waves(graph: str = "ring") -> xr.Dataset:
    hops = np.abs(np.arange(11.0) - 5)
    onset = np.where(hops < 4, 1 + 2 * hops, np.nan)
    calcium_ = np.where(TIME[:, None] > np.nan_to_num(onset, nan=1e9), 1.0, 0.1)
    return made(
        "waves",
        {
            "C": (("time", "cell"), calcium_),
            "I": (("time", "cell"), calcium_),
            "hops": ("cell", hops),
            "onset": ("cell", onset),
            "recruited": ("cell", (hops < 4).astype(float)),
            "reach": ((), 6.0),
            "speed": ((), 0.5),
            "event_latency": ("cell", onset),
        },
        {"time": TIME, "cell": np.arange(11)},
        graph=graph,
    )


def an() -> xr.Dataset:
    """Synapses 0 to 2 of neuron 1 fail at 10 s; the others release twice as much from then on."""
    one, late = np.ones((1, len(TIME))), TIME >= 10.0
    PR = np.full((1, len(TIME), 2, 4), 0.2)
    PR[:, late, 1, 3] = 0.4
    PR[:, late, 1, :3] = 0.0
    period = ("period", "unit", "neuron")
    rate = np.array([[[10.0, 12.0]], [[10.0, 6.0]]])
    cells = dict.fromkeys(("C", "I", "h", "Glu", "eSP"), (("unit", "time"), one))
    return made(
        "an",
        {
            **cells,
            "spike_rate": (("unit", "bin", "neuron"), np.full((1, 20, 2), 10.0)),
            "spike_rate_period": (period, rate),
            "spikes": (period, 10 * rate),
            "cv_isi": (period, np.full((2, 1, 2), np.nan)),
            "recovery": (("unit", "neuron"), [[1.0, 0.5]]),
            "AG": (("unit", "time", "neuron"), np.zeros((1, len(TIME), 2))),
            "DSE": (("unit", "time", "neuron"), np.zeros((1, len(TIME), 2))),
            "PR": (("unit", "time", "neuron", "synapse"), PR),
            "releases": (("period", "unit", "neuron", "synapse"), np.ones((2, 1, 2, 4))),
            "eSP_period": (("period", "unit"), [[80.0], [120.0]]),
            "gliotransmitter_releases": (("period", "unit"), [[3.0], [4.0]]),
        },
        {
            "unit": [0],
            "neuron": [0, 1],
            "synapse": np.arange(4),
            "period": ["healthy", "failed"],
            "time": TIME,
            "bin": np.arange(20.0),
        },
        failure_time=10.0,
        failed=3,
    )


def network(spikes: int = 900) -> xr.Dataset:
    generator = np.random.default_rng(0)
    at = np.sort(generator.uniform(0, 20, spikes))
    return made(
        "network",
        {
            "firing_rate": (("population", "window"), [[5.0, 7.0], [2.0, 3.0]]),
            "synchrony": (("population", "window"), [[0.1, np.nan], [0.2, 0.3]]),
            "factor": ("window", [1.0, 1.2]),
            "C": (("time", "cell"), np.ones((len(TIME), 3))),
            "Gamma_S_mean": ("time", np.zeros(len(TIME))),
            "release_count": ((), 0.0),
            "spike_time": ("event", at),
            "spike_neuron": ("event", generator.integers(0, 50, spikes)),
            "release_time": ("release", np.empty(0)),
        },
        {"population": ["excitatory", "inhibitory"], "window": [0.0, 10.0], "time": TIME, "cell": [0, 1, 2]},
        excitatory=40,
        window=10.0,
    )


def spatial() -> xr.Dataset:
    at = np.abs(np.arange(-2, 3))
    distance = np.hypot(at[:, None], at[None])
    peak = 2 * np.exp(-distance)
    peak[0, 0] = 0.0
    dims = ("post", "pre")
    return made("spatial", {"p_s_peak": (dims, peak), "C_peak": (dims, peak / 2), "distance": (dims, distance)},
                {"post": np.arange(5), "pre": np.arange(5)})  # fmt: skip


def frequency() -> xr.Dataset:
    rate, dims = np.array([1.0, 10.0, 50.0]), ("rate", "repetition")
    mean = 0.1 * np.sqrt(rate)[:, None] * [0.9, 1.1]
    variables = {"calcium": (dims, mean), "calcium_peak": (dims, 2 * mean), "event_rate": (dims, mean)}
    return made("frequency", variables, {"rate": rate, "repetition": [0, 1]})


MAKERS = {
    "calcium": calcium,
    "scan": scan,
    "gliotransmission": gliotransmission,
    "maps": lambda: gliotransmission((0.2, 0.4, 0.8), (0.0, 0.4)),
    "ltp": ltp,
    "stdp": stdp,
    "waves": waves,
    "an": an,
    "network": network,
    "spatial": spatial,
    "frequency": frequency,
}
