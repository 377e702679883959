"""Intervals and tests against closed forms, published examples, scipy, and their coverage in simulations.

Published intervals are given to the digits that were printed.
"""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.comparison.statistics import (
    Interval,
    over_seeds,
    over_seeds_and_examples,
    paired_effect,
    paired_shares,
    share_effect,
    sign_flip,
    unpaired_effect,
    unpaired_seeds_and_examples,
    unpaired_shares,
    welch,
    wilson,
)

# Darwin's Zea mays: cross- minus self-fertilised height of 15 pairs, eighths of an inch (Fisher 1935, section 21)
ZEA = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
# Student (1908): hours of sleep gained by ten patients with two drugs
SLEEP = (
    np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]),
    np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]),
)
TRIALS, EXAMPLES = 1000, 250
BINOMIAL = math.sqrt(0.95 * 0.05 / TRIALS)  # standard error of a coverage of 95 %: 0.7 points


def cells(both: int, first: int, second: int, neither: int) -> tuple[Any, Any]:
    """Two runs with so many examples right in both, in one alone, and in neither."""
    counts = (both, first, second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


@pytest.mark.parametrize(
    ("right", "examples", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_examples(right, examples, low, high):
    """Newcombe (1998), Stat. Med. 17, 857, table I, method 3."""
    assert wilson(right, examples) == pytest.approx((low, high), abs=5e-5)


def test_shares_of_two_groups_give_newcombes_example():
    """56/70 against 48/80: Newcombe (1998), Stat. Med. 17, 873, table II, method 10."""
    found = unpaired_shares((56, 70), (48, 80))
    assert ends(found) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    z = 0.2 / math.sqrt(104 / 150 * 46 / 150 * (1 / 70 + 1 / 80))  # of the pooled share
    assert found.p == pytest.approx(2 * stats.norm.sf(z), rel=1e-9)
    assert ends(unpaired_shares((48, 80), (56, 70))) == pytest.approx((-0.3339, -0.0524), abs=5e-5)
    assert unpaired_shares((20, 20), (20, 20)).p == 1.0  # no wrong answer: chi-squared is not defined


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((20, 12, 2, 16), 0.0129),  # two media for tubercle bacilli: Armitage and Berry (1994), p. 127
        ((59, 6, 16, 80), 0.0525),  # 6 against 16: the worked example of mid-p by Fagerland et al. (2013), "0.053"
        ((1, 1, 7, 12), 0.0703),  # airway hyper-responsiveness: Fagerland, Lydersen and Laake (2014), "0.070"
    ],
)
def test_mcnemars_exact_p_gives_published_values(counts, p):
    assert paired_shares(*cells(*counts)).p == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high", "digits"),
    [
        ((1, 1, 7, 12), -0.507, -0.026, 5e-4),  # Fagerland, Lydersen and Laake (2014), Stat. Med. 33, 2850
        ((36, 12, 2, 0), 0.0569, 0.3404, 5e-5),  # Newcombe (1998), Stat. Med. 17, 2635, method 10
    ],
)
def test_paired_shares_give_published_intervals(counts, low, high, digits):
    assert ends(paired_shares(*cells(*counts))) == pytest.approx((low, high), abs=digits)


def test_paired_shares_of_independent_answers_are_those_of_groups():
    """No correlation, phi = 0: what is left is square-and-add of the two groups."""
    paired, groups = paired_shares(*cells(12, 12, 8, 8)), unpaired_shares((24, 40), (20, 40))
    assert ends(paired) == pytest.approx(ends(groups), rel=1e-12)


def test_the_same_answers_are_no_difference():
    found = paired_shares(*cells(30, 0, 0, 10))
    assert (found.value, found.low, found.p) == (0.0, None, 1.0)


def test_the_paired_t_gives_students_sleep():
    """As R prints for `t.test(extra ~ group, data = sleep, paired = TRUE)`: t = -4.0621, df = 9, p-value = 0.002833."""
    found = over_seeds(SLEEP[0] - SLEEP[1])
    assert ends(found) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.error is not None
    assert found.value / found.error == pytest.approx(-4.0621, abs=5e-5)


