"""Repeated stimulation: the slow variable accumulates from cycle to cycle. The bridge reads its law off this curve.

In the macro model p^l, until it saturates if asked; in the biophysical one the efficacy of tripartite synapses, under
cycles of paired spikes or spike pairs at fixed delays (STDP).
"""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import plasticity, process, protocols
from astro_sim.biophysical.engine import Session, on_grid, values
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import (
    CHOSEN,
    MacroSteps,
    PlacedSettings,
    drive,
    indices,
    over,
    position_variable,
    require_different,
    traces,
)
from astro_sim.experiments.variables import ASTROCYTE, EVENTS, MACRO, SYNAPSE
from astro_sim.knockouts import present, refuse
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import Stimulus, square_wave

MOST_CYCLES = 1024


class LtpSettings(PlacedSettings):
    """Cycles of input to every neuron."""

    cycles: int | Literal["saturation"] = quantity(
        6, "1", 'number of cycles, or "saturation": as many as saturation takes', "RMAAT Fig. 1: 6"
    )
    saturation_tolerance: float = quantity(
        0.01, "1", "saturated when a cycle adds less than this share of the largest cycle's", CHOSEN, gt=0, lt=1
    )
    burn_in: int = quantity(
        0,
        "1",
        "cycles before the first, with p^l held at 0, that bring s to its periodic state",
        "ours; RMAAT: 0",
        ge=0,
    )
    tau_cycle: float = quantity(10.0, "s", "length of one cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with input", CHOSEN, gt=0, le=1)
    amplitude: float = quantity(1.0, "a.u.", "mean input to a neuron while on", CHOSEN)
    drive_cv: float = quantity(
        0.1, "1", "variation of the input over neurons, drawn from the seed", CHOSEN, ge=0, le=10
    )
    interval: float = quantity(0.1, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.cycles != "saturation" and not 1 <= self.cycles <= MOST_CYCLES:
            raise ValueError(f'cycles: expected 1 to {MOST_CYCLES} or "saturation", got {self.cycles}')


def run_macro(settings: LtpSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
    """Run the cycles; sample traces every ``interval`` and p^l at every end of a cycle."""
    n = parameters.n
    at = settings.place(n, generator)
    pre, post = drive(settings.amplitude, n, settings.drive_cv, generator)
    model = MacroModel(parameters, at)

    def wave(cycles: int) -> Stimulus:
        return square_wave(cycles, settings.tau_cycle, settings.duty, pre, post)

    start = None
    if settings.burn_in:
        burnt_in = yield MacroRequest(model, wave(settings.burn_in), settings.tau_cycle, hold_ltp=True)
        start = burnt_in.final

    def ends(cycles: int) -> MacroRequest:
        return MacroRequest(model, wave(cycles), settings.tau_cycle, start)

    cycles = settings.cycles
    if cycles == "saturation":
        cycles = 16
        while not _saturated((yield ends(cycles)).state.p_l, settings.saturation_tolerance):
            if cycles >= MOST_CYCLES:
                raise InputError(f"cycles: no saturation within {MOST_CYCLES} cycles; expected a number instead")
            cycles *= 2
    traced = yield MacroRequest(model, wave(cycles), settings.interval, start)
    at_ends = yield ends(cycles)
    return xr.Dataset(
        {
            **traces(traced),
            "p_l_cycle": (("cycle", "post", "pre"), at_ends.state.p_l),
            "position": position_variable(at),
            "tau_cycle": ((), settings.tau_cycle),
        },
        indices(n, time=traced.time, cycle=np.arange(cycles + 1), axis=np.arange(at.shape[-1])),
    )


def _saturated(p_l: np.ndarray, tolerance: float) -> bool:
    # Against the largest step, not the rise: a straight line adds 1 % of its rise in cycle 100 without an end.
    steps = np.abs(np.diff(p_l.mean(axis=(1, 2))))
    return bool(steps[-1] <= tolerance * steps.max())


class PlasticitySettings(Settings):
    """Cycles of Poisson spikes, each followed by a postsynaptic spike, or STDP pairs."""

    protocol: Literal["cycles", "stdp"] = quantity(
        "cycles", "1", "cycles of stimulation, or pairs at fixed delays", "ours"
    )
    glio: Literal["closed", "open", "periodic", "none"] = quantity(
        "closed", "1", "gliotransmission: driven by the synapse, by I_bias, at glio_rate, or none", plasticity.DPB
    )
    glio_rate: float = quantity(0.1, "Hz", "periodic releases of gliotransmitter", plasticity.DPB, gt=0)
    open_bias: float = quantity(1.0, "uM", "I_bias of the open loop", "Stimberg et al. 2019", ge=0)
    synapses: int = quantity(9, "1", "synapses, each with its process and spike train", "RMAAT Fig. 1", ge=1, le=4096)
    repetitions: int = quantity(
        10, "1", "repetitions of all of them, with other trains and noise", CHOSEN, ge=1, le=4096
    )
    cycles: int = quantity(24, "1", "number of cycles", CHOSEN, ge=1, le=1024)
    tau_cycle: float = quantity(20.0, "s", "length of one cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with spikes", CHOSEN, gt=0, le=1)
    pre_rate: float = quantity(1.0, "Hz", "presynaptic rate while on, and of STDP pairs", CHOSEN, gt=0)
    post: Literal["paired", "driven"] = quantity(
        "paired",
        "1",
        "a postsynaptic spike after each presynaptic one, or with a probability that the weight sets",
        "ours",
    )
    post_delay: float = quantity(0.01, "s", "from the presynaptic spike to the postsynaptic one", CHOSEN, ge=0)
    post_gain: float = quantity(1.0, "1", "postsynaptic spike probability a unit of weight times release", CHOSEN, ge=0)
    offsets: tuple[float, ...] = quantity(
        tuple(round(0.01 * k, 3) for k in range(-10, 11) if k),
        "s",
        "post minus pre of STDP pairs",
        CHOSEN,
        min_length=1,
    )
    pairs: int = quantity(60, "1", "STDP pairs", CHOSEN, ge=1, le=100_000)
    interval: float = quantity(1.0, "s", "between samples of the traces", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        require_different(self, "offsets")
        if self.protocol == "stdp" and max(map(abs, self.offsets)) >= 0.5 / self.pre_rate:
            raise ValueError(f"offsets: expected less than half of the time between pairs, {0.5 / self.pre_rate:g} s")
        if self.protocol == "stdp" and self.post == "driven":
            raise ValueError("post: STDP pairs are given, expected 'paired'")


class LtpParameters(process.ProcessParameters, plasticity.PlasticityParameters):
    """Constants of the tripartite unit and of its plasticity."""

    @property
    def has_noise(self) -> bool:
        """Whether h or efficacy is noisy unless it is blocked."""
        return self.noise > 0 or self.sigma > 0

    @property
    def plastic_noise(self) -> bool:
        """Whether efficacy carries noise."""
        return self.sigma > 0 and "noise" not in self.knockouts


def run_biophysical(
    settings: PlasticitySettings, parameters: LtpParameters, generator: np.random.Generator
) -> xr.Dataset:
    """All synapses of all repetitions side by side."""
    if settings.glio == "periodic" and settings.glio_rate * parameters.dt > 1:
        raise InputError(f"glio_rate: expected at most 1/dt = {1 / parameters.dt:g} Hz, got {settings.glio_rate:g} Hz")
    known = present(
        calcium=settings.glio in ("closed", "open"),
        receptors=settings.glio == "closed",
        gliotransmission=settings.glio != "none",
        noise=True,
    )
    refuse(parameters.knockouts, known, f"ltp with glio={settings.glio}")
    return (_cycles if settings.protocol == "cycles" else _stdp)(settings, parameters, generator)


def _cycles(settings: PlasticitySettings, p: LtpParameters, generator: np.random.Generator) -> xr.Dataset:
    cycles, shape = settings.cycles, (settings.repetitions, settings.synapses)
    count, steps = settings.repetitions * settings.synapses, on_grid(settings.tau_cycle, p.dt, "tau_cycle")
    every = on_grid(settings.tau_cycle, settings.interval, "tau_cycle")
    rates, on = np.full(count, settings.pre_rate), settings.duty * settings.tau_cycle
    starts = [cycle * steps * p.dt for cycle in range(cycles)]
    trains = [protocols.poisson_trains(rates, start, start + on, p.dt, generator) for start in starts]
    which, times = (np.concatenate(part) for part in zip(*trains, strict=True))
    post = times + settings.post_delay
    traces, transmission, totals = _simulate(
        settings, p, count, (which, times), post, cycles * settings.tau_cycle, generator
    )
    cycle_of = np.minimum(np.round(transmission["t"] / p.dt).astype(int) // steps, cycles - 1)
    released, spikes = np.zeros((2, cycles, count))
    np.add.at(released, (cycle_of, transmission["i"]), transmission["r_S"])
    np.add.at(spikes, (cycle_of, transmission["i"]), 1.0)
    ends = traces["p_l"][::every][: cycles + 1]
    by_cycle = {"p_l_cycle": ends, "w_cycle": 1 + (p.w_potentiated - 1) * ends}
    time = traces.pop("t")
    events = observables.calcium_events(time, traces["C"], p.C_Theta)
    return xr.Dataset(
        {
            **over(("cycle", "repetition", "synapse"), (-1, *shape), by_cycle),
            **over(("repetition", "synapse"), shape, {"p_l_end": ends[-1]}),
            **over(("time", "repetition", "synapse"), (-1, *shape), traces),
            "r_S_cycle": (("completed",), released.sum(axis=1) / np.maximum(spikes.sum(axis=1), 1.0)),
            **over(("repetition", "synapse"), shape, totals),
            "Gamma_S_cycle": (("completed",), traces["Gamma_S"][1:].reshape(cycles, every, count).mean(axis=(1, 2))),
            **over(("repetition", "synapse"), shape, events.named),
            "tau_cycle": ((), settings.tau_cycle),
        },
        {
            "time": time,
            "cycle": np.arange(cycles + 1),
            "completed": np.arange(1, cycles + 1),
            "repetition": np.arange(settings.repetitions),
            "synapse": np.arange(settings.synapses),
        },
    )


def _stdp(settings: PlasticitySettings, p: LtpParameters, generator: np.random.Generator) -> xr.Dataset:
    shape = (len(settings.offsets), settings.repetitions)
    offset = np.repeat(settings.offsets, settings.repetitions)
    count, gap = len(offset), 1 / settings.pre_rate
    pre = 0.5 * gap + gap * np.arange(settings.pairs)  # so that postsynaptic spikes that come first have room
    which = np.repeat(np.arange(count), settings.pairs)
    duration = float(np.ceil(settings.pairs * gap / settings.interval) * settings.interval)
    post = (offset[:, None] + pre).ravel()
    traces, _, totals = _simulate(settings, p, count, (which, np.tile(pre, count)), post, duration, generator)
    time, end = traces.pop("t"), traces["p_l"][-1]
    change = (1 + (p.w_potentiated - 1) * end) / (1 + (p.w_potentiated - 1) * p.rho_start)
    del traces["C"]
    return xr.Dataset(
        {
            **over(("offset", "repetition"), shape, {"p_l_end": end, "weight_change": change}),
            **over(("time", "offset", "repetition"), (-1, *shape), traces),
            **over(("offset", "repetition"), shape, totals),
        },
        {"time": time, "offset": np.array(settings.offsets), "repetition": np.arange(settings.repetitions)},
    )


def _simulate(
    settings: PlasticitySettings,
    p: LtpParameters,
    count: int,
    pre: tuple[np.ndarray, np.ndarray],
    post_times: np.ndarray,
    duration: float,
    generator: np.random.Generator,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Traces (with "t"), what each spike released, and counts a unit."""
    with Session(p, int(generator.integers(2**31)), duration) as session:
        units = process.build_units(session, p, count, transmission=True)
        process.set_states(units, I_bias=settings.open_bias if settings.glio == "open" else 0.0)
        process.restrict(units, hears=settings.glio == "closed", acts=settings.glio != "none")
        process.connect_spikes(session, session.spikes("stimulus", count, *pre), units)
        if settings.glio == "periodic":
            at, when = protocols.same_for_all(np.arange(0.0, duration - 1e-9, 1 / settings.glio_rate), count)
            process.force_releases(session, session.spikes("periodic_releases", count, at, when), units)
        efficacy = plasticity.build_plasticity(session, p, count, p.plastic_noise)
        slots = plasticity.slots(pre, max(p.D, settings.post_delay), p.dt)
        plasticity.connect_release(session, units, efficacy, p.D, slots)
        driven = None
        if settings.post == "paired":
            plasticity.connect_post(session, session.spikes("postsynaptic", count, pre[0], post_times), efficacy)
        else:
            driven = plasticity.connect_driven(session, units, efficacy, settings.post_delay, settings.post_gain, slots)
        astrocyte = session.record(units, ["C", "Gamma_S"], settings.interval)
        slow = session.record(efficacy, ["rho"], settings.interval)
        transmission = process.record_transmission(session, units)
        releases = session.record_spikes(units)
        session.run(duration, [units, efficacy])
        traces = {"t": slow.t_[:], "p_l": values(slow, "rho", "1")}
        traces |= {"C": values(astrocyte, "C", "uM"), "Gamma_S": values(astrocyte, "Gamma_S", "1")}
        sent = {"t": transmission.t_[:], "i": transmission.i[:], "r_S": transmission.r_S[:]}
        forced = np.ceil(duration * settings.glio_rate - 1e-9) if settings.glio == "periodic" else 0.0
        given = np.bincount(np.asarray(pre[0], dtype=np.int64), minlength=count).astype(float)
        totals = {
            "glio_count": process.count_releases(releases, count, 0.0, duration, p.dt) + forced,
            "post_count": given if driven is None else np.asarray(driven.fired_[:], dtype=float),
        }
        return traces, sent, totals


PRESETS = {
    "depressing": {"Omega_d": 2.0, "Omega_f": 3.33, "U_0_star": 0.6, "alpha": 0.0},
    "facilitating": {"Omega_d": 2.0, "Omega_f": 2.0, "U_0_star": 0.15, "alpha": 1.0},
    "stdp": {"protocol": "stdp", "rho_start": 0.5, "glio": "periodic"},
}
EXPERIMENT = Experiment(
    "cycles of stimulation, until p^l saturates if asked",
    {
        "macro": Variant(LtpSettings, MacroParameters, run_macro),
        "biophysical": Variant(PlasticitySettings, LtpParameters, run_biophysical, presets=PRESETS),
    },
)
PROMISED = {
    "macro": {"p_l_cycle": ("cycle", "post", "pre"), "p_l": ("time", "post", "pre"), "tau_cycle": ()},
    "biophysical": {"repetition": ("repetition",)},  # p_l_cycle too, unless its protocol is STDP
}
MEANINGS = {
    "macro": {**MACRO, "p_l_cycle": ("a.u.", "slow calcium at the end of each cycle; cycle 0 is the start")},
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        **EVENTS,
        "p_l": ("1", "synaptic efficacy rho, the slow variable"),
        "p_l_cycle": ("1", "efficacy rho at the end of each cycle; cycle 0 is the start"),
        "p_l_end": ("1", "efficacy rho at the end"),
        "w_cycle": ("1", "synaptic weight at the end of each cycle, of that at efficacy 0"),
        "r_S_cycle": ("1", "share of the transmitter released by a spike, averaged over a cycle and synapses"),
        "completed": ("1", "number of the cycle that is averaged over"),
        "glio_count": ("1", "releases of gliotransmitter"),
        "post_count": ("1", "postsynaptic spikes"),
        "Gamma_S_cycle": ("1", "fraction of bound presynaptic receptors, averaged over a cycle and synapses"),
        "weight_change": ("1", "synaptic weight at the end over that at the start"),
        "offset": ("s", "postsynaptic minus presynaptic spike time"),
        "synapse": ("1", "index of the synapse"),
        "repetition": ("1", "index of the repetition"),
    },
}
