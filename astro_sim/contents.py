"""What datasets hold: for every experiment and model the variables it promises, for every variable unit and meaning.

Plain tables, so that whoever reads a dataset needs neither the experiments nor a simulator.
"""

from collections.abc import Mapping

Dimensions = Mapping[str, tuple[str, ...]]

# experiment -> model -> variable -> its dimensions. A dataset may hold more; these it holds, and without NaN.
CONTENTS: dict[str, dict[str, Dimensions]] = {
    "stp": {
        "macro": {
            "p_s": ("layout", "time", "post", "pre"),
            "s": ("layout", "time", "post", "pre"),
            "position": ("layout", "post", "pre", "axis"),
        },
    },
    "ltp": {
        "macro": {"p_l_cycle": ("cycle", "post", "pre"), "p_l": ("time", "post", "pre"), "tau_cycle": ()},
    },
    "spatial": {
        "macro": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre")},
    },
    "frequency": {
        "macro": {"calcium": ("rate", "post", "pre"), "rate": ("rate",)},
    },
}

# name -> (unit, meaning), for every model
COMMON: dict[str, tuple[str, str]] = {
    "time": ("s", "time since the start of the protocol"),
    "cycle": ("1", "number of completed stimulation cycles"),
    "rate": ("Hz", "rate of the stimulus"),
    "tau_cycle": ("s", "length of one stimulation cycle"),
    "axis": ("1", "coordinate axis"),
    "pre": ("1", "index of the presynaptic neuron"),
    "post": ("1", "index of the postsynaptic neuron"),
}

# model -> name -> (unit, meaning)
VARIABLES: dict[str, dict[str, tuple[str, str]]] = {
    "macro": {
        "layout": ("1", "arrangement of the astrocyte processes in space"),
        "x_pre": ("a.u.", "activity of the presynaptic neurons"),
        "x_post": ("a.u.", "activity of the postsynaptic neurons"),
        "s": ("a.u.", "synaptic facilitation"),
        "p_s": ("a.u.", "fast calcium of the astrocyte process (STP)"),
        "p_l": ("a.u.", "slow calcium of the astrocyte process (LTP)"),
        "p_l_cycle": ("a.u.", "slow calcium at the end of each cycle; cycle 0 is the start"),
        "p_s_peak": ("a.u.", "largest fast calcium within the cycle"),
        "calcium": ("a.u.", "calcium proxy: fast calcium averaged over the measuring window"),
        "input_pre": ("a.u.", "input to the presynaptic neurons"),
        "input_post": ("a.u.", "input to the postsynaptic neurons"),
        "position": ("spacing", "position of the astrocyte process"),
        "distance": ("spacing", "distance of the process from the active one"),
    },
}
