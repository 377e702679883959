r"""Astrocytes, or processes of one, that exchange IP3 through gap junctions along the edges of a graph.

    J_coupling_i = -sum_j strength_ij F/2 (1 + tanh((|I_i - I_j| - I_Theta) / omega_I)) sgn(I_i - I_j)

The sum is held over a step of the solver, so a coupled network converges with order 1 where a lone cell has order 4
(measured: docs/experiments/waves.md). What leaves one cell enters the other: J_coupling sums to 0 over the cells.
Source: Stimberg et al. (2019), after Goldberg et al. (2010).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysical import calcium, ip3, ip3_flux, receptors
from astro_sim.biophysical.engine import Session
from astro_sim.biophysical.process import AstrocyteParameters, add_noise, astrocyte_equations, namespace
from astro_sim.common.errors import InputError
from astro_sim.knockouts import refuse
from astro_sim.stability import require_stable

Array = NDArray[np.float64]
MOST_EDGES = 20_000_000  # of a graph: a gigabyte in Brian2


class CoupledParameters(ip3_flux.GapJunctionParameters, AstrocyteParameters):
    """Constants of astrocytes joined by gap junctions."""

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        if self.kinetics == "li_rinzel":
            raise ValueError("kinetics: expected chi or g_chi, got li_rinzel, which clamps the IP3 that cells exchange")


class AstrocyteNetworkParameters(CoupledParameters):
    """Constants of a network of astrocytes without synapses."""

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        refuse(self.knockouts, ("calcium", "gap_junctions", "noise"), "a network of astrocytes without synapses")


@dataclass(frozen=True)
class Graph:
    """Who is joined to whom."""

    cells: int
    edges: NDArray[np.int64]  # (edges, 2), pairs, each once, without direction
    strength: Array  # (edges,), factor on F
    positions: Array | None = None  # (cells, axis), um, or spacings between processes

    def hops(self, start: int) -> Array:
        """Steps along edges from cell ``start`` to every cell; infinite where there is no way."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import shortest_path

        i, j = self.edges.T
        adjacency = csr_array((np.ones(len(i)), (i, j)), shape=(self.cells, self.cells))
        return np.asarray(shortest_path(adjacency, directed=False, unweighted=True, indices=start))

    @property
    def largest_sum(self) -> float:
        """Largest sum of strengths at a cell."""
        sums = np.bincount(self.edges.ravel(), np.repeat(self.strength, 2), self.cells)
        return float(sums.max(initial=0.0))


def given_graph(
    edges: Iterable[Sequence[int]], cells: int, strength: Array | None = None, positions: Array | None = None
) -> Graph:
    """A graph by its edges.

    Raises
    ------
    InputError
        A cell that does not exist, one joined to itself, a pair given twice (either way round); names the edge.
    """
    pairs = [tuple(edge) for edge in edges]
    seen = set()
    for pair in pairs:
        if len(pair) != 2:
            raise InputError(f"edges: expected pairs of cells, got {pair}")
        name = f"edge {pair[0]}-{pair[1]}"
        for cell in pair:
            if not 0 <= cell < cells:
                raise InputError(f"edges: {name} names cell {cell}; expected 0 to {cells - 1}")
        if pair[0] == pair[1]:
            raise InputError(f"edges: {name} joins a cell to itself")
        if (min(pair), max(pair)) in seen:
            raise InputError(f"edges: {name} is given twice")
        seen.add((min(pair), max(pair)))
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Graph(cells, array, np.ones(len(array)) if strength is None else np.asarray(strength, float), positions)


def ring(cells: int) -> Graph:
    """Every cell joined to the next, the last to the first; two cells have one junction, not two."""
    pairs = {tuple(sorted((i, (i + 1) % cells))) for i in range(cells) if cells > 1}
    return given_graph(sorted(pairs), cells)


def neighbours(positions: Array, radius: float) -> Graph:
    """Cells less than ``radius`` apart are joined.

    Parameters
    ----------
    positions : array, (cells, axis)
    radius : float
        In the unit of the positions.
    """
    from scipy.spatial import KDTree

    tree = KDTree(positions)
    # query_pairs includes the radius itself, and rounding decides who lies on it
    pairs = tree.query_pairs(radius * (1 - 1e-9), output_type="ndarray")
    if len(pairs) > MOST_EDGES:
        raise InputError(f"radius: {len(pairs):.3g} gap junctions; expected at most {MOST_EDGES:.0e}")
    edges = pairs[np.lexsort(pairs.T[::-1])].astype(np.int64)
    return Graph(len(positions), edges, np.ones(len(edges)), positions)


def grid_positions(cells: int, spacing: float) -> Array:
    """``cells`` places in columns of int(sqrt(cells)), the last column perhaps short; (cells, 2)."""
    rows = int(np.sqrt(cells))
    at = np.arange(cells)
    return spacing * np.stack([at // rows, at % rows], axis=-1).astype(float)


def decaying(positions: Array, scale: float) -> Graph:
    """Every two processes are joined, with the strength exp(-scale * distance); scale in 1 / unit of the positions."""
    from scipy.spatial.distance import cdist

    i, j = np.triu_indices(len(positions), 1)
    strength = np.exp(-scale * cdist(positions, positions))[i, j]
    return Graph(len(positions), np.stack([i, j], axis=-1), strength, positions)


def build_astrocytes(
    session: Session,
    parameters: CoupledParameters,
    graph: Graph,
    more: str = "Y_S : mmolar\n",
    rates: dict[str, float] | None = None,
    transmitter: float = 0.0,
    name: str = "astrocytes",
    **options: Any,
) -> Any:
    """A group of astrocytes with their gap junctions.

    Parameters
    ----------
    session, parameters, graph
    more : str
        Equations on top of the astrocyte's; must define the transmitter Y_S.
    rates : dict, optional
        Rates of decay, 1/s, of what ``more`` adds, for the stability bound.
    transmitter : float
        Its peak, uM, for the same.
    name : str
        Of the group; the junctions are called ``{name}_junctions``.
    **options
        Of the group: threshold, refractory, reset, dt.

    Returns
    -------
    brian2.NeuronGroup
        h starts at 0.9, all else at 0.

    Raises
    ------
    InputError
        A step beyond the stability bound.
    """
    import brian2

    p = parameters
    step = float(options.get("dt", p.dt * brian2.second))
    step_name = "astrocyte_dt" if "dt" in options else "dt"
    cell = {**calcium.rates(p), **ip3.rates(p, ip3_flux.rate(p)), **receptors.rates(p, transmitter), **(rates or {})}
    require_stable(step, cell, p.method, step_name)
    # The held sum makes the junctions an explicit Euler step, whatever the method of the cell.
    require_stable(step, {"gap junctions": 2 * graph.largest_sum * p.F / (2 * p.omega_I)}, "euler", step_name)
    equations = brian2.Equations(astrocyte_equations(p, coupled=True) + more)
    group = brian2.NeuronGroup(
        graph.cells,
        equations,
        method=p.method,
        namespace={constant: value for constant, value in namespace(p).items() if constant not in equations.names},
        name=name,
        **options,
    )
    add_noise(session, group, p)
    group.h = 0.9
    session.add(group)
    if len(graph.edges):
        junctions = brian2.Synapses(
            group, group, ip3_flux.GAP_JUNCTION, namespace=group.namespace, name=f"{name}_junctions"
        )
        i, j = graph.edges.T
        junctions.connect(i=np.concatenate([i, j]), j=np.concatenate([j, i]))
        junctions.strength = np.tile(graph.strength, 2)
        session.add(junctions)
    return group
