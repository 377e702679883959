"""Trained runs compared: arms against a baseline, over seeds and test examples, with what could not have been seen.

The verdict is that of an interval that is simultaneous over all comparisons with the baseline (Bonferroni: each at
1 - 0.05 / comparisons), so what is seen decides and nothing is decided that is not seen.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from analysis import arms as runs_as_arms
from analysis import statistics
from analysis.arms import Found, Result
from analysis.statistics import LEVEL, Effect, Estimate
from astro_sim.common.errors import InputError, did_you_mean

FEWEST_PAIRS = 3  # common seeds from which other seeds are left out for the sake of pairs
SCHEMA_VERSION = 1
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
    estimate : Estimate
        Arm minus baseline, in the unit of `Comparison.metric`; its ``p`` is of this comparison alone.
    p : float or None
        Times the number of comparisons.
    method : str
        A key of `METHODS`.
    seeds : (tuple of int, tuple of int)
        Of the runs that were compared: the arm's and the baseline's.
    effect : Effect or None
    sign_flip : float or None
        p value of the differences a pair by their signs, of this comparison alone; from six pairs on.
    verdict : {"better", "worse", "none"}
        The arm against the baseline. With one seed each it is about the two runs.
    """

    arm: str
    baseline: str
    estimate: Estimate
    p: float | None
    method: str
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    effect: Effect | None
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

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything, and the sentences of the verdicts."""
        from analysis.comparison_words import sentence

        raw = {"schema_version": SCHEMA_VERSION, "baseline": self.baseline, **asdict(self)}
        for row, difference in zip(raw["differences"], self.differences, strict=True):
            row["method"] = METHODS[difference.method]
            row["over_seeds"] = difference.over_seeds
            row["sentence"] = sentence(self, difference)
        return raw


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
    return compare_results(runs_as_arms.find(paths), baseline, task)


def compare_results(found: Found, baseline: str | None = None, task: str | None = None) -> Comparison:
    """Compare results that were read before; as `compare`."""
    results, left_out = found.results, list(found.left_out)
    if task is not None:
        known = sorted({result.task for result in results})
        if task not in known:
            raise InputError(f"task {task!r}: no evaluated run of it; {did_you_mean(task, known)}")
        results = [result for result in results if result.task == task]
    _require_alike(results, left_out)
    language = any(result.bits is not None for result in results)
    if language:
        left_out += [f"{each.label}: no bits_per_token" for each in results if each.bits is None]
        results = [each for each in results if each.bits is not None]
    groups = runs_as_arms.arms(results)
    if len(groups) < 2:
        seeds = ", ".join(str(result.seed) for result in results)
        raise InputError(
            f"one arm only: {next(iter(groups))} (seeds {seeds}); expected runs that differ in more than the seed"
            + (f" (left out: {'; '.join(left_out)})" if left_out else "")
        )
    first = _baseline(baseline, groups)
    groups = {first: groups[first], **groups}
    level = 1 - (1 - LEVEL) / (len(groups) - 1)
    differences = tuple(
        _difference((name, group), (first, groups[first]), level, len(groups) - 1, language)
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


def _require_alike(results: list[Result], left_out: list[str]) -> None:
    if not results:
        reasons = f": {'; '.join(left_out)}" if left_out else ""
        raise InputError(f"no evaluated run to compare{reasons}")
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
    holding = [name for name, group in groups.items() if any(_is_at(result, asked) for result in group)]
    for names in (of_model, holding):
        if len(names) == 1:
            return names[0]
        if names:
            raise InputError(f"baseline {asked!r}: several arms are of it; choose one: {'; '.join(map(repr, names))}")
    raise InputError(f"unknown baseline {asked!r}, no arm, model or run folder; {did_you_mean(asked, groups)}")


def _is_at(result: Result, asked: str) -> bool:
    """Whether a run is meant by the path or the name of its folder."""
    path = Path(result.label)
    return path.name == asked or path.resolve() == Path(asked).resolve()


def _arm(name: str, group: list[Result], language: bool) -> Arm:
    values = _values(group, language)
    intervals = [None if language else statistics.wilson(result.right, result.examples) for result in group]
    answers = _all_answers(group)
    low, high, over = None, None, "nothing"
    if len(group) > 1:
        both = None if answers is None else statistics.over_seeds_and_examples(answers)
        found, over = both or statistics.over_seeds(values), "seeds" if both is None else "seeds and examples"
        low, high = found.low, found.high
        if not language and low is not None and high is not None:
            low, high = max(low, 0.0), min(high, 1.0)
    elif intervals[0] is not None:
        (low, high), over = intervals[0], "examples"
    seeds, runs = tuple(result.seed for result in group), tuple(result.label for result in group)
    return Arm(name, seeds, tuple(values.tolist()), tuple(intervals), float(values.mean()), low, high, over, runs)


def _difference(
    arm: tuple[str, list[Result]], baseline: tuple[str, list[Result]], level: float, comparisons: int, language: bool
) -> Difference:
    method, ours, theirs = _partners(arm[1], baseline[1])
    a, b = _values(ours, language), _values(theirs, language)
    answers = None if language else _all_answers([*ours, *theirs])
    effect, sign_flip = None, None
    if method == "pairs":
        differences = _differences(ours, theirs, language)
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
        method, estimate = "nothing", Estimate(float(a[0] - b[0]), None, None, None, None, None, level)
    else:
        effect = statistics.share_effect(float(a[0]), float(b[0]))
        if answers is None:
            counts = [(each.right, each.examples) for each in (ours[0], theirs[0])]
            estimate = statistics.unpaired_shares(counts[0], counts[1], level)
        else:
            estimate = statistics.paired_shares(answers[0], answers[1], level)
    if answers is not None:
        method += ", examples"
    p = None if estimate.p is None else min(1.0, comparisons * estimate.p)
    seeds = tuple(each.seed for each in ours), tuple(each.seed for each in theirs)
    verdict = _verdict(estimate, p, language)
    return Difference(arm[0], baseline[0], estimate, p, method, seeds, effect, sign_flip, verdict)


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


def _verdict(estimate: Estimate, p: float | None, language: bool) -> Verdict:
    """Shown where the interval leaves out 0 and p is below 5 %: of Student's intervals these two are the same."""
    if estimate.low is None or estimate.high is None or p is None or p >= 1 - LEVEL:
        return "none"
    if estimate.low <= 0 <= estimate.high:
        return "none"
    return "better" if (estimate.value > 0) != language else "worse"


