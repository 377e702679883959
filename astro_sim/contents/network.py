"""What datasets of the experiment "network" hold."""

from astro_sim.contents.shared import ASTROCYTE, SYNAPSE

PROMISED = {
    "biophysical": {
        "firing_rate": ("population", "window"),
        "C": ("time", "cell"),
        "Gamma_S_mean": ("time",),
        "release_count": (),
    },
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        "population": ("1", "excitatory or inhibitory neurons"),
        "window": ("s", "start of the window"),
        "factor": ("1", "factor on the external current in the window"),
        "firing_rate": ("Hz", "spikes a neuron and second in the window"),
        "interval_variation": ("1", "variation of the inter-spike intervals in the window, mean over neurons"),
        "synchrony": ("1", "chi of the spike counts in the window's bins: 0 asynchronous, 1 together"),
        "Gamma_S_mean": ("1", "fraction of bound presynaptic receptors, mean over excitatory synapses"),
        "release_count": ("1", "releases of gliotransmitter"),
        "spike_time": ("s", "times of the neurons' spikes"),
        "spike_neuron": ("1", "which neuron fired; excitatory ones come first"),
        "release_time": ("s", "times of the releases"),
        "release_cell": ("1", "which astrocyte released"),
        "synapses_covered": ("1", "excitatory synapses under each astrocyte"),
    },
}
