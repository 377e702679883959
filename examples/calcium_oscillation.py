"""
Where calcium begins to oscillate
=================================

An astrocyte whose IP3 is held at a level: Li and Rinzel's two equations, with their classic constants. Calcium rests at
low and at high IP3 and oscillates between, from 0.3545 to 0.638 uM. Brian2 compiles the model on its first run.
"""

import math

import matplotlib.pyplot as plt

import astro_sim

levels = (0.30, 0.40, 0.50, 0.60, 0.70)
dataset = astro_sim.simulate(
    "calcium", "biophysical", preset="li_rinzel", levels=levels, duration=150.0, transient=80.0
)

# %%
# Swing and period after a transient of 80 s. At 0.5 uM the swing is 0.108 to 0.445 uM, the period 11.49 s.

late = dataset["C"].sel(time=slice(80.0, None))
for level in levels:
    calcium = late.sel(level=level)
    period = float(dataset["event_interval"].sel(level=level))
    swing = f"{float(calcium.min()):.3f} to {float(calcium.max()):.3f} uM"
    print(
        f"IP3 {level:.2f} uM: calcium {swing}, " + (f"period {period:.2f} s" if math.isfinite(period) else "no cycles")
    )

# %%
# The same cells over time. At 0.7 uM what is left of the swing dies away: slow damping is not oscillation.

figure, panels = plt.subplots(len(levels), 1, figsize=(8, 6), sharex=True, sharey=True, layout="constrained")
for panel, level in zip(panels, levels, strict=True):
    panel.plot(dataset["time"], dataset["C"].sel(level=level), linewidth=1)
    panel.set_ylabel(f"C (uM)\nIP3 {level:.2f}")
panels[-1].set_xlabel("time (s)")
