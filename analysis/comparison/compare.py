"""Trained runs compared: arms against a baseline, over seeds and test examples, with what could not have been seen.

The verdict is that of an interval that is simultaneous over all comparisons with the baseline (Bonferroni: each at
1 - 0.05 / comparisons), so what is seen decides and nothing is decided that is not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from analysis.comparison import statistics
from analysis.comparison.arms import Result, arms, find
from analysis.comparison.statistics import LEVEL, EffectSize, Interval
from astro_sim.common.errors import InputError, did_you_mean

FEWEST_PAIRS = 3  # common seeds from which other seeds are left out for the sake of pairs
Verdict = Literal["better", "worse", "none"]
METHODS = {
    "pairs, examples": "paired over seeds; variation of seeds and of test examples",
    "pairs": "paired over seeds (t); variation of seeds on these test examples",
    "groups, examples": "seeds unpaired; variation of seeds and of test examples, which are paired",
    "groups": "seeds unpaired (Welch); variation of seeds on these test examples",
    "one, examples": "one seed each; variation of test examples, which are paired (McNemar's p, Newcombe's interval)",
    "one": "one seed each; variation of test examples, unpaired for want of predictions (Newcombe's interval)",
    "nothing": "one seed each; no variation is known",
}


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seed alone.

    Attributes
    ----------
    name : str
        Its model, and what sets it apart from the other arms.
    seeds : tuple of int
    values : tuple of float
        Accuracy, a share, or bits a token, of each seed.
    intervals : tuple of (low, high) or None
        Wilson's 95 % interval of each run, over examples; None of language models.
    mean : float
    low, high : float or None
        95 % interval of the mean; None where it is not known.
    over : {"seeds and examples", "seeds", "examples", "nothing"}
        What that interval is over.
    runs : tuple of str
    """

    name: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    mean: float
    low: float | None
    high: float | None
    over: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """An arm against the baseline.

    Attributes
    ----------
    arm, baseline : str
    estimate : Interval
        Arm minus baseline, in the unit of `Comparison.metric`; its ``p`` is of this comparison alone.
    p : float or None
        Times the number of comparisons.
    method : str
        A key of `METHODS`.
    seeds : (tuple of int, tuple of int)
        Of the runs that were compared: the arm's and the baseline's.
    effect : EffectSize or None
    sign_flip : float or None
        p value of the differences a pair by their signs, of this comparison alone; from six pairs on.
    verdict : {"better", "worse", "none"}
        The arm against the baseline. With one seed each it is about the two runs.
    """

    arm: str
    baseline: str
    estimate: Interval
    p: float | None
    method: str
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    effect: EffectSize | None
    sign_flip: float | None
    verdict: Verdict

    @property
    def over_seeds(self) -> bool:
        """Whether the variation over seeds is known."""
        return self.method.startswith(("pairs", "groups"))


@dataclass(frozen=True)
class Comparison:
    """Arms of one task and its data against a baseline.

    Attributes
    ----------
    task, data : str
        Name, and digest.
    metric : {"accuracy", "bits_per_token"}
        Of bits a token fewer are better.
    examples : int
        Of the test split.
    arms : tuple of Arm
        The baseline first.
    differences : tuple of Difference
        Of every other arm.
    left_out : tuple of str
        A sentence for each run that has no result.
    notes : tuple of str
        What else must be known.
    """

    task: str
    data: str
    metric: Literal["accuracy", "bits_per_token"]
    examples: int
    arms: tuple[Arm, ...]
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def baseline(self) -> str:
        """Name of the arm that the others are held against."""
        return self.arms[0].name


def compare(paths: Sequence[str | Path], baseline: str | None = None, task: str | None = None) -> Comparison:
    """Compare trained runs.

    Parameters
    ----------
    paths : sequence of path
        Run folders, folders of such, or tables that `rmaat reproduce` wrote.
    baseline : str, optional
        Arm that the others are held against: its name, its model where one arm has it, or one of its runs by path or
        by the name of its folder; by default the arm of the first run.
    task : str, optional
        Take the runs of this task alone.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        A path that is no run, runs of different tasks or data, a seed twice in an arm, one arm only.

    Examples
    --------
    >>> compare(["runs/rmaat-0", "runs/rmaat-1", "runs/rmt-0", "runs/rmt-1"], baseline="rmt").differences[0].verdict
    """
    return compare_results(*find(paths), baseline, task)