def _values(group: list[Result], language: bool) -> statistics.Floats:
    return np.array([result.bits if language else result.accuracy for result in group], dtype=float)


def _differences(ours: list[Result], theirs: list[Result], language: bool) -> statistics.Floats:
    """Differences a pair; of accuracies from whole numbers, so that equal ones are equal to the last bit."""
    if language:
        return _values(ours, True) - _values(theirs, True)
    return np.array([a.right - b.right for a, b in zip(ours, theirs, strict=True)]) / ours[0].examples


def _all_answers(group: list[Result]) -> statistics.Answers | None:
    """(seeds, examples) of all runs, or None where one did not keep its predictions."""
    kept = [result.answers for result in group if result.answers is not None]
    # Of one example no variation can be told.
    return np.stack(kept) if len(kept) == len(group) and len(kept[0]) > 1 else None


def _notes(groups: dict[str, list[Result]], differences: tuple[Difference, ...], language: bool) -> list[str]:
    notes = []
    if len(differences) > 1:
        notes.append(
            f"{len(differences)} comparisons with one baseline: their intervals are simultaneous (Bonferroni, each at "
            f"{100 * differences[0].estimate.level:.3g} %), and p is times {len(differences)}"
        )
    results = [result for group in groups.values() for result in group]
    without = [result.label for result in results if result.answers is None and result.row is None]
    if not language and without:
        which = "all runs" if len(without) == len(results) else ", ".join(without)
        notes.append(f"no predictions an example of {which}; rmaat evaluate keeps them (predictions.npy)")
    rows = [result.label for result in results if result.answers is None and result.row is not None]
    if not language and rows:
        which = "all rows" if len(rows) == len(results) else ", ".join(rows)
        notes.append(
            f"not told which examples are right: {which}; an earlier version wrote them, rmaat reproduce writes them "
            "anew where the run folders are still there"
        )
    for difference in differences:
        for name, used in zip((difference.arm, difference.baseline), difference.seeds, strict=True):
            unused = [str(result.seed) for result in groups[name] if result.seed not in used]
            if unused:
                against = f"{difference.arm} against {difference.baseline}"
                notes.append(f"{against}: no partner for seeds of {name}: {', '.join(unused)}; left out")
    commits = {result.commit for result in results if result.commit}
    if len(commits) > 1:
        notes.append(f"trained by different states of the code: {', '.join(sorted(each[:12] for each in commits))}")
    return notes
