"""What datasets of the experiment "frequency" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS, MACRO

PROMISED = {
    "macro": {"calcium": ("rate", "post", "pre"), "rate": ("rate",)},
    "biophysical": {"calcium": ("rate", "repetition"), "calcium_peak": ("rate", "repetition"), "rate": ("rate",)},
}
MEANINGS = {
    "macro": {
        **MACRO,
        "calcium": ("a.u.", "calcium proxy: fast calcium averaged over the measuring window"),
        "calcium_peak": ("a.u.", "largest fast calcium in the measuring window"),
        "event_rate": ("Hz", "upward crossings of half of the swing of fast calcium a second, where it swings enough"),
    },
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "calcium": ("uM", "cytosolic calcium averaged over the measuring window"),
        "calcium_peak": ("uM", "largest cytosolic calcium in the measuring window"),
        "glio_rate": ("Hz", "releases of gliotransmitter a second"),
        "Gamma_S_mean": ("1", "mean fraction of bound presynaptic gliotransmitter receptors"),
        "r_S_mean": ("1", "share of the transmitter released by a spike, averaged over spikes"),
        "repetition": ("1", "index of the spike train"),
    },
}
