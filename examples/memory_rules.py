"""
What a memory rule lets through
===============================

Three rules say what becomes of the memory between segments. Multiplying it by factors that sum to 1 ("scale") takes
away of segment 1 what all later factors take; blending ("consolidate") keeps RetentionFactor(1, T) of it.
"""

import matplotlib.pyplot as plt
import torch

import astro_sim
import bridge
import rmaat
from rmaat.models.diagnostics import direct_weight, segment_influence

laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)], draws=0)
segments, length = 8, 16
tokens = torch.randint(1, 32, (8, segments * length), generator=torch.Generator().manual_seed(0))

# %%
# The same untrained weights under each rule, with a head that reads the memory alone. The influence of a segment is the
# norm of the derivative of the logits in its tokens. Training changes it; this is where training starts.

influence = {}
for rule in ("scale", "consolidate", "none"):
    config = rmaat.RMAATConfig(
        vocabulary=32, classes=4, width=32, heads=2, segment_length=length, memory_tokens=4, readout="memory",
        memory_rule=rule,
    )  # fmt: skip
    torch.manual_seed(0)
    model = rmaat.build_model("rmaat", config, laws)
    influence[rule] = segment_influence(model, tokens).square().mean(0).sqrt()
    share = float(influence[rule][0] / influence[rule][-1])
    print(f"{rule:>11}: the first segment moves the output {share:.1e} times as much as the last; ", end="")
    print(f"the rule alone leaves {direct_weight(model, segments):.1e} of it")

# %%
# The factors of "scale" sum to 1, so the product over 8 segments is small, and normalisation inside the blocks decides
# what of it is felt. Which rule learns to remember is measured by ``rmaat bench recall``.

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for rule, values in influence.items():
    axes.semilogy(range(1, segments + 1), values / values[-1], ".-", label=rule)
axes.set(xlabel="segment", ylabel="influence on the logits,\nof the last segment's")
axes.legend()
