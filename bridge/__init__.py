"""From simulated plasticity to a laws file that a model consumes and a reader can trust.

>>> import astro_sim, bridge
>>> laws = bridge.fit_laws([astro_sim.simulate("ltp", cycles=24)])
>>> laws.save("laws.json")
>>> laws.retention(16)
"""

from typing import TYPE_CHECKING

from astro_sim.common.extras import lazily

if TYPE_CHECKING:
    from bridge.exploration.match import match
    from bridge.exploration.sensitivity import sensitivity
    from bridge.exploration.sweep import fit_sweep
    from bridge.fit import fit_laws
    from bridge.laws import Laws, default_laws

_HOME = {
    "Laws": "bridge.laws",
    "default_laws": "bridge.laws",
    "fit_laws": "bridge.fit",
    "fit_sweep": "bridge.exploration.sweep",
    "match": "bridge.exploration.match",
    "sensitivity": "bridge.exploration.sensitivity",
}

__all__ = ["Laws", "default_laws", "fit_laws", "fit_sweep", "match", "sensitivity"]

__getattr__ = lazily(__name__, _HOME)
