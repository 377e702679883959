"""
Fast calcium depends on where a process lies
============================================

One cycle of input to all neurons. Every astrocyte process hears its own synapse and, through the coupling T, the
others: the nearer, the more. Where all distances are equal, so are all processes.
"""

import matplotlib.pyplot as plt

import astro_sim

dataset = astro_sim.simulate("stp")
p_s = dataset["p_s"]  # (layout, time, post, pre)

# %%
# Nine processes a layout. In the grid the one in the middle has the most near neighbours, so it peaks highest.

peaks = p_s.max("time")
for layout in dataset["layout"].values:
    low, high = (float(value) for value in (peaks.sel(layout=layout).min(), peaks.sel(layout=layout).max()))
    print(f"{layout:>11}: peaks from {low:.4f} to {high:.4f}, spread {(high - low) / high:.1%}")

# %%
# With the gap junctions blocked T is 0, and the layouts no longer differ.

blocked = astro_sim.simulate("stp", knockouts=["gap_junctions"])["p_s"].max("time")
print(f"gap junctions blocked: every peak {float(blocked.min()):.4f} to {float(blocked.max()):.4f}")

# %%
# A panel a layout, a line a process; the input lasts half of the cycle.

figure, panels = plt.subplots(1, dataset.sizes["layout"], figsize=(10, 3), sharey=True, layout="constrained")
for panel, layout in zip(panels, dataset["layout"].values, strict=True):
    panel.plot(dataset["time"], p_s.sel(layout=layout).stack(process=("post", "pre")), linewidth=1)
    panel.set(title=layout, xlabel="time (s)")
panels[0].set_ylabel("p$^s$ (a.u.)")
