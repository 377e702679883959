"""What datasets of the experiment "spatial" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS, MACRO, SYNAPSE

PROMISED = {
    "macro": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre")},
    "biophysical": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre"), "C_peak": ("post", "pre")},
}
MEANINGS = {
    "macro": {**MACRO, "p_s_peak": ("a.u.", "largest fast calcium within the cycle")},
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        "position": MACRO["position"],
        "distance": MACRO["distance"],
        "p_s_peak": ("uM", "largest IP3 above rest, which is what reads as p^s: calcium answers all or none"),
        "C_peak": ("uM", "largest cytosolic calcium above rest"),
        "event_count": EVENTS["event_count"],
        "release_count": ("1", "releases of gliotransmitter by the process, from the start of the train"),
    },
}
