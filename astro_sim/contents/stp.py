"""What datasets of the experiment "stp" hold."""

from astro_sim.contents.shared import MACRO

PROMISED = {
    "macro": {
        "p_s": ("layout", "time", "post", "pre"),
        "s": ("layout", "time", "post", "pre"),
        "position": ("layout", "post", "pre", "axis"),
    },
}
MEANINGS = {"macro": MACRO}
