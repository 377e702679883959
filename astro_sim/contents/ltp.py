"""What datasets of the experiment "ltp" hold."""

from astro_sim.contents.shared import MACRO

PROMISED = {
    "macro": {"p_l_cycle": ("cycle", "post", "pre"), "p_l": ("time", "post", "pre"), "tau_cycle": ()},
}
MEANINGS = {
    "macro": {**MACRO, "p_l_cycle": ("a.u.", "slow calcium at the end of each cycle; cycle 0 is the start")},
}
