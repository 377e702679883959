"""Make the laws that ship with the package: python -m benchmarks.studies.default_laws

Every experiment with its default settings and seed 0, but for the ltp dataset of the macro model: 24 cycles reach 98 %
of saturation, and 3 cycles of burn-in bring s to its periodic state. Half an hour or so, nearly all of it Brian2's.
"""

import argparse
from pathlib import Path
from typing import Any

import astro_sim
import bridge
from bridge.laws import DEFAULTS

OUT = Path(bridge.__path__[0]) / "defaults"
# Short-term time constants of both models, with names of their own.
SHORT = (("stp", "macro"), ("stp", "biophysical"), ("an", "biophysical"), ("gliotransmission", "biophysical"))
LTP: dict[str, dict[str, Any]] = {"macro": {"cycles": 24, "burn_in": 3}, "biophysical": {}}


def main() -> None:
    """Simulate, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=DEFAULTS, action="append", help="by default both")
    asked = parser.parse_args().model or DEFAULTS
    short = [astro_sim.simulate(name, model) for name, model in SHORT]
    for model in asked:
        others = [astro_sim.simulate(name, model) for name in ("spatial", "frequency")]
        laws = bridge.fit_laws([astro_sim.simulate("ltp", model, **LTP[model]), *others, *short])
        laws.save(OUT / f"{model}.json")
        print(f"{OUT / model}.json: digest {laws.digest[:12]}")


if __name__ == "__main__":
    main()
