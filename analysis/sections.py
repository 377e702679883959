"""The sections on biology and law: short-term and long-term plasticity, retention, astrocytes, networks."""

from analysis import family_evidence, plots, views
from analysis.collect import Inputs, LawsFile
from analysis.curves import TOTALS, Retention, hidden_spread, retention_curves
from analysis.law_words import REFERENCE_TOTAL, extrapolated, perturbed, plain, unfitted, unidentified
from analysis.parts import Heading, Plot, Section, Table, Text, number, quantity, r_squared, share
from analysis.views import plasticity
from bridge import families
from bridge.families.family import total_variation
from bridge.laws import WEIGHTS, Laws
from bridge.schema import RESOLUTION, Candidate

BAND = (
    "The band holds 95 % of the resampled laws of one family, which it takes for granted: it does not show a wrong "
    "family."
)


def short_term(inputs: Inputs) -> Section:
    """One cycle or train, decay in space, calcium against rate, gliotransmission."""
    return _of("stp", "Short-term plasticity", inputs)


def long_term(inputs: Inputs) -> Section:
    """Traces over the cycles, curves side by side, and the law over its data."""
    section = _of("ltp", "Long-term plasticity", inputs)
    if together := plasticity.side_by_side(inputs.of("ltp")):
        section.add(Heading("Curves side by side"), *together)
    if inputs.laws:
        section.add(Heading("The law over its data"))
    section.add(*(_law_over_data(each) for each in inputs.laws))
    return section


def _law_over_data(each: LawsFile) -> Plot:
    laws = each.laws
    law, n, perturbation = laws.document.retention, laws.fitted_cycles, laws.document.perturbation
    largest = max(map(abs, law.residuals))
    told, family = quantity(largest, law.unit, 2), plain(law.family)
    over = " x ".join(f"{size} {name}" for name, size in law.averaged.items()) or "synapses"
    left = "data minus law" if law.noise == "levels" else "each sample minus what the law makes of the one before"
    caption = (
        f"{each.path}: {family} law over pˡ at the ends of {n} cycles, averaged over {over}; below, {left} (largest "
        f"{told}, {share(largest, law.amplitude.value)} of saturation). Dashed: extrapolated beyond the simulated "
        "cycles."
    )
    if (hidden := hidden_spread(laws)) is not None:
        caption += f" No bars: the standard error of the mean is at most {quantity(hidden, law.unit, 2)}."
    elif law.spread is not None and law.noise == "levels":
        caption += " Bars: standard error of the mean."
    elif law.spread is not None:
        caption += " No bars: the standard errors known are those of the increments, through which noise enters."
    if perturbation is not None and perturbation.kind in WEIGHTS:
        caption += f" These laws are perturbed on purpose ({perturbation.kind}): the line is the law before that."
    elif perturbation is not None:
        caption += f" These laws are perturbed on purpose ({perturbation.kind}), so the line need not meet the data."
    elif unfitted(laws) is not None:
        caption += " The parameters were trained, not fitted, so the line need not meet the data."
    alt = f"The {family} law over {n} simulated cycle ends, R² = {r_squared(law.r_squared)}; residuals up to {told}."
    return Plot(plots.law_fit(laws), alt, caption, 520)


def more(inputs: Inputs) -> list[Section]:
    """Astrocytes, networks, and what no view knows."""
    found = [_of("astrocytes", "Astrocytes", inputs), _of("networks", "Networks and memory", inputs)]
    return [*found, Section("others", "Other datasets", views.others(inputs))]


def _of(anchor: str, title: str, inputs: Inputs) -> Section:
    return Section(anchor, title, views.parts(anchor, inputs))


def retention(inputs: Inputs) -> Section:
    """RetentionFactor(t, T), the online factor, and how the families compare."""
    section = Section("retention", "Retention")
    for each in inputs.laws:
        if len(inputs.laws) > 1:
            section.add(Heading(str(each.path)))
        _factors(section, each)
    return section


