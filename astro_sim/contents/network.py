"""What datasets of the experiment "network" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS, SYNAPSE

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
        **EVENTS,
        "population": ("1", "excitatory or inhibitory neurons"),
        "window": ("s", "start of the window"),
        "factor": ("1", "factor on the external current in the window"),
        "firing_rate": ("Hz", "spikes a neuron and second in the window"),
        "local_variation": ("1", "CV2 of the inter-spike intervals in the whole run, mean over neurons; 1: Poisson"),
        "local_variation_neurons": ("1", "neurons with five intervals or more, which that mean is over"),
        "synchrony": (
            "1",
            "chi of the spike counts in the window's bins: 1 together, 1/sqrt(neurons) if independent",
        ),
        "Gamma_S_mean": ("1", "fraction of bound presynaptic receptors, mean over excitatory synapses"),
        "Gamma_S_window": ("1", "mean of Gamma_S_mean over the window"),
        "releases_window": ("1", "releases of gliotransmitter in the window"),
        "release_count": ("1", "releases of gliotransmitter"),
        "spike_time": ("s", "times of the neurons' spikes"),
        "spike_neuron": ("1", "which neuron fired; excitatory ones come first"),
        "release_time": ("s", "times of the releases"),
        "release_cell": ("1", "which astrocyte released"),
        "synapses_covered": ("1", "excitatory synapses under each astrocyte"),
    },
}
