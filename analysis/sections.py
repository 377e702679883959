"""The sections on biology and law: short-term and long-term plasticity, retention, astrocytes, networks."""

from analysis import plots, views
from analysis.collect import Inputs, LawsFile
from analysis.curves import TOTALS, hidden_spread, retention_curves
from analysis.parts import Heading, Plot, Section, Table, Text, number, quantity, r_squared, rows_of, share, typeset
from analysis.views import plasticity
from bridge import describe
from bridge.laws import WEIGHTS


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
    told, family = quantity(largest, law.unit, 2), describe.plain(law.family)
    left = "data minus law" if law.noise == "levels" else "each sample minus what the law makes of the one before"
    caption = (
        f"{each.path}: {family} law over pˡ at the ends of {n} cycles, averaged over {describe.averaged(laws)}; below, "
        f"{left} (largest {told}, {share(largest, law.amplitude.value)} of saturation). Dashed: extrapolated beyond "
        "the simulated cycles."
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
    elif describe.unfitted(laws) is not None:
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
    laws, beyond = each.laws, describe.extrapolated(each.laws, TOTALS)
    curves = retention_curves(laws)
    banded = any(curve.edges is not None for curve in curves)
    marks = [describe.perturbed(laws), describe.unidentified(laws)]
    if beyond:
        marks.append(
            f"Only {laws.fitted_cycles} cycles were simulated: T = {', '.join(map(str, beyond))} is extrapolation "
            f"(dashed). {describe.BAND if banded else 'No band says how far off it may be.'}"
        )
    section.add(*(Text(typeset(mark), note=True) for mark in marks if mark))
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
            "RetentionFactor(t, T) of the first, the middle and the last segment",
            *rows_of(describe.factors(laws, TOTALS)),
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
        Table(
            typeset(describe.candidates_caption(laws.document.retention)),
            *rows_of(describe.candidates(laws)),
            ["parameters", "converged"],
            sortable=True,
        ),
        Table(
            "How the law follows its curve",
            *rows_of(describe.quality(laws)),
            ["unit"],
        ),
        Text(typeset(describe.evidence_clause(laws))),
        Table(typeset(describe.evidence_caption(laws)), *rows_of(describe.evidence_table(laws))),
    )
