"""What datasets of the experiment "ltp" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS, MACRO, SYNAPSE

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
