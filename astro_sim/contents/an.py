"""What datasets of the experiment "an" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS

_CELL, _NEURON = ("unit", "time"), ("unit", "time", "neuron")
PROMISED = {
    "biophysical": {
        "spike_rate": ("unit", "bin", "neuron"),
        "spike_rate_period": ("period", "unit", "neuron"),
        "spikes": ("period", "unit", "neuron"),
        "AG": _NEURON,
        "DSE": _NEURON,
        "PR": ("unit", "time", "neuron", "synapse"),
        "releases": ("period", "unit", "neuron", "synapse"),
        "C": _CELL,
        "I": _CELL,
        "h": _CELL,
        "Glu": _CELL,
        "eSP": _CELL,
        "eSP_period": ("period", "unit"),
    },
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "unit": ("1", "index of the independent repetition: an astrocyte with its neurons"),
        "neuron": ("1", "index of the neuron that shares the astrocyte; synapses of the last one fail"),
        "synapse": ("1", "index of the synapse on its neuron; the first ones fail"),
        "period": ("1", "healthy: before synapses fail; failed: after"),
        "bin": ("s", "start of the bin in which spikes are counted"),
        "spike_rate": ("Hz", "rate of postsynaptic spikes in a bin"),
        "spike_rate_period": ("Hz", "rate of postsynaptic spikes in the measuring window at the end of each period"),
        "spikes": ("1", "number of postsynaptic spikes in all of the period"),
        "cv_isi": (
            "1",
            "coefficient of variation of inter-spike intervals in the measuring window; NaN below 3 spikes",
        ),
        "recovery": ("1", "recovery index: rate of spikes at the end of the run, divided by that before the failure"),
        "AG": ("uM", "2-AG of the postsynaptic neuron"),
        "DSE": ("percent", "depolarisation-induced suppression of excitation"),
        "PR": ("1", "release probability of the synapse"),
        "PR_gain": (
            "1",
            "mean PR of the synapses that do not fail, at the end of the run divided by before the failure",
        ),
        "releases": ("1", "releases of transmitter in all of the period (with mean transmission, the sum of PR)"),
        "Glu": ("uM", "glutamate that the astrocyte released"),
        "eSP": ("percent", "potentiation by the astrocyte's glutamate"),
        "eSP_period": ("percent", "e-SP averaged over the measuring window at the end of each period"),
        "gliotransmitter_releases": (
            "1",
            "releases by the astrocyte in all of the period; NaN where release is a rate",
        ),
    },
}
