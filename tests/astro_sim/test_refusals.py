"""What experiments refuse beyond the bounds of single fields (those: tests/test_settings.py), in one line."""

import pytest

import astro_sim
from astro_sim import experiments
from astro_sim.common.errors import InputError
from astro_sim.experiments import NAMES, Experiment

NINE = [[0.0, 0.0]] * 8
LINEAR = {"psi": "linear", "strength": 3.0, "dt": 0.01, "duration": 20.0, "patterns": [1], "n": 4, "cues": 1}
STDP = {"protocol": "stdp"}
REFUSED = {
    "ltp": [
        ({"preset": "nothing"}, "preset: unknown 'nothing'; this experiment and model have none"),
        ({"knockouts": "calcium"}, "knockouts: expected a list, as in [\"calcium\"], got 'calcium'"),
        ({"knockouts": ["sleep"]}, "knockouts.0: expected 'calcium', 'receptors', "),
        ({"knockouts": ["noise"]}, "knockouts: the macro model has no noise to block; expected some of calcium,"),
        ({"cycels": 6}, "unknown setting 'cycels'; did you mean 'cycles'?"),
        ({"rates": [1.0]}, "unknown setting 'rates'; "),
        ({"layout": "rign"}, "unknown layout 'rign'; did you mean 'ring'?"),
        ({"dt": 1.0}, "dt: expected at most 0.109 s, where the solver turns unstable, got 1 s"),
        ({"seed": -1}, "seed: expected a whole number from 0, got -1"),
        ({"seed": 1.0}, "seed: expected a whole number from 0, got 1.0"),
        ({"seed": True}, "seed: expected a whole number from 0, got True"),
        ({"seed": "7"}, "seed: expected a whole number from 0, got '7'"),
        ({"tau_n": -1.0, "beta": -2.0}, "tau_n: expected greater than 0 (s), got -1.0; beta: expected greater than or"),
        ({"cycles": 0}, 'cycles: expected 1 to 1024 or "saturation", got 0'),
        ({"cycles": 1025}, 'cycles: expected 1 to 1024 or "saturation", got 1025'),
        ({"cycles": "saturated"}, "cycles: expected a valid integer or 'saturation', got 'saturated'"),
        ({"positions": NINE}, "positions: expected 9 rows of coordinates for n = 3, got shape (8, 2)"),
        ({"positions": []}, "positions: expected 9 rows of coordinates for n = 3"),
        ({"positions": [[]] * 9}, "positions: expected 9 rows of coordinates for n = 3"),
        ({"positions": [*NINE, [1.0]]}, "positions: expected the same number of coordinates in every row"),
        ({"positions": [[0.0, float("inf")], *NINE]}, "positions.0.1: expected a finite number, got inf"),
        ({"positions": [[0.0, "left"], *NINE]}, "positions.0.1: expected a valid number, got 'left'"),
        # 1,024 cycles are a tenth of this time constant: each adds a thousandth of the rise so far
        ({"cycles": "saturation", "tau_p_l": 1e5, "dt": 0.05, "n": 1, "interval": 10.0},
         "cycles: no saturation within 1024 cycles"),
    ],
    "stp": [({"layouts": ["grid", "line", "grid"]}, "layouts: expected different ones, got grid, line, grid")],
    "frequency": [
        ({"rates": [1.0, 2.0, 60.0]}, "rates: expected different ones above 0 and up to 1/width = 50 Hz, got (1.0, "),
        ({"rates": [0.0, 1.0, 2.0]}, "rates: expected different ones above 0"),
        ({"rates": [1.0, 1.0, 2.0]}, "rates: expected different ones"),
        ({"rates": [1.0, 2.0]}, "rates: expected at least 3 items, not 2 (Hz)"),
        ({"rates": [1.0, 2.0, float("nan")]}, "rates.2: expected a finite number, got nan"),
        ({"window": 0.5}, "window: expected at least one period at 1 Hz, got 0.5 s"),
    ],
    "associative": [
        ({"patterns": [0]}, "patterns: expected different numbers from 1 to 10000, got (0,)"),
        ({"patterns": [2, 2]}, "patterns: expected different numbers"),
        ({"corruption": [1.5]}, "corruption: expected different shares from 0 to 1, got (1.5,)"),
        ({"interval": 20.0}, "interval: expected 1 to 1e5 within 10 s, got 20 s"),
        ({"dt": 1.0}, "dt: expected at most 0.0"),
        (LINEAR, "the energy left the finite numbers with 1 patterns"),  # p alone grows at (3 strength - 1)/tau_p
    ],
    "stp biophysical": [
        ({"intervals": [0.0004]}, "intervals: expected spikes at least a step of dt = 0.001 s apart"),
        ({"protocol": "tetanus", "tetanus_rate": 2000.0}, "tetanus_rate: expected spikes at least a step"),
        ({"protocol": "theta_burst", "burst_spikes": 30}, "burst_rate: expected bursts that end before the next"),
        ({"knockouts": ["receptors"]}, "knockouts: stp with modulation none, weak, strong has no receptors to block"),
        ({"modulations": ["none"], "knockouts": ["gliotransmission"]}, "knockouts: stp with modulation none has no"),
    ],
    "ltp biophysical": [
        ({"glio": "periodic", "glio_rate": 2000.0}, "glio_rate: expected at most 1/dt = 1000 Hz, got 2000 Hz"),
        ({"glio": "periodic", "knockouts": ["calcium"]}, "knockouts: ltp with glio=periodic has no calcium to block"),
        ({"glio": "open", "knockouts": ["receptors"]}, "knockouts: ltp with glio=open has no receptors to block"),
        ({"glio": "none", "knockouts": ["gliotransmission"]}, "knockouts: ltp with glio=none has no gliotransmission"),
        ({"sigma": 0.0, "knockouts": ["noise"]}, "knockouts: there is no noise to block; expected noise above 0"),
        ({**STDP, "offsets": [0.6]}, "offsets: expected less than half of the time between pairs, 0.5 s"),
        ({**STDP, "post": "driven"}, "post: STDP pairs are given, expected 'paired'"),
        ({"offsets": [0.01, 0.01]}, "offsets: expected different ones"),
        ({"tau_cycle": 4.0005}, "tau_cycle: expected a whole number of steps of dt = 0.001 s, got 4.0005 s"),
        ({"tau_cycle": 4.5}, "tau_cycle: expected a whole number of steps of dt = 1 s"),
        ({"pre_rate": 5000.0}, "rate: expected at most 1/dt = 1000 Hz, got 5000 Hz"),
    ],
    "spatial biophysical": [
        ({"positions": [[0.0]] * 8, "n": 3}, "positions: expected 9 rows of coordinates for n = 3, got shape (8, 1)"),
        ({"layout": "rign"}, "unknown layout 'rign'; did you mean 'ring'?"),
        ({"active": 0.33}, "active: expected a whole number of steps of dt = 0.05 s, got 0.33 s"),
        ({"kinetics": "li_rinzel"}, "kinetics: expected chi or g_chi, got li_rinzel"),
        ({"dt": 0.05}, "dt: expected at most"),
    ],
    "frequency biophysical": [
        ({"rates": [0.0, 1.0, 2.0]}, "rates: expected"),
        ({"rates": [1.0, 1.0, 2.0]}, "rates: expected"),
        ({"rates": [1.0, 2.0]}, "rates: expected at least 3 items"),
    ],
    "calcium": [
        ({"stimulus": "clamp"}, "kinetics: the stimulus 'clamp' needs li_rinzel, got 'g_chi'"),
        ({"preset": "fm", "stimulus": "drive"},
         "stimulus: drive has no effect where F_ex is 0, as the preset 'fm' has it; expected inflow"),
        ({"stimulus": "puff", "kinetics": "chi"}, "kinetics: the stimulus 'puff' needs g_chi, got 'chi'"),
        ({"preset": "lirinzel"}, "preset: unknown 'lirinzel'; did you mean 'li_rinzel'?"),
        ({"levels": [0.5, 0.5]}, "levels: expected different ones, got (0.5, 0.5)"),
        ({"levels": [-0.5]}, "levels: expected levels from 0, got -0.5"),
        ({"preset": "scan", "levels": [0.3, 0.5, 0.4]}, "levels: expected at least three ascending ones for a scan"),
        ({"offset": 1.0}, "offset: expected a time from onset to duration, got 1 s"),
        ({"knockouts": ["gap_junctions"]}, "knockouts: a tripartite unit has no gap_junctions to block; expected some"),
        ({"dt": 0.02}, "dt: expected at most 0.0"),
        ({"threads": 2}, "threads: expected 0 unless target is cpp_standalone, got 2"),
        ({"duration": 1e9}, "dt: 1e+12 steps; expected at most 1e+09"),
        ({"duration": 9e5, "interval": 0.001}, "interval: "),
        ({"dt": 0.5, "interval": 0.5}, "dt: expected at most 0.0"),
    ],
    "gliotransmission": [
        ({"modulations": ["open"], "knockouts": ["receptors"]}, "knockouts: gliotransmission with modulation open has"),
        ({"window": 1e-9}, "interval: expected at most half of the window, 5e-10 s, got 0.1"),
        ({"rates": [1.0, 1.0]}, "rates: expected different ones, got (1.0, 1.0)"),
        ({"rates": [0.0, 1.0]}, "rates: expected rates above 0 Hz, got 0"),
        ({"rates": [1.0, 2000.0]}, "rate: expected at most 1/dt = 1000 Hz, got 2000 Hz"),
        ({"U_0_stars": [1.5]}, "U_0_stars: expected probabilities from 0 to 1, got (1.5,)"),
        ({"modulations": ["half"]}, "modulations.0: expected 'none', 'open' or 'closed', got 'half'"),
        ({"preset": "swich"}, "preset: unknown 'swich'; did you mean 'switch'"),
    ],
    "waves": [
        ({"cells": 15, "edges": [[0, 20]]}, "edges: edge 0-20 names cell 20; expected 0 to 14"),
        ({"cells": 15, "driven": 15}, "driven: expected 0 to 14, got 15"),
        ({"pulse": 60.0}, "pulse: expected at most the period, 50 s, got 60"),
        ({"duration": 100.0, "interval": 60.0}, "interval: expected at most half the duration, 50 s, got 60"),
        ({"knockouts": ["receptors"]}, "knockouts: a network of astrocytes without synapses has no receptors to block"),
        ({"dt": 0.2}, "dt: expected at most 0.147 s, where the solver turns unstable"),
    ],
    "an": [
        ({"failed": 11}, "failed: expected at most synapses = 10, got 11"),
        ({"duration": 4.0, "failure_time": 4.0}, "failure_time: expected below duration = 4 s, got 4 s"),
        ({"duration": 4.0, "failure_time": 2.0, "healthy_window": 3.0}, "healthy_window: expected at most 2 s"),
        ({"duration": 40.0, "failure_time": 20.0, "healthy_window": 9.0, "failed_window": 30.0},
         "failed_window: expected at most 20 s, got 30 s"),
        ({"rate": 2000.0}, "rate: expected at most 1/dt = 1000 Hz, got 2000 Hz"),
        ({"transmission": "mean"}, "transmission: expected stochastic where one release fires the neuron (133 mV"),
        ({"noise": 0.1}, "noise: expected less than or equal to 0"),
        ({"interval": 0.0105}, "interval: expected a whole number of steps of dt"),
        ({"tau_ref": 2.5}, "tau_ref: expected a whole number of steps of dt = 0.001 s, got 0.0025 s"),
        ({"preset": "open"}, "preset: unknown 'open'; did you mean 'open_loop'"),
        ({"knockouts": ["gap_junctions"]}, "knockouts: the AN model has no gap_junctions to block"),
        ({"knockouts": ["noise"]}, "knockouts: the AN model has no noise to block"),
    ],
    "network": [
        ({"astrocytes": 36, "edges": [[0, 36]]}, "edges: edge 0-36 names cell 36; expected 0 to 35"),
        ({"astrocytes": 36, "edges": [[3, 3]]}, "edges: edge 3-3 joins a cell to itself"),
        ({"window": 0.10005}, "window: expected a whole number of steps of dt = 0.0001 s, got 0.10005 s"),
        ({"interval": 0.0125}, "interval: expected a whole number of steps"),
        ({"astrocyte_dt": 0.00015}, "astrocyte_dt: expected a whole number of steps of dt"),
        ({"window": 0.1, "interval": 0.01, "bin": 0.05}, "bin: expected at most a tenth of the window, 0.01 s"),
        ({"V_r": -40.0}, "V_r: expected below V_th = -50 mV, got -40"),
        ({"tau_slow_rise": 700.0}, "tau_slow_rise: expected below tau_slow_decay = 600 ms, got 700"),
        ({"kinetics": "li_rinzel"}, "kinetics: expected chi or g_chi"),
        ({"factors": []}, "factors: expected at least 1 item"),
        ({"preset": "nine_synapse"}, "preset: unknown 'nine_synapse'; did you mean 'nine_synapses'?"),
    ],
}  # fmt: skip
# Refused when the network is built
LATE = [
    ("calcium", {"interval": 0.0015}, "interval: expected a whole number of steps of dt = 0.001 s, got 0.0015 s"),
    ("waves", {"interval": 0.03}, "interval: expected a whole number of steps of dt = 0.025 s, got 0.03 s"),
]


@pytest.mark.parametrize(
    ("experiment", "settings", "message"),
    [(experiment, *row) for experiment, rows in REFUSED.items() for row in rows]
    + [pytest.param(*row, marks=pytest.mark.biology) for row in LATE],
)
def test_an_experiment_refuses_in_one_line(experiment, settings, message):
    with pytest.raises(InputError) as caught:
        astro_sim.simulate(*experiment.split(), **settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("ltq",), "unknown experiment 'ltq'; did you mean 'ltp'?"),
        (("sleep",), f"unknown experiment 'sleep'; known: {', '.join(sorted(NAMES))}"),
        ((experiments,), "experiment: expected a name (stp, ltp, "),
        ((Experiment("ours", {}),), "experiment: expected a name (stp, ltp, "),
        (("ltp", "makro"), "unknown model 'makro' for the experiment 'ltp'; did you mean 'macro'?"),
        (("ltp", 3), "model: expected a name (macro, biophysical), got int"),
    ],
)
def test_an_experiment_and_a_model_are_names(call, message):
    with pytest.raises(InputError) as caught:
        astro_sim.simulate(*call)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
