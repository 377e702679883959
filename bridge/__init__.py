"""From simulated plasticity to a laws file that a model consumes and a reader can trust.

>>> import astro_sim, bridge
>>> laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=24)])
>>> laws.save("laws.json")
>>> laws.retention(16)
"""

from typing import TYPE_CHECKING

from astro_sim.common.extras import lazily

if TYPE_CHECKING:
    from bridge.distil import fit_laws
    from bridge.laws import Laws
    from bridge.matching import match
    from bridge.sensitivity_analysis import sensitivity
    from bridge.swept import fit_sweep

_HOME = {
    "Laws": "bridge.laws",
    "fit_laws": "bridge.distil",
    "fit_sweep": "bridge.swept",
    "match": "bridge.matching",
    "sensitivity": "bridge.sensitivity_analysis",
}

__all__ = ["Laws", "fit_laws", "fit_sweep", "match", "sensitivity"]

__getattr__ = lazily(__name__, _HOME)
