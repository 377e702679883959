"""What datasets of the experiment "frequency" hold."""

from astro_sim.contents.shared import MACRO

PROMISED = {"macro": {"calcium": ("rate", "post", "pre"), "rate": ("rate",)}}
MEANINGS = {
    "macro": {**MACRO, "calcium": ("a.u.", "calcium proxy: fast calcium averaged over the measuring window")},
}
