"""What datasets hold: for every experiment and model the variables it promises, for every variable unit and meaning.

Plain tables, a file an experiment, so that whoever reads a dataset needs neither the experiments nor a simulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from astro_sim.common.errors import InputError
from astro_sim.contents.shared import COMMON, Dimensions, Meanings

EXPERIMENTS = (
    "stp",
    "ltp",
    "spatial",
    "frequency",
    "associative",
    "gliotransmission",
    "waves",
    "calcium",
    "an",
    "network",
)

# What the bridge reads of a dataset, with its units, and what an experiment of one's own that stands for it must hold.
READ: dict[str, dict[str, tuple[str, ...]]] = {
    "ltp": {"p_l_cycle": ("1", "a.u."), "tau_cycle": ("s",)},
    "spatial": {"p_s_peak": (), "distance": ("spacing",)},  # () is any unit
    "frequency": {"calcium": (), "rate": ("Hz",)},
}


@dataclass(frozen=True)
class Contents:
    """What the datasets of one experiment hold.

    Attributes
    ----------
    promised : mapping
        Model -> variable -> its dimensions. A dataset may hold more; these it holds, and without NaN.
    meanings : mapping
        Model -> variable -> (unit, meaning), of everything that a dataset may hold besides what all share.
    by_setting : mapping
        Variable -> (setting, its value -> (unit, meaning)), where a setting decides what a variable means.
    """

    promised: Mapping[str, Dimensions]
    meanings: Mapping[str, Meanings]
    by_setting: Mapping[str, tuple[str, Mapping[Any, tuple[str, str]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Any) -> "Contents":
        """From a module with the tables ``PROMISED``, ``MEANINGS`` and perhaps ``BY_SETTING``."""
        return cls(tables.PROMISED, tables.MEANINGS, getattr(tables, "BY_SETTING", {}))

    def known(self, model: str, settings: Mapping[str, Any]) -> Meanings:
        """Name -> (unit, meaning) of everything that a dataset of this model and these settings may hold."""
        return {**COMMON, **self.meanings[model], **self.decided(model, settings)}

    def decided(self, model: str, settings: Mapping[str, Any]) -> Meanings:
        """Those of them that a setting decides; in general terms where ``settings`` lack it, as where it was swept."""
        return {
            name: choices.get(settings.get(setting), self.meanings[model][name])
            for name, (setting, choices) in self.by_setting.items()
        }


def require_readable(experiment: str, promised: Dimensions, units: Mapping[str, str]) -> None:
    """Raise `InputError` unless what is promised can be read as ``experiment``: names, dimensions, units if known."""
    if experiment not in READ:
        raise InputError(f"stands_for: expected one of {', '.join(READ)}, got {experiment!r}")
    for name, known in READ[experiment].items():
        if name not in promised:
            raise InputError(f"to stand for {experiment!r}, {name!r} must be promised")
        if known and name in units and units[name] not in known:
            raise InputError(
                f"to stand for {experiment!r}, {name!r} must be in {' or '.join(known)}, got {units[name]!r}"
            )
    dims = {name: tuple(promised[name]) for name in READ[experiment]}
    expected = ""
    if experiment == "ltp" and ("cycle" not in dims["p_l_cycle"] or dims["tau_cycle"]):
        expected = "'cycle' among those of p_l_cycle, none of tau_cycle"
    elif experiment == "spatial" and dims["p_s_peak"] != dims["distance"]:
        expected = "the same of p_s_peak and distance"
    elif experiment == "frequency" and ("rate" not in dims["calcium"] or dims["rate"] != ("rate",)):
        expected = "'rate' among those of calcium, and of rate that alone"
    if expected:
        raise InputError(f"to stand for {experiment!r}, expected dimensions: {expected}; got {dims}")


CONTENTS = {name: Contents.of(import_module(f"{__name__}.{name}")) for name in EXPERIMENTS}
