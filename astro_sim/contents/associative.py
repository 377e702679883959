"""What datasets of the experiment "associative" hold."""

PROMISED = {
    "macro": {
        "overlap": ("patterns", "corruption", "cue"),
        "overlap_cue": ("corruption",),
        "energy": ("patterns", "corruption", "cue", "time"),
    },
}
MEANINGS = {
    "macro": {
        "patterns": ("1", "number of stored patterns"),
        "corruption": ("1", "share of the signs that the cue flips"),
        "cue": ("1", "index of the cue"),
        "overlap": ("1", "mean product of the signs recalled and those stored; 1 is perfect recall"),
        "overlap_cue": ("1", "mean product of the signs of the cue and those stored"),
        "energy": ("a.u.", "energy of neurons, synapses and processes"),
    },
}
