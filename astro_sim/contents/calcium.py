"""What datasets of the experiment "calcium" hold."""

from astro_sim.contents.shared import ASTROCYTE, EVENTS

PROMISED = {"biophysical": {"level": ("level",)}}
_LEVEL = "level of the stimulus: "
# Variable -> the setting that decides what it is, and its unit and meaning by the values of that setting
BY_SETTING = {
    "level": (
        "stimulus",
        {
            "spikes": ("Hz", _LEVEL + "rate of presynaptic spikes"),
            "clamp": ("uM", _LEVEL + "IP3, held"),
            "puff": ("uM", _LEVEL + "agonist"),
            "uncaging": ("uM", _LEVEL + "IP3 set free"),
            "drive": ("uM", _LEVEL + "I_bias, IP3 outside that drives an exchange"),
            "inflow": ("uM/s", _LEVEL + "inflow of IP3"),
            "scan": ("uM", _LEVEL + "IP3, held"),
        },
    )
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "level": ("1", "level of the stimulus, in the unit that the stimulus has"),
        "direction": ("1", "whether the scan went up or down the levels"),
        "calcium_mean": ("uM", "mean cytosolic calcium after the transient"),
        "calcium_peak": ("uM", "largest cytosolic calcium after the transient"),
        "glio_count": ("1", "releases of gliotransmitter after the transient"),
        "amplitude": ("uM", "swing of calcium, peak less trough, in the last quarter of a level"),
        "calcium_low": ("uM", "lowest calcium in the last quarter of a level"),
        "calcium_high": ("uM", "highest calcium in the last quarter of a level"),
        "period": ("s", "period of sustained oscillation"),
        "oscillates": ("1", "1 where oscillation is sustained"),
        "oscillation_from": ("uM", "lowest level with sustained oscillation"),
        "oscillation_to": ("uM", "highest level with sustained oscillation"),
    },
}
