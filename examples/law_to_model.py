"""
From a law to a model
=====================

From an astrocyte to a model that its law shapes, in the Python interface alone.

Simulates the linear and the bounded LTP process, distils a law from each, and shows what the two laws make of the
same untrained model: how much of its output each retention law changes.
"""

import matplotlib.pyplot as plt
import torch

import astro_sim
import bridge
import rmaat


def main() -> None:
    """Print the two laws, their retention factors, and the difference in logits; draw the factors."""
    laws = {
        dynamics: bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3, ltp_dynamics=dynamics)], draws=0)
        for dynamics in ("linear", "bounded")
    }
    for dynamics, law in laws.items():
        factors = ", ".join(f"{factor:.3f}" for factor in law.retention(8))
        print(f"{dynamics:>8}: tau = {law.parameters['tau']:.3f} cycles; RetentionFactor(t, 8) = {factors}")

    config = rmaat.RMAATConfig(vocabulary=257, classes=2, segment_length=32, readout="last")
    tokens = torch.randint(1, 257, (4, 8 * 32), generator=torch.Generator().manual_seed(0))
    logits = {}
    for dynamics, law in laws.items():
        torch.manual_seed(0)  # the same weights for both
        logits[dynamics] = rmaat.build_model("rmaat", config, law)(tokens)
    _, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for dynamics, law in laws.items():
        axes.plot(range(1, 9), law.retention(8), ".-", label=dynamics)
    axes.set(xlabel="segment t", ylabel="RetentionFactor(t, 8)")
    axes.legend()
    print(f"largest difference in logits: {(logits['linear'] - logits['bounded']).abs().max():.4f}")


if __name__ == "__main__":
    main()
