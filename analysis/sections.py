"""The sections on biology and law: short-term and long-term plasticity, retention, astrocytes, networks."""

import numpy as np

from analysis import plots, views
from analysis.collect import Inputs, LawsFile
from analysis.curves import TOTALS, retention_curves
from analysis.parts import Heading, Plot, Section, Table, Text, missing, number, r_squared
from analysis.views import plasticity
from analysis.words import extrapolated
from bridge import families
from bridge.laws import Laws
from bridge.schema import Candidate

REFERENCE_TOTAL = 16  # T at which families are compared: the most segments the paper names


def short_term(inputs: Inputs) -> Section:
    """One cycle or train, decay in space, calcium against rate, gliotransmission."""
    return _of("stp", "Short-term plasticity", inputs)


def long_term(inputs: Inputs) -> Section:
    """Traces over the cycles, curves side by side, and the law over its data."""
    section = _of("ltp", "Long-term plasticity", inputs)
    if together := plasticity.side_by_side(inputs.of("ltp")):
        section.add(Heading("Curves side by side"), *together)
    section.add(Heading("The law over its data"))
    if not inputs.laws:
        section.add(missing("laws file", "rmaat fit ltp.nc --out laws.json"))
    for each in inputs.laws:
        law, n = each.laws.document.retention, each.laws.fitted_cycles
        largest = max(map(abs, law.residuals))
        family = law.family.replace("_", " ")
        section.add(
            Plot(
                plots.law_fit(each.laws),
                f"The {family} law over {n} simulated cycle ends, R² = {r_squared(law.r_squared)}; residuals "
                f"up to {number(largest, 2)} a.u.",
                f"{each.path}: {family} law over pˡ at the ends of {n} cycles, averaged over synapses; "
                f"below, data minus law (largest {number(largest, 2)} a.u., "
                f"{_share(largest, law.amplitude.value)} of saturation). Dashed: extrapolated beyond the "
                "simulated cycles.",
                520,
            )
        )
    return section


def more(inputs: Inputs) -> list[Section]:
    """The sections that appear with their datasets alone: astrocytes, networks, and what no view knows."""
    found = [_of("astrocytes", "Astrocytes", inputs), _of("networks", "Networks and memory", inputs)]
    found.append(Section("others", "Other datasets", views.others(inputs)))
    return [section for section in found if section.parts]


def _of(anchor: str, title: str, inputs: Inputs) -> Section:
    return Section(anchor, title, views.parts(anchor, inputs))


def retention(inputs: Inputs) -> Section:
    """RetentionFactor(t, T), the online factor, and how the families compare."""
    section = Section("retention", "Retention")
    if not inputs.laws:
        section.add(missing("laws file", "rmaat fit ltp.nc --out laws.json"))
    for each in inputs.laws:
        if len(inputs.laws) > 1:
            section.add(Heading(str(each.path)))
        _factors(section, each)
    return section


def _factors(section: Section, each: LawsFile) -> None:
    laws, beyond = each.laws, extrapolated(each.laws)
    if beyond:
        section.add(
            Text(
                f"Only {laws.fitted_cycles} cycles were simulated: T = {', '.join(map(str, beyond))} is "
                "extrapolation (dashed). The band shows the interval of the parameters alone, not a wrong "
                "family.",
                note=True,
            )
        )
    curves = retention_curves(laws)
    section.add(
        Plot(
            plots.retention(laws),
            "RetentionFactor(t, T) against segment t: "
            + "; ".join(f"T = {c.total} from {number(c.factor[0], 3)} to {number(c.factor[-1], 3)}" for c in curves),
            f"{each.path}: share of the total rise that cycle t of T adds; sums to 1 over t. Segment t's "
            "memory "
            'is multiplied by it under the rule "scale".',
            380,
        ),
        Table(
            "RetentionFactor(t, T)",
            ["T", "first (t = 1)", "middle (t = T/2)", "last (t = T)", "interval of the first", "basis"],
            [
                [
                    str(c.total),
                    number(c.factor[0]),
                    number(c.factor[c.total // 2 - 1]),
                    number(c.factor[-1]),
                    "–" if c.low is None or c.high is None else f"{number(c.low[0])} to {number(c.high[0])}",
                    "extrapolated" if c.extrapolates else "within the simulated cycles",
                ]
                for c in curves
            ],
            ["basis"],
        ),
        Plot(
            plots.online(laws),
            f"RetentionFactor(t, t), the weight of the newest segment: {number(laws.online(1)[0])} at t = 1, "
            f"{number(laws.online(TOTALS[-1])[-1], 3)} at t = {TOTALS[-1]}.",
            "RetentionFactor(t, t): the weight of segment t when T is not known in advance, used by the rule "
            '"consolidate". It needs the past only.',
            300,
        ),
        _candidates(laws),
    )


def _candidates(laws: Laws) -> Table:
    law = laws.document.retention
    scores = [candidate.aicc for candidate in law.candidates if candidate.aicc is not None]
    rows = []
    for candidate in law.candidates:
        aicc = candidate.aicc
        rows.append(
            [
                candidate.family.replace("_", " ") + (" (chosen)" if candidate.family == law.family else ""),
                ", ".join(f"{name} = {number(value)}" for name, value in candidate.parameters.items()),
                r_squared(candidate.r_squared),
                "–" if aicc is None else number(aicc, 5),
                "–" if aicc is None else number(aicc - min(scores), 3),
                _variation(laws, candidate),
                "yes" if candidate.converged else "NO",
            ]
        )
    return Table(
        "Families tried, best first. Distance: total variation between this family's RetentionFactor(., "
        f"{REFERENCE_TOTAL}) and the chosen one's, 0 to 1; small means that "
        "the choice hardly matters to a model.",
        ["family", "parameters", "R²", "AICc", "above the lowest", "distance", "converged"],
        rows,
        ["parameters", "converged"],
    )


def _variation(laws: Laws, candidate: Candidate) -> str:
    if candidate.family not in families.NAMES:
        return "–"
    other = families.get(candidate.family, candidate.knots).retention(REFERENCE_TOTAL, candidate.parameters)
    return number(0.5 * float(np.abs(other - laws.retention(REFERENCE_TOTAL)).sum()), 2)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2g} %" if whole else "–"