def _factors(section: Section, each: LawsFile) -> None:
    laws, beyond = each.laws, extrapolated(each.laws)
    curves = retention_curves(laws)
    banded = any(curve.edges is not None for curve in curves)
    marks = [perturbed(laws), unidentified(laws)]
    if beyond:
        marks.append(
            f"Only {laws.fitted_cycles} cycles were simulated: T = {', '.join(map(str, beyond))} is extrapolation "
            f"(dashed). {BAND if banded else 'No band says how far off it may be.'}"
        )
    section.add(*(Text(mark, note=True) for mark in marks if mark))
    section.add(
        Plot(
            plots.retention(laws),
            "RetentionFactor(t, T) against segment t: "
            + "; ".join(f"T = {c.total} from {number(c.factor[0], 3)} to {number(c.factor[-1], 3)}" for c in curves),
            f"{each.path}: share of the total rise that cycle t of T adds; sums to 1 over t. Segment t's memory "
            'is multiplied by it under the rule "scale".' + (" Band: 95 % of resampled laws." if banded else ""),
            380,
        ),
        Table(
            "RetentionFactor(t, T)",
            ["T", "first (t = 1)", "middle (t = T/2)", "last (t = T)", "95 % band of the first", "basis"],
            [
                [
                    str(c.total),
                    number(c.factor[0]),
                    number(c.factor[c.total // 2 - 1]),
                    number(c.factor[-1]),
                    _between(c),
                    _basis(laws, c.extrapolates),
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
            '"consolidate". '
            + ("Of reversed laws it needs T all the same." if laws.needs_total else "It needs the past only."),
            300,
        ),
        _candidates(laws),
        *family_evidence.parts(laws),
    )


def _between(curve: Retention) -> str:
    """The band of the first factor; none where it is no wider than what counts as no noise."""
    if curve.low is None or curve.high is None or curve.width < RESOLUTION:
        return "none"
    return f"{number(curve.low[0])} to {number(curve.high[0])}"


def _basis(laws: Laws, extrapolates: bool) -> str:
    if not laws.parametric:
        return "perturbed weights"
    return "extrapolated" if extrapolates else "within the simulated cycles"


def _candidates(laws: Laws) -> Table:
    law = laws.document.retention
    scores = [candidate.aicc for candidate in law.candidates if candidate.aicc is not None]
    floor = f" AICc and BIC count residuals below {share(RESOLUTION, 1)} of the rise as that large."
    counted = floor if len(law.indistinct) > 1 else ""
    rows = []
    for candidate in law.candidates:
        aicc = candidate.aicc
        rows.append(
            [
                plain(candidate.family) + (" (chosen)" if candidate.family == law.family else ""),
                ", ".join(f"{name} = {number(value)}" for name, value in candidate.parameters.items()),
                r_squared(candidate.r_squared),
                "–" if aicc is None else number(aicc, 5),
                "–" if aicc is None else number(aicc - min(scores), 3),
                "–" if candidate.bic is None else number(candidate.bic, 5),
                "–" if candidate.held_out is None else number(candidate.held_out, 2),
                _variation(laws, candidate),
                "yes" if candidate.converged else "NO",
            ]
        )
    return Table(
        "Families tried, best first. Held-out error: on the last third of the cycles of a fit to those before, root "
        "mean square over the largest sample. Distance: total variation between this family's RetentionFactor(., "
        f"{REFERENCE_TOTAL}) and that of these laws, 0 to 1; small means that the choice hardly matters to a model."
        + counted,
        [
            *("family", "parameters", "R²", "AICc", "above the lowest", "BIC", "held-out error", "distance"),
            "converged",
        ],
        rows,
        ["parameters", "converged"],
        sortable=True,
    )


def _variation(laws: Laws, candidate: Candidate) -> str:
    if candidate.family not in families.NAMES:
        return "–"
    other = families.get(candidate.family, candidate.knots).retention(REFERENCE_TOTAL, candidate.parameters)
    return number(total_variation(other, laws.retention(REFERENCE_TOTAL)), 2)
