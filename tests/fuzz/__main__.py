"""Fuzz everything that reads what a user hands over: ``python -m tests.fuzz --count 20000 --seed 0``.

Every input is made from its target's name and a number, so that ``--only NAME --seed N --count 1`` makes it again.
"""

import argparse
import faulthandler
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.targets import TARGETS, attempt

LONGEST = 120  # s; what takes longer hangs, and the traceback of where is printed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="inputs, shared out among the targets")
    parser.add_argument("--seed", type=int, default=0, help="number of the first input of each target")
    parser.add_argument("--only", choices=TARGETS, help="one target alone")
    asked = parser.parse_args()
    names = [asked.only] if asked.only else [*TARGETS]
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place, kinds, begun = Path(folder), Counter[str](), time.monotonic()
            for seed in range(asked.seed, asked.seed + -(-asked.count // len(names))):
                faulthandler.dump_traceback_later(LONGEST, exit=True)
                outcome = attempt(name, seed, place)
                kinds[outcome if outcome in ("accepted", "refused") else "found"] += 1
                if outcome not in ("accepted", "refused"):
                    print(f"{name} {seed}: {outcome}", flush=True)
            found += kinds["found"]
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            print(f"{name}: {told} in {time.monotonic() - begun:.0f} s", flush=True)
    faulthandler.cancel_dump_traceback_later()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