def test_welch_gives_students_sleep():
    """As R prints for `t.test(extra ~ group, data = sleep)`: p-value = 0.07939, -3.3654832 to 0.2054832."""
    found = welch(*SLEEP)
    assert ends(found) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert found.p == pytest.approx(0.07939, abs=5e-6)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_intervals_over_seeds_are_scipys(level):
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.4, 0.01, 5), generator.normal(0.41, 0.03, 3)
    one: Any = stats.ttest_1samp(a - 0.38, 0)
    two: Any = stats.ttest_ind(a, b, equal_var=False)
    assert ends(over_seeds(a - 0.38, level)) == pytest.approx(tuple(one.confidence_interval(level)), rel=1e-9)
    assert over_seeds(a - 0.38, level).p == pytest.approx(one.pvalue, rel=1e-9)
    assert ends(welch(a, b, level)) == pytest.approx(tuple(two.confidence_interval(level)), rel=1e-9)
    assert welch(a, b, level).p == pytest.approx(two.pvalue, rel=1e-9)


def test_signs_give_fishers_count():
    """Fisher (1935): 863 of the 32,768 sums are as large as Darwin's, so 2 * 863 are as far from 0."""
    assert sign_flip(ZEA) == 2 * 863 / 2**15
    assert over_seeds(ZEA).p == pytest.approx(0.0497, abs=5e-5)  # t = 2.148, 14 degrees of freedom, in the same section
    assert sign_flip(np.array([1.0, 2, 3, 4, 5, 6])) == 2 / 2**6  # all of one sign
    assert sign_flip(ZEA[:5]) is None
    assert sign_flip(np.ones(16)) is None


def test_mean_squares_are_those_of_a_two_way_table():
    """Seeds without examples' variation, and examples without seeds': each alone is its own closed form."""
    generator = np.random.default_rng(2)
    by_seed, by_example = generator.normal(size=4), generator.normal(size=50)
    seeds = over_seeds_and_examples(np.repeat(by_seed[:, None], 50, 1))
    assert ends(seeds) == pytest.approx(ends(over_seeds(by_seed)), rel=1e-9)
    examples = over_seeds_and_examples(np.repeat(by_example[None], 4, 0))
    half = stats.norm.ppf(0.975) * stats.sem(by_example)
    assert ends(examples) == pytest.approx((by_example.mean() - half, by_example.mean() + half), rel=1e-9)
    assert examples.p == pytest.approx(2 * stats.norm.sf(abs(by_example.mean()) / stats.sem(by_example)), rel=1e-9)
    both = over_seeds_and_examples(by_seed[:, None] + by_example)
    assert both.error == pytest.approx(math.hypot(stats.sem(by_seed), stats.sem(by_example)), rel=1e-9)


def test_an_interval_leaves_out_0_where_p_is_below_its_level():
    """The same statistic decides both: at level 1 - p an end of the interval is 0."""
    generator = np.random.default_rng(3)
    values = generator.integers(-1, 2, (4, 60)) + generator.normal(0.1, 0.2, (4, 1))
    found = over_seeds_and_examples(values)
    assert found.p is not None
    assert min(map(abs, ends(over_seeds_and_examples(values, 1 - found.p)))) == pytest.approx(0, abs=1e-9)


def test_what_did_not_vary_has_no_interval():
    for found in (
        over_seeds(np.array([0.1, 0.3 - 0.2, 0.1])),
        welch(np.full(2, 0.3), np.full(3, 0.2)),
        over_seeds_and_examples(np.zeros((2, 9))),
        unpaired_seeds_and_examples(np.ones((2, 9), bool), np.ones((3, 9), bool)),
    ):
        assert (found.low, found.high, found.p, found.detectable) == (None, None, None, None)
    assert welch(np.full(2, 0.3), np.array([0.1, 0.2, 0.4])).low is not None


def test_seeds_equal_by_chance_are_not_taken_for_seeds_that_do_not_vary():
    """Both rows have a mean of 0.5, on other examples: the error is that of a share of 16 answers, at least."""
    values = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 0, 0]])
    error = over_seeds_and_examples(values).error
    assert error is not None
    assert error > 0.8 * math.sqrt(0.25 / 16)  # the rest's mean square is 2/7, where 1/4 is that of a fair coin


