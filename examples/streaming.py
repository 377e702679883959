"""
A stream in constant memory
===========================

A model that recurs can take a sequence as it comes, a segment at a time. What it holds between two segments does not
grow, and at every length it says what the call on the whole sequence says.
"""

import matplotlib.pyplot as plt
import torch

import astro_sim
import bridge
import rmaat

laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)], draws=0)
config = rmaat.RMAATConfig(vocabulary=257, classes=2, width=32, heads=2, segment_length=64, readout="last")
torch.manual_seed(0)
model = rmaat.build_model("rmaat", config, laws).eval()
segments = 24
tokens = torch.randint(1, 257, (1, segments * config.segment_length), generator=torch.Generator().manual_seed(1))

# %%
# The rule is "consolidate", RMAAT's default: its factors need the past alone, so nobody has to know where the stream
# will end.

stream = rmaat.Stream(model)
held, whole, apart = [], [], []
with torch.no_grad():
    for t in range(1, segments + 1):
        stream.push(tokens[:, (t - 1) * config.segment_length : t * config.segment_length])
        held.append(sum(part.numel() * part.element_size() for part in stream.state_dict().values()))
        so_far = tokens[:, : t * config.segment_length]
        whole.append(so_far.numel() * so_far.element_size())
        apart.append(float((stream.logits() - model(so_far)).abs().max()))
print(f"held after 1 segment: {held[0]:,} bytes; after {segments}: {held[-1]:,} bytes")
print(f"largest difference from the call on the whole sequence: {max(apart):.0e}")

# %%
# Under an exponential law the blend delta_t / F(t) falls like exp(-t / tau): an endless stream takes in less and less,
# until it is reset.

factors = laws.online(segments)
print(f"share of segment {segments} that enters the memory: {factors[-1]:.4f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(range(1, segments + 1), whole, label="the token ids so far")
left.plot(range(1, segments + 1), held, label="the stream")
left.set(xlabel="segments", ylabel="bytes")
left.legend()
right.semilogy(range(1, segments + 1), factors, ".-")
right.set(xlabel="segment", ylabel="share that enters the memory")
