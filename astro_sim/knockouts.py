"""Knock-outs: what an experimenter blocks, by the same names in every model."""

from collections.abc import Collection
from typing import Any, Literal

from astro_sim.common.errors import InputError
from astro_sim.common.settings import quantity

Knockout = Literal["calcium", "receptors", "gap_junctions", "gliotransmission", "noise"]
"""What each blocks:

calcium: clamped where it starts (as by BAPTA). receptors: the astrocyte does not hear the synapse. gap_junctions: no
exchange between astrocytes or processes. gliotransmission: neither synapse nor neuron hears the astrocyte. noise: none
on the IP3 receptors or on efficacy (spike trains and release are drawn at random too, but are no noise in this sense).
"""


def knockouts_field() -> Any:
    """Declare the setting ``knockouts`` of a model's parameters."""
    return quantity((), "1", "what is blocked (calcium, receptors, gap_junctions, gliotransmission, noise)", "ours")


def present(**parts: bool) -> list[str]:
    """Names of the parts that a protocol has, of those that could be blocked."""
    return [name for name, there in parts.items() if there]


def refuse(knockouts: Collection[Knockout], known: Collection[str], model: str) -> None:
    """Raise `InputError` for a knock-out of something that ``model`` (or a protocol) does not have.

    A block without effect would pass for a result.
    """
    if len(set(knockouts)) != len(knockouts):
        raise InputError(f"knockouts: expected different ones, got {', '.join(knockouts)}")
    for name in knockouts:
        if name not in known:
            expected = f"expected some of {', '.join(known)}" if known else "expected none"
            raise InputError(f"knockouts: {model} has no {name} to block; {expected}")
