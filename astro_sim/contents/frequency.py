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
        "event_rate": ("Hz", "upward crossings of the event level a second"),
    },
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "calcium": ("uM", "cytosolic calcium averaged over the measuring window"),
        "calcium_peak": ("uM", "largest cytosolic calcium in the measuring window"),
        "repetition": ("1", "index of the spike train"),
    },
}
