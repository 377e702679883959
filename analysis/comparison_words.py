"""A comparison in words and rows, for the terminal and the report."""

from analysis.comparison import METHODS, Comparison, Difference
from analysis.statistics import Estimate

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]
UNKNOWN = "how much seeds vary is not known"


def sentences(comparison: Comparison) -> list[str]:
    """The verdict on every arm."""
    return [sentence(comparison, difference) for difference in comparison.differences]


def lines(comparison: Comparison) -> list[str]:
    """All that is told below the tables: verdicts, how they were made, what else must be known, what was left out."""
    told = [*sentences(comparison), "", *methods(comparison), *comparison.notes]
    return told + [f"left out: {each}" for each in comparison.left_out]


def sentence(comparison: Comparison, difference: Difference) -> str:
    """The verdict on one arm, with its interval, or what could not have been seen."""
    arm, baseline, found = difference.arm, difference.baseline, difference.estimate
    if found.low is None or found.high is None:
        return _without_interval(comparison, difference)
    details = f"({_interval(comparison, found)}; {_seeds(comparison, difference)})"
    if difference.verdict == "none":
        told = f"no difference shown between {arm} and {baseline}: {amount(comparison, found.value, found)} {details}"
        if found.detectable is not None:
            size = amount(comparison, found.detectable, found)
            told += f"; a true difference of {size} would be shown in 8 of 10 such comparisons"
        return told if difference.over_seeds else f"one seed each: {told}; {UNKNOWN}"
    first, second = (arm, baseline) if difference.verdict == "better" else (baseline, arm)
    size = amount(comparison, abs(found.value), found)
    ends = sorted((abs(found.low), abs(found.high)))
    details = f"({_interval(comparison, found, ends)}; {_seeds(comparison, difference)})"
    if difference.over_seeds:
        return f"{first} is better than {second} by {size} {details}"
    return (
        f"one seed each: the run of {first} is better than that of {second} by {size} {details}; "
        f"{UNKNOWN}, so this says nothing of other seeds"
    )


def _without_interval(comparison: Comparison, difference: Difference) -> str:
    arm, baseline, value = difference.arm, difference.baseline, difference.estimate.value
    size = amount(comparison, value, None)
    if difference.method == "one, examples":
        return f"one seed each: no difference shown between {arm} and {baseline}: both have the same examples right"
    if not difference.over_seeds:
        return f"one seed each: {arm} minus {baseline} is {size}; {UNKNOWN}, so no difference is shown"
    count = len(difference.seeds[0])
    if value == 0:
        return f"no difference shown between {arm} and {baseline}: the same with every seed ({count} seeds)"
    return (
        f"{arm} minus {baseline} is {size} with every one of {count} seeds: nothing varies, so no interval can be "
        "made, and the difference is not shown to hold for others; more seeds are needed"
    )


def arm_rows(comparison: Comparison) -> Rows:
    """Head and rows of the table of arms."""
    metric = "bits a token" if comparison.metric == "bits_per_token" else "accuracy (%)"
    rows = []
    for arm in comparison.arms:
        interval = "-" if arm.low is None or arm.high is None else f"{_value(comparison, arm.low)} to "
        interval += "" if arm.high is None else _value(comparison, arm.high)
        values = ", ".join(_value(comparison, value) for value in arm.values)
        seeds = ", ".join(map(str, arm.seeds))
        rows.append((arm.name, seeds, _value(comparison, arm.mean), interval, arm.over, values))
    return ("arm", "seed numbers", f"mean {metric}", "95 % interval", "over", "of each seed"), rows


def difference_rows(comparison: Comparison) -> Rows:
    """Head and rows of the table of differences from the baseline."""
    unit = "bits a token" if comparison.metric == "bits_per_token" else "points"
    rows = []
    for each in comparison.differences:
        found, effect = each.estimate, each.effect
        scale = _scale(comparison)
        between = "-"
        if found.low is not None and found.high is not None:
            between = " to ".join(_digits(comparison, scale * end, found) for end in (found.low, found.high))
        size = "-"
        if effect is not None:
            size = f"{effect.value:.2f}"
            size += "" if effect.low is None or effect.high is None else f" ({effect.low:.2f} to {effect.high:.2f})"
            size += f" {effect.name}"
        rows.append(
            (
                each.arm,
                _digits(comparison, scale * found.value, found),
                between,
                "-" if each.p is None else _p(each.p),
                size,
                "-" if found.detectable is None else _digits(comparison, scale * found.detectable, found),
                each.verdict if each.over_seeds or each.verdict == "none" else f"{each.verdict}, this run",
            )
        )
    many = "simultaneous " if len(comparison.differences) > 1 else ""
    head = (
        f"against {comparison.baseline}",
        unit,
        f"{many}95 % interval",
        "p",
        "effect size",
        "seen 8 of 10",
        "verdict",
    )
    return head, rows


def methods(comparison: Comparison) -> list[str]:
    """How the arms were compared, each way once."""
    return [METHODS[name] for name in dict.fromkeys(each.method for each in comparison.differences)]


def amount(comparison: Comparison, value: float, found: Estimate | None) -> str:
    """A difference with its unit."""
    unit = "bits a token" if comparison.metric == "bits_per_token" else "points"
    return f"{_digits(comparison, _scale(comparison) * value, found)} {unit}"


def _interval(comparison: Comparison, found: Estimate, ends: list[float] | None = None) -> str:
    many = "simultaneous " if len(comparison.differences) > 1 else ""
    low, high = ends or (found.low or 0.0, found.high or 0.0)
    shown = [_digits(comparison, _scale(comparison) * end, found) for end in (low, high)]
    return f"{many}95 % interval {shown[0]} to {shown[1]}"


def _seeds(comparison: Comparison, difference: Difference) -> str:
    ours, theirs = difference.seeds
    if difference.method.startswith("one"):
        which = f"seed {ours[0]}" if ours == theirs else f"seeds {ours[0]} and {theirs[0]}"
        return f"{comparison.examples:,} examples, {which}"
    return f"{len(ours)} seeds" if difference.method.startswith("pairs") else f"{len(ours)} and {len(theirs)} seeds"


def _scale(comparison: Comparison) -> float:
    return 1.0 if comparison.metric == "bits_per_token" else 100.0


def _value(comparison: Comparison, value: float) -> str:
    return f"{value:.3f}" if comparison.metric == "bits_per_token" else f"{100 * value:.1f}"


def _digits(comparison: Comparison, value: float, found: Estimate | None) -> str:
    """Points to one digit, to two where the interval is within one point of its middle; bits to three."""
    if comparison.metric == "bits_per_token":
        text = f"{value:.3f}"
    else:
        wide = found is None or found.low is None or found.high is None or found.high - found.low > 0.02
        text = f"{value:.1f}" if wide else f"{value:.2f}"
    return text.lstrip("-") if float(text) == 0 else text


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"