def test_effect_sizes_are_those_of_their_definitions():
    """Hedges' factor, published approximation 1 - 3 / (4 df - 1), is good to 0.1 % at 9 degrees (Hedges 1981)."""
    differences = SLEEP[0] - SLEEP[1]
    size = differences.mean() / differences.std(ddof=1)  # Cohen's d_z
    found = paired_effect(differences)
    assert found is not None
    assert found.value == pytest.approx(size * (1 - 3 / (4 * 9 - 1)), rel=1e-3)
    # The interval's ends are noncentralities that leave 2.5 % on the other side of the t that was seen.
    factor, t = found.value / size, size * math.sqrt(10)
    for end, tail in ((found.low, stats.nct.sf), (found.high, stats.nct.cdf)):
        assert end is not None
        assert tail(t, 9, end / factor * math.sqrt(10)) == pytest.approx(0.025, abs=1e-5)  # six digits of the inverse
    pooled = math.sqrt((SLEEP[0].var(ddof=1) + SLEEP[1].var(ddof=1)) / 2)
    groups = unpaired_effect(*SLEEP)
    assert groups is not None
    assert groups.value == pytest.approx(-1.58 / pooled * (1 - 3 / (4 * 18 - 1)), rel=1e-3)
    assert share_effect(1.0, 0.0).value == pytest.approx(math.pi)
    assert paired_effect(differences[:2]) is None  # the factor is 0 at one degree of freedom
    assert unpaired_effect(np.ones(2), np.ones(2)) is None


class Model:
    """Answers of two arms: right where a sum of normals is positive, so every expectation is known in closed form.

    Sizes are standard deviations: of examples in common and an arm each, of seeds in common and an arm each, where the
    rest, of an answer by itself, has 1.
    """

    def __init__(
        self, level: float, gain: float, examples: float, own_examples: float, seeds: float, own_seeds: float
    ) -> None:
        self.levels = np.array([level + gain / 2, level - gain / 2])
        self.sizes = examples, own_examples, seeds, own_seeds
        self.accuracies = stats.norm.cdf(self.levels / math.sqrt(1 + sum(size**2 for size in self.sizes)))
        self.difference = float(self.accuracies[0] - self.accuracies[1])

    def draw(self, generator: np.random.Generator, seeds: int, examples: int, pairs: bool = True) -> Any:
        """Answers (2, seeds, examples), and the difference on this test split over all seeds."""
        common, own, seed, own_seed = self.sizes
        hard = common * generator.normal(size=examples) + own * generator.normal(size=(2, examples))
        luck = seed * generator.normal(size=(1 if pairs else 2, seeds)) + own_seed * generator.normal(size=(2, seeds))
        latent = (self.levels[:, None] + hard)[:, None, :] + luck[:, :, None]
        here = stats.norm.cdf((self.levels[:, None] + hard) / math.sqrt(1 + seed**2 + own_seed**2)).mean(1)
        return generator.standard_normal(latent.shape, np.float32) < latent, float(here[0] - here[1])


def inside(found: Interval, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


# Accuracies of about 0.3, 0.6 and 0.9, with seeds that differ by 1 to 4 points.
LOW = Model(-1.0, 0.1, 1.5, 0.7, 0.1, 0.15)
MIDDLE = Model(0.4, 0.1, 1.0, 0.5, 0.05, 0.1)
HIGH = Model(2.5, 0.1, 1.5, 0.7, 0.1, 0.3)
CHURN = Model(
    0.4, 0.1, 1.0, 0.5, 0.0, 0.0
)  # seeds of an arm differ in which examples they have right, and in nothing else


@pytest.mark.parametrize("seeds", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 10))])
@pytest.mark.parametrize(
    "model",
    [pytest.param(LOW, marks=pytest.mark.slow), MIDDLE, pytest.param(HIGH, marks=pytest.mark.slow)],
    ids=["0.3", "0.6", "0.9"],
)
def test_intervals_cover(model, seeds):
    """In 93 to 97 of 100, and 3 binomial standard errors of 1,000 trials: over examples, on this split, of a mean."""
    generator, covered = np.random.default_rng(seeds), np.zeros(3)
    for _ in range(TRIALS):
        answers, here = model.draw(generator, seeds, EXAMPLES)
        signed = answers[0].astype(np.int8) - answers[1]
        covered += (
            inside(over_seeds_and_examples(signed), model.difference),
            inside(over_seeds(signed.mean(1)), here),
            inside(over_seeds_and_examples(answers[0]), model.accuracies[0]),
        )
    assert (covered / TRIALS > 0.93 - 3 * BINOMIAL).all(), covered
    assert (covered / TRIALS < 0.97 + 3 * BINOMIAL).all(), covered


@pytest.mark.parametrize("seeds", [2, 3])
def test_intervals_are_too_wide_rather_than_too_narrow_where_seeds_are_few_and_alike(seeds):
    generator, covered = np.random.default_rng(seeds), np.zeros(2)
    for _ in range(TRIALS):
        answers, _ = CHURN.draw(generator, seeds, EXAMPLES, pairs=False)
        covered += (
            inside(over_seeds_and_examples(answers[0].astype(np.int8) - answers[1]), CHURN.difference),
            inside(unpaired_seeds_and_examples(*answers), CHURN.difference),
        )
    assert (covered / TRIALS > 0.95 - 3 * BINOMIAL).all(), covered


