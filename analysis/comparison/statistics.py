"""Intervals and tests for accuracies of runs that differ in their seed, in the test examples, or in both.

Two things vary. Seeds: another seed would have given another run. Examples: another test split would have asked other
questions, and all runs were asked the same ones, so more seeds do not average it out. Where it is known which examples
a run has answered, both are estimated, as readers and cases are in the evaluation of medical images (Hillis 2007, Stat.
Med. 26, 596). Few seeds say little of how seeds vary, many examples say well how examples do. So their parts of an
interval are made apart, seeds' with Student's t and examples' with the normal distribution, and added in squares
(Graybill and Wang 1980, JASA 75, 869). With Satterthwaite's degrees of freedom, as Hillis has it, 95 % intervals cover
87 to 93 of 100 with two seeds and 92 to 94 with three; these cover 96 to 99 and 94 to 98.

Shapes: (seeds,) of values a run, (seeds, examples) of values an example.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

LEVEL = 0.95
POWER = 0.8
FEWEST_SIGNS = 6  # 2 / 2**5 = 0.063: below six seeds no choice of signs is rarer than 5 %
MOST_T = 1e3  # of an effect size's interval, which is sought the longer the larger t is
MOST_SIGNS = 15  # 2**15 choices, a tenth of a second
Floats = NDArray[np.float64]
Answers = NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A mean or a difference with its interval, in the unit of what went in.

    Attributes
    ----------
    value : float
    low, high : float or None
        Interval at ``level``; None where nothing varied, so that nothing is known of its size.
    p : float or None
        Two-sided, of the value 0.
    error : float or None
        Standard error.
    detectable : float or None
        The true value that such an interval would exclude 0 for in 8 of 10 repetitions, were ``error`` exact.
    level : float
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    error: float | None
    detectable: float | None
    level: float


@dataclass(frozen=True)
class EffectSize:
    """An effect size with its 95 % interval, where it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def wilson(right: int, examples: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927, JASA 22, 209)."""
    ends = stats.binomtest(right, examples).proportion_ci(level, "wilson")
    return float(ends.low), float(ends.high)


def over_seeds(values: Floats, level: float = LEVEL) -> Interval:
    """Mean over seeds with Student's interval; of differences a pair this is the paired t-test.

    It is about these test examples: others are not in it.

    Parameters
    ----------
    values : array (seeds,)
        Two or more.
    level : float
    """
    values = np.asarray(values, dtype=float)
    return _student(float(values.mean()), [(_error_squared(values), len(values))], 0.0, level)


def welch(first: Floats, second: Floats, level: float = LEVEL) -> Interval:
    """Difference of means over seeds that are no pairs, first minus second: Welch's interval.

    Parameters
    ----------
    first, second : array (seeds,)
        Two or more each; not equally many, not equally spread.
    level : float
    """
    arms = [np.asarray(arm, dtype=float) for arm in (first, second)]
    value = float(arms[0].mean() - arms[1].mean())
    return _student(value, [(_error_squared(arm), len(arm)) for arm in arms], 0.0, level)


def over_seeds_and_examples(values: NDArray[Any], level: float = LEVEL) -> Interval:
    """Mean over seeds and examples that are both a sample: of right answers, or of differences between two arms.

    A crossed layout with one value a cell: value = mean + seed + example + rest. The mean squares of seeds (S),
    examples (E) and rest (R) give the variance of the mean, (S + max(E - R, 0)) / (seeds * examples).

    Parameters
    ----------
    values : array (seeds, examples)
        Two or more of both. Differences of answers are -1, 0 or 1.
    level : float
    """
    values = np.asarray(values, dtype=float)
    of_seeds, of_examples, rest = _mean_squares(values)
    # Seeds equal by chance, as counts can be: then the rest is all that is known.
    seeds = [((of_seeds or rest) / values.size, len(values))]
    return _student(float(values.mean()), seeds, max(of_examples - rest, 0.0) / values.size, level)


def unpaired_seeds_and_examples(first: NDArray[Any], second: NDArray[Any], level: float = LEVEL) -> Interval:
    """Difference of two arms over seeds that are no pairs and examples that are, first minus second.

    As `over_seeds_and_examples`, with the seeds of each arm by themselves and Welch's degrees of freedom.

    Parameters
    ----------
    first, second : array (seeds, examples)
        Right answers; two or more seeds each, the same examples in the same order.
    level : float
    """
    seeds, noise = [], 0.0
    for arm in (np.asarray(first, dtype=float), np.asarray(second, dtype=float)):
        of_seeds, _, rest = _mean_squares(arm)
        seeds.append(((of_seeds or rest) / arm.size, len(arm)))
        noise += rest / arm.size
    between = np.mean(first, axis=0) - np.mean(second, axis=0)  # (examples,)
    spread = float(between.var(ddof=1)) / len(between)
    return _student(float(between.mean()), seeds, max(spread - noise, 0.0), level)


def paired_shares(first: Answers, second: Answers, level: float = LEVEL) -> Interval:
    """Difference of the right answers of two runs on the same examples, first minus second.

    The interval is Newcombe's for paired shares, the p value that of McNemar's exact test. It is about these two
    runs: other seeds are not in it.

    Parameters
    ----------
    first, second : array of bool (examples,)
    level : float

    Notes
    -----
    Newcombe (1998), Stat. Med. 17, 2635, method 10; McNemar (1947), Psychometrika 12, 153.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    both, one = int((first & second).sum()), int((first & ~second).sum())
    other, neither = int((~first & second).sum()), int((~first & ~second).sum())
    examples = both + one + other + neither
    if not one and not other:
        return Interval(0.0, None, None, 1.0, None, None, level)
    margins = (both + one) * (other + neither) * (both + other) * (one + neither)
    together = both * neither - one * other
    together = max(together - examples / 2, 0.0) if together > 0 else together
    correlation = together / math.sqrt(margins) if margins else 0.0
    p = float(stats.binomtest(one, one + other).pvalue)
    return _square_and_add((both + one, examples), (both + other, examples), correlation, p, level)


