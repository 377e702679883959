"""What datasets of the experiment "waves" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS

PROMISED = {
    "biophysical": {"C": ("time", "cell"), "I": ("time", "cell"), "recruited": ("cell",), "reach": ()},
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "hops": ("1", "gap junctions between the cell and the driven one"),
        "distance": ("um", "distance of the cell from the driven one"),
        "onset": ("s", "first upward crossing of the calcium threshold"),
        "recruited": ("1", "1 where calcium crossed the threshold"),
        "reach": ("1", "cells that the wave reached, the driven one not counted"),
        "speed": ("1/s", "speed of the front, cells a second: median of pairwise slopes of onset against hops"),
        "speed_um": ("um/s", "speed of the front: median of pairwise slopes of onset against distance"),
    },
}