@pytest.mark.parametrize("seeds", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_intervals_of_seeds_that_are_no_pairs_cover(seeds):
    generator, covered = np.random.default_rng(seeds), np.zeros(2)
    for _ in range(TRIALS):
        answers, here = MIDDLE.draw(generator, seeds, EXAMPLES, pairs=False)
        covered += (
            inside(unpaired_seeds_and_examples(*answers), MIDDLE.difference),
            inside(welch(answers[0].mean(1), answers[1].mean(1)), here),
        )
    assert (covered / TRIALS > 0.93 - 3 * BINOMIAL).all(), covered
    assert (covered / TRIALS < 0.97 + 3 * BINOMIAL).all(), covered


@pytest.mark.slow
def test_intervals_of_one_seed_cover_what_they_are_about():
    """The two runs, on other examples: where seeds do not vary, that is the difference of the arms."""
    generator, covered, trials = np.random.default_rng(0), np.zeros(2), 500
    for _ in range(trials):
        answers, _ = CHURN.draw(generator, 1, 400)
        right = answers[:, 0].sum(1)
        covered += (
            inside(paired_shares(answers[0, 0], answers[1, 0]), CHURN.difference),
            inside(unpaired_shares((int(right[0]), 400), (int(right[1]), 400)), CHURN.difference),
        )
    assert abs(covered[0] / trials - 0.95) < 3 * math.sqrt(0.95 * 0.05 / trials)
    assert covered[1] >= covered[0]  # as if unpaired: wider


@pytest.mark.parametrize("seeds", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 5))])
def test_copies_are_no_different_in_95_of_100(seeds):
    """Two arms of one model: a difference is found in 5 of 100 at the most, and 3 binomial standard errors."""
    copy, generator, found = Model(0.4, 0.0, 1.0, 0.5, 0.0, 0.0 if seeds == 1 else 0.1), np.random.default_rng(7), 0
    trials = 500
    for _ in range(trials):
        answers, _ = copy.draw(generator, seeds, EXAMPLES)
        if seeds == 1:
            p = paired_shares(answers[0, 0], answers[1, 0]).p
        else:
            p = over_seeds_and_examples(answers[0].astype(np.int8) - answers[1]).p
        found += p is not None and p < 0.05
    assert found / trials < 0.05 + 3 * math.sqrt(0.95 * 0.05 / trials)


def test_a_difference_is_found_as_often_as_is_told():
    """Student's part alone, where the power is exact: of the detectable difference, in 80 of 100."""
    generator, found = np.random.default_rng(5), 0
    one = over_seeds(generator.normal(0, 0.02, 5))
    assert one.detectable is not None
    assert one.error is not None
    truth = one.detectable / one.error * 0.02 / math.sqrt(5)  # at the true error in place of the one that was estimated
    for _ in range(TRIALS):
        p = over_seeds(generator.normal(truth, 0.02, 5)).p
        found += p is not None and p < 0.05
    assert abs(found / TRIALS - 0.8) < 3 * math.sqrt(0.8 * 0.2 / TRIALS)


def test_six_points_are_found_with_five_seeds_in_90_of_100():
    """Differences a pair spread by 1.6 points over seeds; 2,000 test examples. Measured: 100, with three seeds 88."""
    model, generator, found = Model(0.4, 0.24, 1.0, 0.5, 0.05, 0.03), np.random.default_rng(6), 0
    assert model.difference == pytest.approx(0.0615, abs=5e-5)
    for _ in range(200):
        answers, _ = model.draw(generator, 5, 2000)
        low = over_seeds_and_examples(answers[0].astype(np.int8) - answers[1]).low
        found += low is not None and low > 0
    assert found / 200 > 0.9


def test_an_effect_beyond_measure_has_no_interval():
    """Its search takes minutes where t is large; seeds that hardly differ make it so."""
    nearly = np.array([5.1, 5.100001, 5.100002])
    found = unpaired_effect(nearly, np.array([1.2, 1.200001, 1.2]))
    assert found is not None
    assert found.value > 1e6
    assert (found.low, found.high) == (None, None)
    assert paired_effect(0.1 + 1e-6 * np.arange(5.0)) is not None