def compare_results(
    results: Sequence[Result], left_out: Sequence[str] = (), baseline: str | None = None, task: str | None = None
) -> Comparison:
    """Compare results that were read before, where ``left_out`` says why others were not; as `compare`."""
    if task is not None:
        known = sorted({result.task for result in results})
        if task not in known:
            raise InputError(f"task {task!r}: no evaluated run of it; {did_you_mean(task, known)}")
        results = [result for result in results if result.task == task]
    _require_alike(results, left_out)
    language = any(result.bits is not None for result in results)
    if language:
        left_out = [*left_out, *(f"{result.label}: no bits_per_token" for result in results if result.bits is None)]
        results = [result for result in results if result.bits is not None]
    groups = arms(results)
    if len(groups) < 2:
        seeds = ", ".join(str(result.seed) for result in results)
        raise InputError(
            f"one arm only: {next(iter(groups))} (seeds {seeds}); expected runs that differ in more than the seed"
            + (f" (left out: {'; '.join(left_out)})" if left_out else "")
        )
    first = _baseline(baseline, groups)
    groups = {first: groups[first], **groups}
    differences = tuple(
        _difference((name, group), (first, groups[first]), len(groups) - 1, language)
        for name, group in groups.items()
        if name != first
    )
    return Comparison(
        task=results[0].task,
        data=results[0].data,
        metric="bits_per_token" if language else "accuracy",
        examples=results[0].examples,
        arms=tuple(_arm(name, group, language) for name, group in groups.items()),
        differences=differences,
        left_out=tuple(left_out),
        notes=tuple(_notes(groups, differences, language)),
    )


def _require_alike(results: Sequence[Result], left_out: Sequence[str]) -> None:
    if not results:
        raise InputError("no evaluated run to compare" + (f": {'; '.join(left_out)}" if left_out else ""))
    first = results[0]
    for other in results:
        if other.task != first.task:
            raise InputError(
                f"runs of different tasks: {first.task} ({first.label}) and {other.task} ({other.label}); "
                f"choose one with --task"
            )
        if other.data != first.data or other.examples != first.examples:
            raise InputError(
                f"runs on different data: {first.label} (digest {first.data[:12]}, {first.examples} examples) and "
                f"{other.label} (digest {other.data[:12]}, {other.examples} examples)"
            )


def _baseline(asked: str | None, groups: dict[str, list[Result]]) -> str:
    if asked is None or asked in groups:
        return next(iter(groups)) if asked is None else asked
    of_model = [name for name, group in groups.items() if group[0].model == asked]
    folders = {name: [Path(result.label) for result in group] for name, group in groups.items()}
    of_run = [
        name for name, paths in folders.items()
        if any(path.name == asked or path.resolve() == Path(asked).resolve() for path in paths)
    ]  # fmt: skip
    for names in (of_model, of_run):
        if len(names) == 1:
            return names[0]
        if names:
            raise InputError(f"baseline {asked!r}: several arms are of it; choose one: {'; '.join(map(repr, names))}")
    raise InputError(f"unknown baseline {asked!r}, no arm, model or run folder; {did_you_mean(asked, groups)}")


def _arm(name: str, group: list[Result], language: bool) -> Arm:
    values, answers = _values(group, language), _answers(group)
    intervals = [None if language else statistics.wilson(result.right, result.examples) for result in group]
    low, high, over = None, None, "nothing"
    if len(group) > 1:
        if answers is None:
            mean, over = statistics.over_seeds(values), "seeds"
        else:
            mean, over = statistics.over_seeds_and_examples(answers), "seeds and examples"
        low, high = mean.low, mean.high
        if not language and low is not None and high is not None:
            low, high = max(low, 0.0), min(high, 1.0)
    elif intervals[0] is not None:
        (low, high), over = intervals[0], "examples"
    seeds, runs = tuple(result.seed for result in group), tuple(result.label for result in group)
    return Arm(name, seeds, tuple(values.tolist()), tuple(intervals), float(values.mean()), low, high, over, runs)


