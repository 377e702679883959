"""What datasets of the experiment "stp" hold."""

from astro_sim.contents.shared import ASTROCYTE, MACRO, SYNAPSE

PROMISED = {
    "macro": {
        "p_s": ("layout", "time", "post", "pre"),
        "s": ("layout", "time", "post", "pre"),
        "position": ("layout", "post", "pre", "axis"),
    },
    "biophysical": {
        "r_S": ("modulation", "train", "spike"),
        "spike_time": ("train", "spike"),
        "paired_pulse_ratio": ("modulation", "train"),
        "Gamma_S_test": ("modulation", "train"),
    },
}
MEANINGS = {
    "macro": MACRO,
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        "modulation": ("1", "gliotransmission: none, driven from outside (weak, strong) or by the synapse (closed)"),
        "train": ("1", "index of the train of test spikes"),
        "spike_time": ("s", "times of the test spikes"),
        "paired_pulse_ratio": ("1", "release of the second test spike over that of the first"),
        "Gamma_S_test": ("1", "fraction of bound presynaptic receptors at the first test spike"),
        "glio_count": ("1", "releases of gliotransmitter before the test"),
    },
}
