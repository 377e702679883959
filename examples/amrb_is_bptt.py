"""
AMRB has the gradients of BPTT
==============================

Back-propagation through time (BPTT) keeps what every segment computed. AMRB keeps the memory between segments, and
computes each segment again when its gradient is due. The gradients are the same numbers; the memory is not.
"""

import matplotlib.pyplot as plt
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy

import astro_sim
import bridge
import rmaat

laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)], draws=0)


def step(backward, segments):
    """One training step with dropout: its gradients, and the bytes that wait for the backward pass."""
    config = rmaat.RMAATConfig(
        vocabulary=257, classes=2, width=32, heads=2, segment_length=128, dropout=0.1, backward=backward
    )
    torch.manual_seed(0)
    model = rmaat.build_model("rmaat", config, laws)
    tokens = torch.randint(1, 257, (2, segments * 128), generator=torch.Generator().manual_seed(1))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    waiting = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            waiting[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(2)  # the same dropout masks for both
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(tokens), torch.tensor([0, 1]))
    size = sum(waiting.values())
    loss.backward()
    return [p.grad for p in model.parameters() if p.grad is not None], size


# %%
# Dropout is on: before a segment is computed again its random state is restored, so the masks are the same. Counted is
# what autograd keeps of the forward pass; a segment that AMRB will replay keeps nothing of its inside.

lengths = (1, 2, 4, 8, 16)
held = {"bptt": [], "amrb": []}
for segments in lengths:
    grads = {}
    for backward in held:
        grads[backward], size = step(backward, segments)
        held[backward].append(size / 1e6)
    same = all(torch.equal(a, b) for a, b in zip(grads["bptt"], grads["amrb"], strict=True))
    verdict = "equal to the bit" if same else "different"
    print(f"{segments:2} segments: gradients {verdict}; kept {held['bptt'][-1]:.1f} and {held['amrb'][-1]:.1f} MB")

# %%
# What BPTT keeps grows with the sequence; AMRB keeps the inside of the last segment. (During the backward pass it holds
# the inside of one segment at a time; ``rmaat bench amrb-memory`` measures the peak of a whole step.)

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for backward, sizes in held.items():
    axes.plot(lengths, sizes, ".-", label=backward.upper())
axes.set(xlabel="segments", ylabel="kept for the backward pass (MB)")
axes.legend()
