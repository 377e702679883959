"""What datasets of the experiment "gliotransmission" hold."""

from astro_sim.contents.shared import EVENTS

_POINT = ("modulation", "U_0_star", "alpha", "rate", "repetition")
PROMISED = {
    "biophysical": {
        "release_rate": _POINT,
        "glio_rate": _POINT,
        "Gamma_S_mean": _POINT,
        "C_mean": _POINT,
        "rate": ("rate",),
    },
}
MEANINGS = {
    "biophysical": {
        **EVENTS,
        "modulation": ("1", "gliotransmission: none, open loop (calcium driven from outside) or closed loop"),
        "U_0_star": ("1", "resting release probability"),
        "alpha": ("1", "release probability with all gliotransmitter receptors bound"),
        "repetition": ("1", "index of the spike train"),
        "r_S_mean": ("1", "share of the transmitter released by a spike, averaged over spikes"),
        "release_rate": ("Hz", "transmitter released a second, in units of all that the terminal can hold"),
        "spike_count": ("1", "presynaptic spikes in the window"),
        "glio_rate": ("Hz", "releases of gliotransmitter a second"),
        "Gamma_S_mean": ("1", "mean fraction of bound presynaptic gliotransmitter receptors"),
        "C_mean": ("uM", "mean cytosolic calcium"),
    },
}
