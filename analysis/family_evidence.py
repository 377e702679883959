"""How little a curve tells its family: what AICc chose for simulated curves whose truth is known, beside a law."""

from typing import Any

import numpy as np

from analysis.law_words import plain
from analysis.parts import Table, Text, number, share
from bridge import evidence, families
from bridge.laws import Laws

Rows = list[dict[str, Any]]

FEW, NOISE = 6, 0.01  # the setting that shows what a short curve hides: cycles, noise over the saturation
PLACES = {"levels": "samples", "dynamics": "dynamics"}


def parts(laws: Laws) -> tuple[Text, Table]:
    """What the law's own evidence is worth, in a sentence and a confusion matrix."""
    law, near = laws.document.retention, nearest(laws)
    few = [row for row in evidence.selection() if _setting(row) == (law.noise, FEW, NOISE)]
    right = np.mean([row[row["truth"]] for row in near])
    distances = [row["95th of distances"] for row in near]
    own = "unknown residuals" if law.deviation is None else f"residuals of {share(law.deviation, law.amplitude.value)}"
    told = (
        f"How little a curve tells of its family: of 100 simulated curves of each family, with {FEW} cycles and noise "
        f"of {_percent(NOISE)} of the saturation, AICc chooses the exponential for {_taken(few, 'exponential')}. The "
        f"table has the studied setting nearest to this law ({laws.fitted_cycles} cycles, {own} of the saturation): "
        f"there AICc finds the right family for {number(float(right), 3)} of 100 curves on average, and 95 % of them "
        f"give a RetentionFactor(., 16) within {number(min(distances), 2)} to {number(max(distances), 2)} of the truth "
        "(total variation; least and largest over the true families)."
    )
    if law.family not in families.FAMILIES:
        told += f" The study has no {plain(law.family)}."
    return Text(told), confusion(near)


def nearest(laws: Laws) -> Rows:
    """Rows of the study with the law's kind of noise and the cycles and size of noise nearest to the law's.

    Of cycles, the most that the law has too: more would promise too much. A curve with less noise than any in the
    study says more than the table.
    """
    law = laws.document.retention
    rows = [row for row in evidence.selection() if row["noise in"] == law.noise]
    counts = sorted({row["cycles"] for row in rows})
    cycles = max((count for count in counts if count <= laws.fitted_cycles), default=counts[0])
    rows = [row for row in rows if row["cycles"] == cycles]
    size = NOISE if law.deviation is None else law.deviation / law.amplitude.value
    closest = min({row["noise"] for row in rows}, key=lambda each: abs(each - size))
    return [row for row in rows if row["noise"] == closest]


def confusion(rows: Rows) -> Table:
    """True family against chosen family."""
    place, cycles, size = _setting(rows[0])
    return Table(
        f"What AICc takes 100 simulated curves for ({cycles} cycles, noise of {_percent(size)} of the saturation in "
        f"the {PLACES[place]}): rows, the family that made the curves; columns, the family chosen. Right shape: the "
        "largest increment is rightly that of the first cycle, or rightly a later one. Distance: of "
        "RetentionFactor(., 16) from the truth, not exceeded by 95 of 100.",
        ["truth", *map(plain, families.FAMILIES), "right shape", "distance"],
        [
            [
                plain(row["truth"]),
                *(str(row[name]) for name in families.FAMILIES),
                str(row["shape right"]),
                number(row["95th of distances"], 2),
            ]
            for row in rows
        ],
    )


def _taken(rows: Rows, family: str) -> str:
    """How often each truth was taken for ``family``: itself first, then the most often mistaken."""
    ordered = sorted(rows, key=lambda row: (row["truth"] != family, -row[family]))
    right, *wrong = (f"{row[family]} {plain(row['truth'])} curves" for row in ordered)
    return f"{right}, rightly, and for {', '.join(wrong[:-1])} and {wrong[-1]}"


def _setting(row: dict[str, Any]) -> tuple[str, int, float]:
    return row["noise in"], row["cycles"], row["noise"]


def _percent(part: float) -> str:
    return f"{100 * part:g} %"
