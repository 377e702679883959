"""Variables that several experiments share: name -> (unit, meaning)."""

from collections.abc import Mapping

Dimensions = Mapping[str, tuple[str, ...]]
Meanings = Mapping[str, tuple[str, str]]

# Of every experiment and model
COMMON: Meanings = {
    "time": ("s", "time since the start of the protocol"),
    "cycle": ("1", "number of completed stimulation cycles"),
    "rate": ("Hz", "rate of the stimulus"),
    "tau_cycle": ("s", "length of one stimulation cycle"),
    "axis": ("1", "coordinate axis"),
    "pre": ("1", "index of the presynaptic neuron"),
    "post": ("1", "index of the postsynaptic neuron"),
    "cell": ("1", "index of the astrocyte or astrocyte process"),
    "unit": ("1", "index of the independent repetition: an astrocyte process with its synapse"),
    "spike": ("1", "index of the presynaptic spike"),
}

# Of the macro model
MACRO: Meanings = {
    "layout": ("1", "arrangement of the astrocyte processes in space"),
    "x_pre": ("a.u.", "activity of the presynaptic neurons"),
    "x_post": ("a.u.", "activity of the postsynaptic neurons"),
    "s": ("a.u.", "synaptic facilitation"),
    "p_s": ("a.u.", "fast calcium of the astrocyte process (STP)"),
    "p_l": ("a.u.", "slow calcium of the astrocyte process (LTP)"),
    "input_pre": ("a.u.", "input to the presynaptic neurons"),
    "input_post": ("a.u.", "input to the postsynaptic neurons"),
    "position": ("spacing", "position of the astrocyte process"),
    "distance": ("spacing", "distance of the process from the active one"),
}

# Of the biophysical models: states of the astrocyte and of its synapse
ASTROCYTE: Meanings = {
    "C": ("uM", "cytosolic calcium"),
    "I": ("uM", "IP3"),
    "h": ("1", "fraction of IP3 receptors that calcium has not inactivated"),
    "Gamma_A": ("1", "fraction of bound astrocytic receptors"),
}
SYNAPSE: Meanings = {
    "u_S": ("1", "share of the available transmitter that the next spike releases"),
    "x_S": ("1", "available presynaptic transmitter"),
    "r_S": ("1", "share of the transmitter that a spike released"),
    "Y_S": ("uM", "transmitter in the synaptic cleft"),
    "Gamma_S": ("1", "fraction of bound presynaptic gliotransmitter receptors"),
    "G_A": ("uM", "gliotransmitter around the synapse"),
    "x_A": ("1", "available gliotransmitter"),
}

# Calcium events (astro_sim.observables)
EVENTS: Meanings = {
    "event_count": ("1", "calcium events: upward crossings of the threshold"),
    "event_rate": ("Hz", "calcium events a second"),
    "event_latency": ("s", "from the onset of the stimulus to the first calcium event after it"),
    "event_peak": ("uM", "mean peak of the calcium events"),
    "event_amplitude": ("uM", "mean height of the peaks above the lowest calcium since the event before"),
    "event_duration": ("s", "mean time above the threshold"),
    "event_interval": ("s", "mean time between calcium events"),
    "event_variation": ("1", "standard deviation of those times over their mean"),
    "event_above": ("1", "share of the time above the threshold"),
}