def _difference(
    arm: tuple[str, list[Result]], baseline: tuple[str, list[Result]], comparisons: int, language: bool
) -> Difference:
    method, ours, theirs = _partners(arm[1], baseline[1])
    level = 1 - (1 - LEVEL) / comparisons
    a, b = _values(ours, language), _values(theirs, language)
    answers = None if language else _answers([*ours, *theirs])
    effect, sign_flip = None, None
    if method == "pairs":
        # Of accuracies from whole numbers, so that equal ones are equal to the last bit.
        differences = a - b if language else _rights(ours, theirs) / ours[0].examples
        effect, sign_flip = statistics.paired_effect(differences), statistics.sign_flip(differences)
        if answers is None:
            estimate = statistics.over_seeds(differences, level)
        else:
            signed = answers.astype(np.int8)
            estimate = statistics.over_seeds_and_examples(signed[: len(ours)] - signed[len(ours) :], level)
    elif method == "groups":
        effect = statistics.unpaired_effect(a, b)
        if answers is None:
            estimate = statistics.welch(a, b, level)
        else:
            estimate = statistics.unpaired_seeds_and_examples(answers[: len(ours)], answers[len(ours) :], level)
    elif language:
        method, estimate = "nothing", Interval(float(a[0] - b[0]), None, None, None, None, None, level)
    else:
        effect = statistics.share_effect(float(a[0]), float(b[0]))
        if answers is None:
            counts = [(result.right, result.examples) for result in (ours[0], theirs[0])]
            estimate = statistics.unpaired_shares(counts[0], counts[1], level)
        else:
            estimate = statistics.paired_shares(answers[0], answers[1], level)
    if answers is not None:
        method += ", examples"
    p = None if estimate.p is None else min(1.0, comparisons * estimate.p)
    seeds = tuple(result.seed for result in ours), tuple(result.seed for result in theirs)
    return Difference(
        arm[0], baseline[0], estimate, p, method, seeds, effect, sign_flip, _verdict(estimate, p, language)
    )


def _partners(arm: list[Result], baseline: list[Result]) -> tuple[str, list[Result], list[Result]]:
    """How two arms are compared, and which of their runs."""
    common = sorted({result.seed for result in arm} & {result.seed for result in baseline})
    fewer = min(len(arm), len(baseline))
    # Pairs are worth it where hardly a run is lost for them.
    if fewer > 1 and len(common) < fewer and len(common) < FEWEST_PAIRS:
        return "groups", arm, baseline
    if common:
        ours, theirs = ([result for result in group if result.seed in common] for group in (arm, baseline))
        return ("pairs" if len(common) > 1 else "one"), ours, theirs
    return "one", arm[:1], baseline[:1]


def _verdict(estimate: Interval, p: float | None, language: bool) -> Verdict:
    """Shown where the interval leaves out 0 and p is below 5 %: of Student's intervals these two are the same."""
    if estimate.low is None or estimate.high is None or p is None or p >= 1 - LEVEL:
        return "none"
    if estimate.low <= 0 <= estimate.high:
        return "none"
    return "better" if (estimate.value > 0) != language else "worse"


def _values(group: list[Result], language: bool) -> statistics.Floats:
    return np.array([result.bits if language else result.accuracy for result in group], dtype=float)


def _rights(ours: list[Result], theirs: list[Result]) -> statistics.Floats:
    return np.array([a.right - b.right for a, b in zip(ours, theirs, strict=True)])


def _answers(group: list[Result]) -> statistics.Answers | None:
    """(seeds, examples) of all runs, or None where one did not keep its predictions."""
    kept = [result.answers for result in group if result.answers is not None]
    # Of one example no variation can be told.
    return np.stack(kept) if len(kept) == len(group) and len(kept[0]) > 1 else None


def _notes(groups: dict[str, list[Result]], differences: tuple[Difference, ...], language: bool) -> list[str]:
    """What else must be known of a comparison."""
    notes = []
    if len(differences) > 1:
        notes.append(
            f"{len(differences)} comparisons with one baseline: their intervals are simultaneous (Bonferroni, each at "
            f"{100 * differences[0].estimate.level:.3g} %), and p is times {len(differences)}"
        )
    results = [result for group in groups.values() for result in group]
    for in_table, what, remedy in (
        (False, "no predictions an example of {}", "rmaat evaluate keeps them (predictions.npy)"),
        (True, "not told which examples are right: {}", "rmaat reproduce writes them anew where the run folders are "
                                                        "still there"),
    ):  # fmt: skip
        without = [one.label for one in results if one.answers is None and (one.row is not None) == in_table]
        if without and not language:
            every = f"all {'rows' if in_table else 'runs'}"
            notes.append(f"{what.format(every if len(without) == len(results) else ', '.join(without))}; {remedy}")
    for difference in differences:
        for name, used in zip((difference.arm, difference.baseline), difference.seeds, strict=True):
            if unused := [str(result.seed) for result in groups[name] if result.seed not in used]:
                against = f"{difference.arm} against {difference.baseline}"
                notes.append(f"{against}: no partner for seeds of {name}: {', '.join(unused)}; left out")
    commits = sorted({result.commit[:12] for result in results if result.commit})
    if len(commits) > 1:
        notes.append(f"trained by different states of the code: {', '.join(commits)}")
    return notes
