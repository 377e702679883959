"""Which examples a step sees: a pure function of seed and step, so that a resumed run goes on exactly."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmaat.tasks.data_folder import Split

Batch = tuple[Tensor, Tensor, Tensor]  # tokens, lengths, labels
POOL = 32  # batches that are shuffled and sorted by length together


class Batches:
    """Shuffled batches of like lengths.

    Each epoch shuffles the examples, cuts them into pools, sorts each pool by length, and visits the batches of the
    epoch in random order. Examples that do not fill a batch sit the epoch out; others do so in the next.

    Parameters
    ----------
    lengths : array, (examples,)
    size : int
        Examples a batch; at most all of them.
    seed : int
    """

    def __init__(self, lengths: NDArray[np.int64], size: int, seed: int) -> None:
        self.lengths, self.seed = np.asarray(lengths), seed
        self.size = min(size, len(self.lengths))
        self.per_epoch = len(self.lengths) // self.size
        self._order = lru_cache(maxsize=1)(self._shuffled)

    def at(self, step: int) -> NDArray[np.int64]:
        """Indices of the examples of a step (from 0)."""
        epoch, place = divmod(step, self.per_epoch)
        return self._order(epoch)[place]

    def _shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.lengths))[: self.per_epoch * self.size]
        batches = []
        for start in range(0, len(order), POOL * self.size):
            pool = order[start : start + POOL * self.size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.size] for i in range(0, len(pool), self.size)]
        return [batches[i] for i in generator.permutation(len(batches))]


def tensors(split: Split, indices: NDArray[np.int64]) -> Batch:
    """Tokens, lengths and labels of some examples, on the CPU."""
    tokens, lengths, labels = (torch.from_numpy(array) for array in split.batch(indices))
    return tokens, lengths, labels


def placed(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device, which need not have it yet when this returns."""
    tokens, lengths, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
    return tokens, lengths, labels
