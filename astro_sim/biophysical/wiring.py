"""Who is connected to whom in a network of neurons and astrocytes: index arrays, drawn once, before any simulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysical import astrocytes
from astro_sim.common.errors import InputError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
MOST_SYNAPSES = 50_000_000


@dataclass(frozen=True)
class Wiring:
    """A network, as indices."""

    excitatory: int  # neurons; these come first
    inhibitory: int
    sources: int  # where excitatory synapses begin: excitatory neurons, or as many spike trains
    to_sites: Indices  # (excitatory synapses, 2): source, site
    to_neurons: Indices  # (inhibitory synapses, 2): inhibitory neuron counted from the first one, neuron
    neuron_at: Indices  # (sites,): on which neuron a site lies
    astrocyte_at: Indices  # (sites,): under which astrocyte
    graph: astrocytes.Graph  # gap junctions

    @property
    def synapses_at(self) -> Indices:
        """Excitatory synapses at each site."""
        return np.bincount(self.to_sites[:, 1], minlength=len(self.neuron_at))

    @property
    def fewest_synapses(self) -> int:
        """Excitatory synapses under the astrocyte that covers the fewest, of those that cover any."""
        under = np.bincount(self.astrocyte_at, self.synapses_at, self.graph.cells)
        return int(under[under > 0].min(initial=len(self.to_sites)))

    @property
    def ensheathed(self) -> Indices:
        """Pairs of astrocyte and neuron on which it covers a synapse, each once; (pairs, 2)."""
        used = self.synapses_at > 0
        pairs = np.stack([self.astrocyte_at[used], self.neuron_at[used]], axis=-1)
        return np.unique(pairs, axis=0).astype(np.int64).reshape(-1, 2)


def bernoulli(sources: int, targets: int, chance: float, generator: np.random.Generator) -> Indices:
    """Every pair with probability ``chance``, a neuron with itself too (as published): (synapses, 2)."""
    if sources * targets * chance > MOST_SYNAPSES:
        raise InputError(f"{sources * targets * chance:.3g} synapses; expected at most {MOST_SYNAPSES:.0e}")
    rows = [np.flatnonzero(generator.random(targets) < chance) for _ in range(sources)]
    first = np.repeat(np.arange(sources), [len(row) for row in rows])
    return np.stack([first, np.concatenate([np.empty(0, dtype=np.int64), *rows])], axis=-1).astype(np.int64)


def recurrent(
    excitatory: int,
    inhibitory: int,
    chances: tuple[float, float],
    cells: int,
    spacing: float,
    radius: float,
    edges: tuple[tuple[int, int], ...] | None,
    generator: np.random.Generator,
) -> Wiring:
    """A random network; astrocytes on a grid, each over the synapses on the neurons nearest to it.

    Excitatory neurons lie on a grid over the same square, inhibitory ones anywhere in it (chosen: the published script
    leaves them all in its middle).

    Parameters
    ----------
    chances : tuple
        Of an excitatory and of an inhibitory connection.
    spacing, radius : float
        Of the astrocytes' grid, and below which two are joined, um.
    edges : tuple of pairs, or None
        Gap junctions instead of those that ``radius`` gives.
    """
    from scipy.spatial import KDTree

    at = astrocytes.grid_positions(cells, spacing)
    graph = astrocytes.neighbours(at, radius) if edges is None else astrocytes.given_graph(edges, cells, positions=at)
    side = at.max(axis=0) + spacing
    places = astrocytes.grid_positions(excitatory, 1.0) + 0.5
    places = places / (places.max(axis=0) + 0.5) * side - spacing / 2
    scattered = generator.random((inhibitory, 2)) * side - spacing / 2
    _, nearest = KDTree(at).query(np.concatenate([places, scattered]))
    count = excitatory + inhibitory
    return Wiring(
        excitatory,
        inhibitory,
        sources=excitatory,
        to_sites=bernoulli(excitatory, count, chances[0], generator),
        to_neurons=bernoulli(inhibitory, count, chances[1], generator),
        neuron_at=np.arange(count),
        astrocyte_at=np.asarray(nearest, dtype=np.int64),
        graph=graph,
    )


def one_process_each(at: Array, scale: float) -> Wiring:
    """n trains on n neurons, all to all, an astrocyte process a synapse; exchange decays with distance.

    Parameters
    ----------
    at : array, (post, pre, axis)
        Positions of the processes.
    scale : float
        1 / unit of the positions.
    """
    n = len(at)
    post, pre = np.indices((n, n)).reshape(2, -1)
    sites = np.arange(n * n)
    return Wiring(
        excitatory=n,
        inhibitory=0,
        sources=n,
        to_sites=np.stack([pre, sites], axis=-1),
        to_neurons=np.empty((0, 2), dtype=np.int64),
        neuron_at=post,
        astrocyte_at=sites,
        graph=astrocytes.decaying(at.reshape(n * n, -1), scale),
    )
