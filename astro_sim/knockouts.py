"""Knock-outs: what an experimenter blocks, by the same names in every model."""

from typing import Any, Literal

from astro_sim.common.settings import quantity

Knockout = Literal["calcium", "receptors", "gap_junctions", "gliotransmission", "noise"]
"""calcium: clamped where it starts (as by BAPTA); receptors: the astrocyte does not hear the synapse; gap_junctions: no
exchange between astrocytes or processes; gliotransmission: the synapse does not hear the astrocyte; noise: none on the
IP3 receptors or on plasticity."""


def knockouts_field() -> Any:
    """Declare the setting ``knockouts`` of a model's parameters."""
    return quantity((), "1", "what is blocked (calcium, receptors, gap_junctions, gliotransmission, noise)", "ours")


def refuse(knockouts: tuple[Knockout, ...], known: tuple[Knockout, ...], model: str) -> None:
    """Raise `ValueError` for a knock-out of something that ``model`` does not have.

    To be called from ``model_post_init`` of the parameters: a block without effect would pass for a result.
    """
    for each in knockouts:
        if each not in known:
            raise ValueError(f"knockouts: {model} has no {each} to block; expected some of {', '.join(known)}")