def unpaired_shares(first: tuple[int, int], second: tuple[int, int], level: float = LEVEL) -> Interval:
    """Difference of two shares, first minus second, as if each had examples of its own.

    On the same examples runs agree more often than by chance, so this interval is then wider than a paired one. The
    p value is that of the chi-squared test.

    Parameters
    ----------
    first, second : (right, examples)
    level : float

    Notes
    -----
    Newcombe (1998), Stat. Med. 17, 873, method 10.
    """
    table = np.array([[right, examples - right] for right, examples in (first, second)])
    chi_squared: Any = stats.chi2_contingency(table, correction=False) if table.sum(0).all() else None
    return _square_and_add(first, second, 0.0, 1.0 if chi_squared is None else float(chi_squared.pvalue), level)


def sign_flip(values: Floats) -> float | None:
    """Two-sided p value of a mean of 0 by all choices of the pairs' signs (Fisher 1935); for any distribution.

    None below six pairs, where it cannot be small, and above fifteen, where the choices are too many.
    """
    if not FEWEST_SIGNS <= len(values) <= MOST_SIGNS:
        return None
    data, choices = (np.asarray(values, dtype=float),), 2**MOST_SIGNS
    signs = stats.permutation_test(data, np.mean, permutation_type="samples", n_resamples=choices, vectorized=True)
    return float(signs.pvalue)


def paired_effect(values: Floats) -> EffectSize | None:
    """Hedges' g of differences a pair: their mean over their standard deviation, made smaller for few pairs.

    The interval is exact for normal differences, and wide: with five pairs its half width is about 1. None for fewer
    than three.
    """
    count = len(values)
    if count < 3 or _constant(values):
        return None
    size = float(np.mean(values) / np.std(values, ddof=1))
    return _hedges(size, _noncentral(size * math.sqrt(count), count - 1), math.sqrt(count), count - 1)


def unpaired_effect(first: Floats, second: Floats) -> EffectSize | None:
    """Hedges' g of two groups: difference of means over the pooled standard deviation, made smaller for few seeds."""
    counts = len(first), len(second)
    freedom = sum(counts) - 2
    pooled = sum((len(arm) - 1) * float(np.var(arm, ddof=1)) for arm in (first, second)) / freedom
    if freedom < 2 or (_constant(first) and _constant(second)):
        return None
    size = float(np.mean(first) - np.mean(second)) / math.sqrt(pooled)
    scale = math.sqrt(counts[0] * counts[1] / sum(counts))
    return _hedges(size, _noncentral(size * scale, freedom), scale, freedom)


