"""The sections on biology and law: short-term plasticity, long-term plasticity, retention."""

import numpy as np

from analysis import plots
from analysis.collect import Inputs, LawsFile
from analysis.curves import TOTALS, per_synapse, retention_curves
from analysis.parts import Heading, Plot, Plots, Section, Table, Text, interval, missing, number, r_squared
from analysis.words import extrapolated
from bridge import families
from bridge.laws import PAPER_EXPONENT, Candidate, Laws

REFERENCE_TOTAL = 16  # T at which families are compared: the most segments the paper names


def short_term(inputs: Inputs) -> Section:
    """p^s in one cycle a layout, its decay in space, calcium against rate."""
    section = Section("stp", "Short-term plasticity")
    _layouts(section, inputs)
    _spatial(section, inputs)
    _frequency(section, inputs)
    return section


def _layouts(section: Section, inputs: Inputs) -> None:
    section.add(Heading("One stimulation cycle, by layout"))
    found = inputs.of("stp")
    if not found:
        section.add(missing("stp dataset", "rmaat simulate stp --out stp.nc"))
    for each in found:
        data = each.data
        names = [str(name) for name in data["layout"].values]
        top = float(data["p_s"].max())
        drawn, rows = [], []
        for index, name in enumerate(names):
            p_s = per_synapse(data["p_s"].sel(layout=name))
            at = int(p_s.mean(axis=1).argmax())
            peak, time = p_s[at], float(data["time"][at])
            spread = float(np.ptp(peak) / peak.mean()) if peak.mean() else 0.0
            low, high, end = number(peak.min()), number(peak.max()), number(p_s[-1].mean())
            rows.append([name, number(peak.mean()), low, high, f"{100 * spread:.2g} %", number(time, 3), end])
            drawn.append(
                Plot(
                    plots.stp_layout(data, name, top, index),
                    f"Fast calcium over one cycle in the layout {name}: mean peak {number(peak.mean())} a.u. "
                    f"at {number(time, 3)} s, synapses from {low} to {high}; {end} a.u. at the cycle's end.",
                    f"{name}: pˢ of the {p_s.shape[1]} synapses (thin or band) and their mean (thick).",
                    260,
                )
            )
        section.add(
            Text(
                f"{each.path}: fast calcium pˢ rises and decays with the stimulus (grey while input is on). "
                "The input is the same in every layout; equal distances between processes give equal pˢ, "
                "others do not."
            ),
            Plots(drawn),
            Table(
                "pˢ at the peak of its mean over synapses, and at the end of the cycle (a.u.)",
                ["layout", "mean", "lowest", "highest", "spread / mean", "time (s)", "mean at the end"],
                rows,
            ),
        )


def _spatial(section: Section, inputs: Inputs) -> None:
    section.add(Heading("Decay in space"))
    found = inputs.of("spatial")
    if not found:
        section.add(missing("spatial dataset", "rmaat simulate spatial --out spatial.nc"))
    for each in found:
        laws = inputs.laws_from(each)
        decay = None if laws is None else laws.document.spatial_decay
        fitted = f"fitted decay {interval(decay)}" if decay else "no fit to it among the given laws"
        section.add(
            Plot(
                plots.spatial(each.data, laws),
                "Peak fast calcium of every process against its distance from the one active process, on a "
                f"logarithmic axis: {fitted}.",
                f"{each.path}: one active process; {fitted}"
                + (f". {_capital(decay.origin)}." if decay else ". Make one with rmaat fit."),
            )
        )


def _frequency(section: Section, inputs: Inputs) -> None:
    section.add(Heading("Calcium against stimulation rate"))
    found = inputs.of("frequency")
    if not found:
        section.add(missing("frequency dataset", "rmaat simulate frequency --out frequency.nc"))
    for each in found:
        laws = inputs.laws_from(each)
        alpha = None if laws is None else laws.document.presynaptic_exponent
        fitted = f"fitted exponent {interval(alpha)}" if alpha else "no fit to it among the given laws"
        section.add(
            Plot(
                plots.frequency(each.data, laws),
                f"Calcium proxy against stimulation rate, both axes logarithmic: {fitted}; the papers use "
                f"{PAPER_EXPONENT:g}.",
                f"{each.path}: {fitted}; dotted, the papers' {PAPER_EXPONENT:g}, for its slope alone"
                + (f". {_capital(alpha.origin)}." if alpha else ". Make one with rmaat fit."),
            )
        )


def long_term(inputs: Inputs) -> Section:
    """Traces over the cycles, and the law over its data."""
    section = Section("ltp", "Long-term plasticity")
    section.add(Heading("Repeated cycles"))
    found = inputs.of("ltp")
    if not found:
        section.add(missing("ltp dataset", "rmaat simulate ltp --out ltp.nc"))
    for each in found:
        ends = each.data["p_l_cycle"].mean(("post", "pre")).values
        section.add(
            Plot(
                plots.ltp_traces(each.data),
                f"Activity x, facilitation s, fast calcium and slow calcium over {len(ends) - 1} cycles; the "
                f"mean of slow calcium goes from {number(ends[0])} to {number(ends[-1])} a.u.",
                f"{each.path}: mean (line) and range over neurons or synapses (band); diamonds: pˡ at the "
                "ends of the cycles, which the law is fitted to; grey while input is on.",
                640,
            )
        )
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
    if candidate.family not in families.FAMILIES:
        return "–"
    other = families.get(candidate.family).retention(REFERENCE_TOTAL, candidate.parameters)
    return number(0.5 * float(np.abs(other - laws.retention(REFERENCE_TOTAL)).sum()), 2)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2g} %" if whole else "–"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
