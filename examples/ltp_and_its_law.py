"""
A slow curve and its law
========================

Cycles of stimulation move the slow calcium p^l of an astrocyte process step by step towards saturation. The bridge fits
that curve, and the law is what the curve adds in each cycle, over all that it adds.
"""

import matplotlib.pyplot as plt
import numpy as np

import astro_sim
import bridge

# %%
# The linear process is a filter: its increments fall by exp(-tau_cycle gamma_l / tau_p_l) a cycle, whatever the neurons
# do. In the bounded one the drive is kappa(s) (1 - p^l), and more activity makes it faster.

curves = {
    f"{dynamics}, input {amplitude}": astro_sim.simulate(
        "ltp", cycles=24, burn_in=3, ltp_dynamics=dynamics, amplitude=amplitude
    )
    for dynamics in ("linear", "bounded")
    for amplitude in (0.5, 2.0)
}
laws = {name: bridge.fit_laws([dataset], draws=0) for name, dataset in curves.items()}

# %%
# The time constants say it in one number: 60 s / 10 s = 6 cycles for both linear curves.

for name, law in laws.items():
    print(f"{name}: {law.family.name}, " + ", ".join(f"{p} = {v:.3f}" for p, v in law.parameters.items()))

# %%
# On the left the curves at cycle ends (dots) and their fits; on the right RetentionFactor(t, 16), what a memory keeps
# of each of 16 segments.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for name, law in laws.items():
    fitted = law.document.retention
    cycles = np.arange(1, fitted.fitted_cycles + 1)
    (line,) = left.plot(cycles, fitted.start + fitted.amplitude.value * law.family.level(cycles, law.parameters))
    left.plot(cycles, fitted.samples, ".", color=line.get_color(), label=name)
    right.plot(np.arange(1, 17), law.retention(16), ".-", color=line.get_color())
left.set(xlabel="cycle", ylabel="p$^l$ at the end of the cycle (a.u.)")
right.set(xlabel="segment t", ylabel="RetentionFactor(t, 16)")
left.legend(fontsize="small")