def share_effect(first: float, second: float) -> EffectSize:
    """Cohen's h of two shares: the difference of their angles 2 arcsin sqrt(share)."""
    return EffectSize("Cohen's h", 2 * (math.asin(math.sqrt(first)) - math.asin(math.sqrt(second))))


def _constant(values: Any) -> bool:
    """Whether all are the same, but for the last bits that a difference of shares leaves."""
    values = np.asarray(values, dtype=float)
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _mean_squares(values: Floats) -> tuple[float, float, float]:
    """Mean squares of seeds, of examples and of the rest; values (seeds, examples). 0 where there is no variation."""
    seeds, examples = values.shape
    by_seed, by_example = values.mean(1), values.mean(0)
    of_seeds = 0.0 if _constant(by_seed) else examples * float(by_seed.var(ddof=1))
    of_examples = seeds * float(by_example.var(ddof=1))
    rest = values - by_seed[:, None] - by_example + values.mean()
    squares = float((rest**2).sum()) / ((seeds - 1) * (examples - 1))
    return of_seeds, of_examples, squares if squares > 1e-18 else 0.0


def _error_squared(values: Floats) -> float:
    return 0.0 if _constant(values) else float(stats.sem(values)) ** 2


def _student(value: float, seeds: list[tuple[float, int]], examples: float, level: float) -> Interval:
    """From the variances that so many seeds gave, each with its own freedom, and the one of examples, well known."""
    of_seeds = sum(part for part, _ in seeds)
    if not of_seeds and not examples:
        return Interval(value, None, None, None, None, None, level)
    below = sum(part**2 / (count - 1) for part, count in seeds)
    freedom = of_seeds**2 / below if below else 1.0

    def half(outside: float) -> float:
        """Half an interval that leaves out a share of ``outside``."""
        student, normal = special.stdtrit(freedom, outside / 2), special.ndtri(outside / 2)
        return math.sqrt((student**2 * of_seeds if of_seeds else 0.0) + (normal**2 * examples if examples else 0.0))

    width, bound = half(1 - level), float(special.stdtrit(freedom, 0.5 + level / 2))
    seen = float(special.nctdtrinc(freedom, 1 - POWER, bound)) ** 2 * of_seeds + _normal_power(level) ** 2 * examples
    if of_seeds and examples:
        p = _where_zero(lambda outside: half(outside) - abs(value))
    else:
        ratio = -abs(value) / math.sqrt(of_seeds + examples)
        p = 2 * float(special.stdtr(freedom, ratio) if of_seeds else special.ndtr(ratio))
    return Interval(value, value - width, value + width, p, math.sqrt(of_seeds + examples), math.sqrt(seen), level)


def _where_zero(falling: Callable[[float], float]) -> float:
    """Where a falling function of (0, 1] crosses 0: bisected to the last bits."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _normal_power(level: float) -> float:
    """What a true value must be in standard errors for an interval to exclude 0 in 8 of 10 repetitions."""
    return float(special.ndtri(0.5 + level / 2) + special.ndtri(POWER))


def _square_and_add(
    first: tuple[int, int], second: tuple[int, int], correlation: float, p: float, level: float
) -> Interval:
    """Newcombe's interval of a difference from Wilson's of both shares."""
    a, b = (right / examples for right, examples in (first, second))
    (a_low, a_high), (b_low, b_high) = (wilson(*arm, level) for arm in (first, second))

    def half(x: float, y: float) -> float:
        return math.sqrt(max(x**2 - 2 * correlation * x * y + y**2, 0.0))

    low, high = a - b - half(a - a_low, b_high - b), a - b + half(a_high - a, b - b_low)
    error = (high - low) / (2 * float(special.ndtri(0.5 + level / 2)))
    return Interval(a - b, low, high, p, error, _normal_power(level) * error, level)


def _noncentral(t: float, freedom: float) -> Floats | None:
    """95 % interval of the noncentrality that a t of ``freedom`` came from; None where it would take too long."""
    if abs(t) > MOST_T:
        return None
    return np.array([special.nctdtrinc(freedom, 0.5 + side * LEVEL / 2, t) for side in (1, -1)])


def _hedges(size: float, ends: Floats | None, scale: float, freedom: float) -> EffectSize:
    smaller = math.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    if ends is None:
        return EffectSize("Hedges' g", smaller * size)
    return EffectSize("Hedges' g", smaller * size, *(float(smaller * end / scale) for end in ends))
