"""A comparison in words, rows and JSON, for the terminal and the report."""

from dataclasses import asdict
from typing import Any

from analysis.comparison.compare import METHODS, Comparison, Difference
from analysis.comparison.statistics import Interval

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]
SCHEMA_VERSION = 1
UNKNOWN = "how much seeds vary is not known"


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """For JSON: everything, and the sentences of the verdicts."""
    raw = {"schema_version": SCHEMA_VERSION, "baseline": comparison.baseline, **asdict(comparison)}
    for row, difference in zip(raw["differences"], comparison.differences, strict=True):
        row["method"] = METHODS[difference.method]
        row["over_seeds"] = difference.over_seeds
        row["sentence"] = sentence(comparison, difference)
    return raw


def sentences(comparison: Comparison) -> list[str]:
    """The verdict on every arm."""
    return [sentence(comparison, difference) for difference in comparison.differences]


def methods(comparison: Comparison) -> list[str]:
    """How the arms were compared, each way once."""
    return [METHODS[name] for name in dict.fromkeys(difference.method for difference in comparison.differences)]


def lines(comparison: Comparison) -> list[str]:
    """All that is told below the tables: verdicts, how they were made, what else must be known, what was left out."""
    left_out = [f"left out: {why}" for why in comparison.left_out]
    return [*sentences(comparison), "", *methods(comparison), *comparison.notes, *left_out]


def sentence(comparison: Comparison, difference: Difference) -> str:
    """The verdict on one arm, with its interval, or what could not have been seen."""
    arm, baseline, estimate = difference.arm, difference.baseline, difference.estimate

    def size(value: float) -> str:
        return f"{_written(comparison, value, estimate)} {_unit(comparison)}"

    alone = "" if difference.over_seeds else "one seed each: "
    nothing = f"{alone}no difference shown between {arm} and {baseline}: "
    if estimate.low is None or estimate.high is None:
        seeds, minus = len(difference.seeds[0]), f"{alone}{arm} minus {baseline} is {size(estimate.value)}"
        if difference.method == "one, examples":
            return f"{nothing}both have the same examples right"
        if alone:
            return f"{minus}; {UNKNOWN}, so no difference is shown"
        if estimate.value == 0:
            return f"{nothing}the same with every seed ({seeds} seeds)"
        return (
            f"{minus} with every one of {seeds} seeds: nothing varies, so no interval can be made, and the difference "
            "is not shown to hold for others; more seeds are needed"
        )
    if difference.verdict == "none":
        told = f"{nothing}{size(estimate.value)} {_details(comparison, difference, estimate.low, estimate.high)}"
        if estimate.detectable is not None:
            told += f"; a true difference of {size(estimate.detectable)} would be shown in 8 of 10 such comparisons"
        return f"{told}; {UNKNOWN}" if alone else told
    first, second = (arm, baseline) if difference.verdict == "better" else (baseline, arm)
    details = _details(comparison, difference, *sorted((abs(estimate.low), abs(estimate.high))))
    by = f"by {size(abs(estimate.value))} {details}"
    if alone:
        told = f"{alone}the run of {first} is better than that of {second} {by}"
        return f"{told}; {UNKNOWN}, so this says nothing of other seeds"
    return f"{first} is better than {second} {by}"


def arm_rows(comparison: Comparison) -> Rows:
    """Head and rows of the table of arms."""
    metric = "bits a token" if _of_bits(comparison) else "accuracy (%)"
    rows = [
        (
            arm.name,
            ", ".join(map(str, arm.seeds)),
            _written(comparison, arm.mean),
            _between(comparison, arm.low, arm.high),
            arm.over,
            ", ".join(_written(comparison, value) for value in arm.values),
        )
        for arm in comparison.arms
    ]
    return ("arm", "seed numbers", f"mean {metric}", "95 % interval", "over", "of each seed"), rows


def difference_rows(comparison: Comparison) -> Rows:
    """Head and rows of the table of differences from the baseline."""
    rows = []
    for difference in comparison.differences:
        estimate, effect, p = difference.estimate, difference.effect, difference.p
        size = "-"
        if effect is not None:
            known = effect.low is not None and effect.high is not None
            between = f" ({effect.low:.2f} to {effect.high:.2f})" if known else ""
            size = f"{effect.value:.2f}{between} {effect.name}"
        this = "" if difference.over_seeds or difference.verdict == "none" else ", this run"
        rows.append(
            (
                difference.arm,
                _written(comparison, estimate.value, estimate),
                _between(comparison, estimate.low, estimate.high, estimate),
                "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}",
                size,
                "-" if estimate.detectable is None else _written(comparison, estimate.detectable, estimate),
                f"{difference.verdict}{this}",
            )
        )
    head = (f"against {comparison.baseline}", _unit(comparison), f"{_many(comparison)}95 % interval", "p")
    return (*head, "effect size", "seen 8 of 10", "verdict"), rows


def _of_bits(comparison: Comparison) -> bool:
    return comparison.metric == "bits_per_token"


def _unit(comparison: Comparison) -> str:
    return "bits a token" if _of_bits(comparison) else "points"


def _many(comparison: Comparison) -> str:
    return "simultaneous " if len(comparison.differences) > 1 else ""


def _details(comparison: Comparison, difference: Difference, low: float, high: float) -> str:
    """An interval and what it is over, in brackets."""
    ours, theirs = difference.seeds
    if difference.method.startswith("one"):
        which = f"seed {ours[0]}" if ours == theirs else f"seeds {ours[0]} and {theirs[0]}"
        over = f"{comparison.examples:,} examples, {which}"
    else:
        over = f"{len(ours)} seeds" if difference.method.startswith("pairs") else f"{len(ours)} and {len(theirs)} seeds"
    between = _between(comparison, low, high, difference.estimate)
    return f"({_many(comparison)}95 % interval {between}; {over})"


def _between(comparison: Comparison, low: float | None, high: float | None, estimate: Interval | None = None) -> str:
    if low is None or high is None:
        return "-"
    return " to ".join(_written(comparison, end, estimate) for end in (low, high))


def _written(comparison: Comparison, value: float, estimate: Interval | None = None) -> str:
    """Points to one digit, to two where the interval is within one point of its middle; bits to three."""
    narrow = estimate is not None and estimate.low is not None and (estimate.high or 0.0) - estimate.low <= 0.02
    text = f"{value:.3f}" if _of_bits(comparison) else f"{100 * value:.{2 if narrow else 1}f}"
    return text.lstrip("-") if float(text) == 0 else text
