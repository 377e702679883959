"""What datasets of the experiment "spatial" hold."""

from astro_sim.contents.shared import MACRO

PROMISED = {"macro": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre")}}
MEANINGS = {"macro": {**MACRO, "p_s_peak": ("a.u.", "largest fast calcium within the cycle")}}
