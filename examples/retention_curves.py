"""
One law, many lengths
=====================

A law gives a factor for every segment of a sequence of any length T. Factors sum to 1. Beyond the cycles that were
simulated they rest on the family of the law alone.
"""

import matplotlib.pyplot as plt
import numpy as np

import astro_sim
import bridge

laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=12, burn_in=3)], draws=0)
totals = (2, 4, 8, 16, 32)

# %%
# For the exponential law with q = exp(-1/tau) the factors have a closed form, (1 - q) q^(t-1) / (1 - q^T).

q = np.exp(-1.0 / laws.parameters["tau"])
for total in totals:
    factors = laws.retention(total)
    t = np.arange(1, total + 1)
    error = np.abs(factors - (1 - q) * q ** (t - 1) / (1 - q**total)).max()
    beyond = "extrapolated" if laws.extrapolates(total) else "within the simulated cycles"
    print(f"T = {total:2}: first {factors[0]:.4f}, last {factors[-1]:.4f}, off the closed form {error:.0e}, {beyond}")

# %%
# The online factor delta_t / F(t) needs no T: it is RetentionFactor(t, t).

online = laws.online(32)
apart = max(abs(online[total - 1] - laws.retention(total)[-1]) for total in totals)
print(f"online factors against RetentionFactor(t, t): {apart:.0e}")

# %%
# Left: factors for each T. Right: laws that differ on purpose, to find out whether the simulated one matters.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for total in totals:
    left.semilogy(np.arange(1, total + 1), laws.retention(total), ".-", label=f"T = {total}")
left.axvline(laws.fitted_cycles, color="0.6", linestyle=":", label="simulated cycles")
left.set(xlabel="segment t", ylabel="RetentionFactor(t, T)")
right.plot(np.arange(1, 17), laws.retention(16), "k.-", label="fitted")
for kind in ("flat", "reversed", "faster", "slower"):
    right.plot(np.arange(1, 17), laws.perturbed(kind).retention(16), ".-", label=kind)
right.set(xlabel="segment t", ylabel="RetentionFactor(t, 16)")
left.legend(fontsize="small")
right.legend(fontsize="small")
