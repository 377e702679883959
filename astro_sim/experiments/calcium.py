"""Calcium dynamics of one astrocyte: spikes, IP3 clamp, agonist puff, uncaging, drive, and a scan for bifurcations."""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import process, protocols
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, on_grid, values
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, over, require_different
from astro_sim.experiments.variables import ASTROCYTE, EVENTS
from astro_sim.knockouts import present, refuse

# The kinetics that can hear a stimulus; what its levels are stands with the setting.
HEARD_BY = {
    **dict.fromkeys(("clamp", "scan"), ("li_rinzel",)),
    **dict.fromkeys(("spikes", "puff"), ("g_chi",)),
    **dict.fromkeys(("uncaging", "drive", "inflow"), ("chi", "g_chi")),
}
SHRINKS = 0.98  # swing of a quarter over that of the quarter before, below which it is a transient


class CalciumSettings(Settings):
    """A stimulus at several levels, one cell a level; in a scan one level after another."""

    stimulus: Literal["spikes", "clamp", "puff", "uncaging", "drive", "inflow", "scan"] = quantity(
        "spikes",
        "1",
        "spikes (Hz); clamp or scan of IP3, puff of agonist, uncaging, drive by I_bias (uM); inflow of IP3 (uM/s)",
        "ours",
    )
    levels: tuple[float, ...] = quantity((0.5,), "1", "levels of the stimulus, in the unit it has", SGBD, min_length=1)
    onset: float = quantity(2.0, "s", "start of the stimulus (first spike, puff, uncaging, drive)", SGBD, ge=0)
    offset: float | None = quantity(None, "s", "end of puff, drive or inflow; none: the end of the run", "ours")
    duration: float = quantity(30.0, "s", "length of the run; in a scan of each level", SGBD, gt=0)
    C_start: float = quantity(0.0, "uM", "calcium at the start", SGBD, ge=0)
    I_start: float = quantity(0.0, "uM", "IP3 at the start", SGBD, ge=0)
    h_start: float = quantity(0.9, "1", "h at the start", SGBD, ge=0, le=1)
    transient: float = quantity(0.0, "s", "left out of mean, peak and events", CHOSEN, ge=0)
    C_event: float = quantity(0.5, "uM", "calcium above which an event is counted", "C_Theta of release", gt=0)
    kick: float = quantity(
        0.01, "1", "share by which calcium is raised as a level of a scan begins", CHOSEN, ge=0, lt=1
    )
    sustained: float = quantity(0.02, "uM", "least swing of calcium that counts as oscillation in a scan", CHOSEN, gt=0)
    interval: float = quantity(0.01, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        require_different(self, "levels")
        if min(self.levels) < 0:
            raise ValueError(f"levels: expected levels from 0, got {min(self.levels):g}")
        if self.stimulus != "scan" and not self.transient < self.duration:
            raise ValueError(f"transient: expected less than duration, got {self.transient:g} s")
        if self.stimulus != "scan" and not self.interval <= (self.duration - self.transient) / 2:
            raise ValueError(f"interval: expected at most half of the time that is measured, got {self.interval:g} s")
        if self.offset is not None and not self.onset < self.offset <= self.duration:
            raise ValueError(f"offset: expected a time from onset to duration, got {self.offset:g} s")
        if self.stimulus == "scan" and (len(self.levels) < 3 or list(self.levels) != sorted(self.levels)):
            raise ValueError("levels: expected at least three ascending ones for a scan")


def run(settings: CalciumSettings, parameters: process.ProcessParameters, generator: np.random.Generator) -> xr.Dataset:
    """One cell a level, or the scan."""
    kinetics = HEARD_BY[settings.stimulus]
    if parameters.kinetics not in kinetics:
        raise InputError(
            f"kinetics: the stimulus {settings.stimulus!r} needs {' or '.join(kinetics)}, got {parameters.kinetics!r}"
        )
    if settings.stimulus == "drive" and parameters.F_ex == 0:
        by = "" if parameters.preset is None else f", as the preset {parameters.preset!r} has it"
        raise InputError(f"stimulus: drive has no effect where F_ex is 0{by}; expected inflow, or F_ex above 0")
    if settings.C_start > parameters.C_T:
        raise InputError(f"C_start: expected at most C_T = {parameters.C_T:g} uM, got {settings.C_start:g} uM")
    known = present(calcium=True, receptors=parameters.kinetics == "g_chi", noise=True)
    refuse(parameters.knockouts, known, f"calcium with {parameters.kinetics} kinetics")
    seed = int(generator.integers(2**31))
    if settings.stimulus == "scan":
        return _scan(settings, parameters, seed)
    p, count = parameters, len(settings.levels)
    level = np.array(settings.levels)
    with Session(p, seed, settings.duration) as session:
        if p.kinetics == "g_chi":
            cells = process.build_units(session, p, count, _transmitter(settings, p))
        else:
            cells = process.build_cells(session, p, count)
        start = {"C": settings.C_start, "h": settings.h_start, "I": settings.I_start}
        process.set_states(cells, **{**start, **({"I": level} if settings.stimulus == "clamp" else {})})
        _stimulate(session, cells, settings, level)
        names = ["C", "h", *present(I=p.kinetics != "li_rinzel", Gamma_A=p.kinetics == "g_chi")]
        traces = session.record(cells, names, settings.interval)
        releases = session.record_spikes(cells) if p.kinetics == "g_chi" else None
        session.run(settings.duration, [cells])
        time = traces.t_[:]
        recorded = {name: values(traces, name, "uM" if name in "CI" else "1") for name in names}
        glio = {}
        if releases is not None:
            glio["glio_count"] = process.count_releases(releases, count, settings.transient, settings.duration, p.dt)
    events = observables.calcium_events(time, recorded["C"], settings.C_event, settings.transient, settings.onset)
    after = recorded["C"][time >= settings.transient - 1e-9]
    late = {"calcium_mean": after.mean(axis=0), "calcium_peak": after.max(axis=0)}
    return xr.Dataset(
        {**over(("time", "level"), (-1, count), recorded), **over(("level",), (-1,), {**late, **glio, **events.named})},
        {"time": time, "level": level},
    )


def _transmitter(settings: CalciumSettings, p: process.ProcessParameters) -> float:
    """Most transmitter (uM) that the receptors meet, for the stability bound: it builds up under fast spikes."""
    if settings.stimulus == "puff":
        return max(settings.levels)
    if settings.stimulus == "spikes" and p.Omega_c > 0:
        return 1e3 * p.rho_c * p.Y_T / -np.expm1(-p.Omega_c / max(*settings.levels, 1e-9))
    return 1e3 * p.rho_c * p.Y_T


def _stimulate(session: Session, cells: object, settings: CalciumSettings, level: np.ndarray) -> None:
    """Let the stimulus reach the cells; everything happens on the grid, between two steps."""
    end = settings.offset if settings.offset is not None else settings.duration
    if settings.stimulus == "spikes":
        trains = protocols.regular_trains(level, settings.onset, settings.duration)
        source = session.spikes("stimulus", len(level), *trains)
        process.connect_spikes(session, source, cells, full_vesicle=True)
    elif settings.stimulus != "clamp":
        name = {"puff": "Y_ext", "uncaging": "I", "drive": "I_bias", "inflow": "J_in"}[settings.stimulus]
        lasts = settings.stimulus != "uncaging" and end < settings.duration
        process.add_at(session, cells, name, [(settings.onset, level), *([(end, -level)] if lasts else [])])


def _scan(settings: CalciumSettings, parameters: process.ProcessParameters, seed: int) -> xr.Dataset:
    """Two cells, one led up the levels and one down; each level starts where the one before ended."""
    p, level = parameters, np.array(settings.levels)
    quarter, rest = divmod(on_grid(settings.duration, settings.interval, "duration"), 4)
    if rest:
        raise InputError("interval: expected a fourth of a scan's duration to be a whole number of intervals")
    with Session(p, seed, settings.duration * len(level)) as session:
        cells = process.build_cells(session, p, 2)
        process.set_states(cells, C=settings.C_start, h=settings.h_start)
        process.hold_levels(session, cells, np.stack([level, level[::-1]], axis=1), settings.duration, settings.kick)
        traces = session.record(cells, ["C"], settings.interval)
        session.run(settings.duration * len(level), [cells])
        time, calcium = traces.t_[:], values(traces, "C", "uM")
    shape = (2, len(level))
    swing, low, high = np.empty((3, *shape))
    period, oscillates = np.full(shape, np.nan), np.empty(shape, dtype=bool)
    for direction, place in np.ndindex(shape):
        at = place if direction == 0 else len(level) - 1 - place
        end = 4 * quarter * (place + 1)
        third, last = (calcium[end - n * quarter : end - (n - 1) * quarter, direction] for n in (2, 1))
        low[direction, at], high[direction, at], swing[direction, at] = last.min(), last.max(), np.ptp(last)
        # What still shrinks is a transient, however large and slow.
        oscillates[direction, at] = np.ptp(last) >= max(settings.sustained, SHRINKS * np.ptp(third))
        if oscillates[direction, at]:
            both = slice(end - 2 * quarter, end)
            starts, _ = observables.crossings(time[both], calcium[both, direction], 0.5 * (last.min() + last.max()))
            period[direction, at] = np.diff(starts).mean() if len(starts) > 1 else np.nan
    measured = {"amplitude": swing, "calcium_low": low, "calcium_high": high, "period": period}
    oscillating = [level[there] if there.any() else np.array([np.nan]) for there in oscillates]
    return xr.Dataset(
        {
            **over(("direction", "level"), shape, {**measured, "oscillates": oscillates.astype(np.int8)}),
            "oscillation_from": (("direction",), [levels.min() for levels in oscillating]),
            "oscillation_to": (("direction",), [levels.max() for levels in oscillating]),
        },
        {"direction": ["up", "down"], "level": level},
    )


# No external drive (F_ex 0): a constant inflow of IP3 is the stimulus that both modes encode.
INFLOW = {"stimulus": "inflow", "onset": 0.0, "transient": 100.0, "F_ex": 0.0, "dt": 0.01, "interval": 0.02}
PRESETS = {
    "g_chi": process.G_CHI,
    "li_rinzel": {
        **process.LI_RINZEL, "stimulus": "clamp", "levels": (0.3, 0.4, 0.5, 0.6, 0.7), "duration": 300.0,
        "transient": 200.0, "onset": 0.0, "C_event": 0.3, "C_start": 0.1, "dt": 0.01,
    },
    "scan": {
        **process.LI_RINZEL, "stimulus": "scan", "levels": tuple(round(0.30 + 0.01 * k, 3) for k in range(41)),
        "duration": 400.0, "interval": 0.1, "dt": 0.02, "C_start": 0.1,
    },
    "am": {**process.AM, **INFLOW, "levels": (0.01, 0.02, 0.04, 0.08), "duration": 300.0, "C_event": 0.25},
    "fm": {**process.FM, **INFLOW, "levels": (0.02, 0.04, 0.08, 0.15), "duration": 400.0},
}  # fmt: skip
EXPERIMENT = Experiment(
    "calcium of one astrocyte under spikes, IP3 clamp, puff, uncaging, drive; bifurcation scan",
    {"biophysical": Variant(CalciumSettings, process.ProcessParameters, run, process.G_CHI, PRESETS)},
)
PROMISED = {"biophysical": {"level": ("level",)}}
_LEVEL = "level of the stimulus: "
# Variable -> the setting that decides what it is, and its unit and meaning by the values of that setting
BY_SETTING = {
    "level": (
        "stimulus",
        {
            "spikes": ("Hz", _LEVEL + "rate of presynaptic spikes"),
            "clamp": ("uM", _LEVEL + "IP3, held"),
            "puff": ("uM", _LEVEL + "agonist"),
            "uncaging": ("uM", _LEVEL + "IP3 set free"),
            "drive": ("uM", _LEVEL + "I_bias, IP3 outside that drives an exchange"),
            "inflow": ("uM/s", _LEVEL + "inflow of IP3"),
            "scan": ("uM", _LEVEL + "IP3, held"),
        },
    )
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "level": ("1", "level of the stimulus, in the unit that the stimulus has"),
        "direction": ("1", "whether the scan went up or down the levels"),
        "calcium_mean": ("uM", "mean cytosolic calcium after the transient"),
        "calcium_peak": ("uM", "largest cytosolic calcium after the transient"),
        "glio_count": ("1", "releases of gliotransmitter after the transient"),
        "amplitude": ("uM", "swing of calcium, peak less trough, in the last quarter of a level"),
        "calcium_low": ("uM", "lowest calcium in the last quarter of a level"),
        "calcium_high": ("uM", "highest calcium in the last quarter of a level"),
        "period": ("s", "period of sustained oscillation"),
        "oscillates": ("1", "1 where oscillation is sustained"),
        "oscillation_from": ("uM", "lowest level with sustained oscillation"),
        "oscillation_to": ("uM", "highest level with sustained oscillation"),
    }
}
