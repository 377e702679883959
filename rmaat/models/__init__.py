"""The models: from tokens to logits, whole or a segment at a time.

    segments      how a batch falls into segments
    memory        how the retention law acts on what links them: a rule is one object
    encoder       from tokens to features: segments that a memory links, or the whole sequence at once
    base          what all models have
    classifier    readouts, heads, and the model that classifies
    language      the model that predicts each next token, and goes on from a prompt
    streaming     sequences that arrive a segment at a time
    diagnostics   what a model at work holds in memory, and what of a sequence reaches its output
    registry      all models by name
    weights       a model's weights as a file

The memory is carried through segments by `rmaat.amrb`, and rows are mixed by `rmaat.attention`.
"""
