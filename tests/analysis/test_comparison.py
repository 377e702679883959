"""Runs and tables as arms, how they are compared, what is told, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from analysis.collect import Inputs
from analysis.comparison import statistics
from analysis.comparison.arms import Result
from analysis.comparison.compare import Comparison, compare_results
from analysis.comparison.text import arm_rows, as_dict, difference_rows, lines, methods, sentences
from analysis.report.parts import Bullets, Heading, Table, Text
from analysis.report.results import comparisons, results
from astro_sim.common.errors import InputError
from rmaat.records import read_run
from tests.analysis.handmade_runs import row, table, write


def answers(share: float, seed: int, examples: int = 400) -> Any:
    """Hard examples are hard for every run: the first ones are right, but for a tenth that the seed draws."""
    right = np.arange(examples) < share * examples
    return right ^ (np.random.default_rng(seed).random(examples) < 0.1)


def seeds(at: Path, model: str, share: float, count: int, first: int = 0, **changes: Any) -> list[Path]:
    """Runs of a model with predictions, a seed each."""
    draw = 100 * len(model) + 7
    return [
        write(at / f"{model}-{seed}", model, seed, answers(share, draw + seed), **changes)
        for seed in range(first, first + count)
    ]


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Three seeds of rmaat at about 60 %, of rmt at about 45 %."""
    return [*seeds(tmp_path, "rmaat", 0.6, 3), *seeds(tmp_path, "rmt", 0.45, 3)]


def test_arms_are_paired_over_seeds_and_examples(two):
    found = analysis.compare(two)
    assert (found.task, found.metric, found.examples, found.baseline) == ("listops", "accuracy", 400, "rmaat")
    assert [(arm.name, arm.seeds, arm.over) for arm in found.arms] == [
        ("rmaat", (0, 1, 2), "seeds and examples"),
        ("rmt", (0, 1, 2), "seeds and examples"),
    ]
    right = np.stack([np.load(path / "predictions.npy")[0] < 10 for path in two]).astype(int)
    assert found.arms[0].values == pytest.approx(right[:3].mean(1))
    assert found.arms[0].intervals[0] == statistics.wilson(int(right[0].sum()), 400)
    (difference,) = found.differences
    assert difference.estimate == statistics.over_seeds_and_examples(right[3:] - right[:3])
    assert difference.verdict == "worse"
    assert difference.over_seeds
    assert difference.p == difference.estimate.p  # one comparison
    assert difference.effect == statistics.paired_effect((right[3:] - right[:3]).mean(1))
    assert found.notes == found.left_out == ()


def test_the_verdict_is_told_with_its_interval(two):
    found = analysis.compare(two, baseline="rmt")
    low, high = (100 * (end or 0) for end in (found.differences[0].estimate.low, found.differences[0].estimate.high))
    value = 100 * found.differences[0].estimate.value
    told = f"rmaat is better than rmt by {value:.1f} points (95 % interval {low:.1f} to {high:.1f}; 3 seeds)"
    assert sentences(found) == [told]
    assert sentences(analysis.compare(two)) == [told]  # whichever is the baseline
    assert methods(found) == ["paired over seeds; variation of seeds and of test examples"]
    head, (one,) = difference_rows(found)
    assert head == ("against rmt", "points", "95 % interval", "p", "effect size", "seen 8 of 10", "verdict")
    assert one[:3] == ("rmaat", f"{value:.1f}", f"{low:.1f} to {high:.1f}")
    assert one[-1] == "better"


def test_where_nothing_is_shown_it_is_told_what_could_not_have_been_seen(tmp_path):
    found = analysis.compare([*seeds(tmp_path, "rmaat", 0.5, 3), *seeds(tmp_path, "rmt", 0.5, 3)])
    (told,) = sentences(found)
    detectable = found.differences[0].estimate.detectable
    assert detectable is not None
    assert told.startswith("no difference shown between rmt and rmaat: ")
    assert told.endswith(
        f"; a true difference of {100 * detectable:.1f} points would be shown in 8 of 10 such comparisons"
    )
    assert found.differences[0].verdict == "none"


def test_one_seed_each_says_nothing_of_other_seeds(tmp_path):
    found = analysis.compare([*seeds(tmp_path, "rmaat", 0.6, 1), *seeds(tmp_path, "rmt", 0.45, 1)], "rmt")
    (told,) = sentences(found)
    assert told.startswith("one seed each: the run of rmaat is better than that of rmt by ")
    assert told.endswith("400 examples, seed 0); how much seeds vary is not known, so this says nothing of other seeds")
    (difference,) = found.differences
    right = [np.load(tmp_path / f"{name}-0" / "predictions.npy")[0] < 10 for name in ("rmaat", "rmt")]
    assert difference.estimate == statistics.paired_shares(right[0], right[1])
    assert (difference.method, difference.over_seeds) == ("one, examples", False)
    assert difference.effect == statistics.share_effect(right[0].mean(), right[1].mean())
    assert difference_rows(found)[1][0][-1] == "better, this run"
    assert found.arms[0].over == "examples"


def test_one_seed_each_without_a_difference(tmp_path):
    found = analysis.compare([*seeds(tmp_path, "rmaat", 0.5, 1), *seeds(tmp_path, "rmt", 0.5, 1)])
    (told,) = sentences(found)
    assert told.startswith("one seed each: no difference shown between rmt and rmaat: ")
    assert told.endswith("; how much seeds vary is not known")


def test_copies_are_told_as_such(tmp_path):
    paths = [write(tmp_path / f"{m}{s}", m, s, answers(0.5, s)) for m in ("rmaat", "rmt") for s in range(2)]
    assert sentences(analysis.compare(paths)) == [
        "no difference shown between rmt and rmaat: the same with every seed (2 seeds)"
    ]
    assert sentences(analysis.compare([paths[0], paths[2]])) == [
        "one seed each: no difference shown between rmt and rmaat: both have the same examples right"
    ]


def test_without_predictions_the_interval_is_over_seeds_alone(tmp_path):
    shares = {"rmaat": (0.51, 0.53, 0.52), "rmt": (0.45, 0.46, 0.47)}
    paths = [
        write(tmp_path / f"{model}{seed}", model, seed, accuracy=share)
        for model, values in shares.items()
        for seed, share in enumerate(values)
    ]
    found = analysis.compare(paths, "rmt")
    (difference,) = found.differences
    assert difference.estimate == statistics.over_seeds(np.array([0.06, 0.07, 0.05]))
    assert methods(found) == ["paired over seeds (t); variation of seeds on these test examples"]
    assert found.notes == ("no predictions an example of all runs; rmaat evaluate keeps them (predictions.npy)",)
    write(tmp_path / "more", "rmaat", 3, answers(0.5, 1, 200))
    write(tmp_path / "more rmt", "rmt", 3, answers(0.5, 1, 200))
    (note,) = analysis.compare([*paths, tmp_path / "more", tmp_path / "more rmt"]).notes
    assert note.startswith(f"no predictions an example of {tmp_path}/rmaat0, {tmp_path}/rmaat1")


def test_a_difference_that_does_not_vary_is_not_shown(tmp_path):
    paths = [
        write(tmp_path / f"{model}{seed}", model, seed, accuracy=share + 0.1 * seed)
        for model, share in (("rmaat", 0.5), ("rmt", 0.4))
        for seed in range(2)
    ]
    (told,) = sentences(analysis.compare(paths))
    assert told == (
        "rmt minus rmaat is -10.0 points with every one of 2 seeds: nothing varies, so no interval can be made, and "
        "the difference is not shown to hold for others; more seeds are needed"
    )


def test_one_seed_each_without_predictions(tmp_path):
    found = analysis.compare([write(tmp_path / "a", accuracy=0.8), write(tmp_path / "b", "rmt", accuracy=0.6)])
    assert found.differences[0].estimate == statistics.unpaired_shares((120, 200), (160, 200))
    assert methods(found) == [
        "one seed each; variation of test examples, unpaired for want of predictions (Newcombe's interval)"
    ]


def test_seeds_without_partners(tmp_path):
    ours, theirs = seeds(tmp_path, "rmaat", 0.6, 3), seeds(tmp_path, "rmt", 0.45, 3, first=3)
    found = analysis.compare([*ours, *theirs])
    assert methods(found) == ["seeds unpaired; variation of seeds and of test examples, which are paired"]
    assert found.differences[0].seeds == ((3, 4, 5), (0, 1, 2))
    assert "; 3 and 3 seeds)" in sentences(found)[0]
    assert found.differences[0].effect is not None
    for path in ours:
        (path / "predictions.npy").unlink()
    assert methods(analysis.compare([*ours, *theirs])) == [
        "seeds unpaired (Welch); variation of seeds on these test examples"
    ]
    few = seeds(tmp_path / "few", "rmt", 0.45, 3, first=1)  # two in common: no run is given up for two pairs
    assert analysis.compare([*ours, *few]).differences[0].seeds == ((1, 2, 3), (0, 1, 2))
    longer = seeds(tmp_path / "longer", "rmaat", 0.6, 5)
    more = seeds(tmp_path / "more", "rmt", 0.45, 4, first=2)
    assert analysis.compare([*longer, *more]).notes == (
        "rmt against rmaat: no partner for seeds of rmt: 5; left out",
        "rmt against rmaat: no partner for seeds of rmaat: 0, 1; left out",
    )
    lone = analysis.compare([*ours, theirs[0]])
    assert "examples, seeds 3 and 0)" in sentences(lone)[0]


def test_intervals_of_several_comparisons_are_simultaneous(tmp_path):
    paths = [path for model, share in (("rmaat", 0.6), ("rmt", 0.55), ("at", 0.3))
             for path in seeds(tmp_path, model, share, 4)]  # fmt: skip
    found = analysis.compare(paths)
    assert [each.estimate.level for each in found.differences] == [0.975, 0.975]
    for each in found.differences:
        assert each.estimate.p is not None
        assert each.p == min(1.0, 2 * each.estimate.p)
        assert (each.verdict == "none") == (each.p is None or each.p >= 0.05)
    assert found.notes == (
        "2 comparisons with one baseline: their intervals are simultaneous (Bonferroni, each at 97.5 %), "
        "and p is times 2",
    )
    assert "(simultaneous 95 % interval " in sentences(found)[1]


def test_copies_are_taken_for_different_in_5_of_100_tables_at_most():
    """Three arms against a baseline, all alike; and 3 binomial standard errors of 200 tables. Measured: 3 of 100."""
    generator, wrong, trials = np.random.default_rng(3), 0, 200
    for _ in range(trials):
        hard, found = generator.normal(size=300), []
        for model in ("rmaat", "rmt", "at", "rlt"):
            for seed in range(3):
                right = generator.normal(size=300) < 0.3 + hard + 0.1 * generator.normal()
                share = float(right.mean())
                found.append(Result("", "listops", model, seed, "d", "a", {}, {}, None, share, 300, None, right))
        wrong += any(each.verdict != "none" for each in compare_results(found).differences)
    assert wrong / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_of_language_models_fewer_bits_are_better(tmp_path):
    paths = [
        write(tmp_path / f"{model}{seed}", model, seed, bits=bits + 0.01 * seed * (model == "rmt"))
        for model, bits in (("rmaat", 2.0), ("rmt", 2.1))
        for seed in range(3)
    ]
    found = analysis.compare(paths, "rmt")
    assert found.metric == "bits_per_token"
    assert found.differences[0].estimate.value == pytest.approx(-0.11)
    assert found.differences[0].verdict == "better"
    assert sentences(found) == [
        "rmaat is better than rmt by 0.110 bits a token (95 % interval 0.085 to 0.135; 3 seeds)"
    ]
    head, rows = arm_rows(found)
    assert head[1] == "seed numbers"  # "0" under "seeds" reads as none
    assert head[2] == "mean bits a token"
    assert rows[1] == ("rmaat", "0, 1, 2", "2.000", "-", "seeds", "2.000, 2.000, 2.000")
    assert found.arms[0].intervals == (None, None, None)
    assert sentences(analysis.compare([paths[0], paths[3]])) == [
        "one seed each: rmt minus rmaat is 0.100 bits a token; how much seeds vary is not known, "
        "so no difference is shown"
    ]
    odd = write(tmp_path / "odd", "rmt", 7)
    assert analysis.compare([*paths, odd]).left_out == (f"{odd}: no bits_per_token",)


def test_arms_are_named_by_what_differs(tmp_path):
    def names(*runs: dict[str, Any]) -> list[str]:
        at = tmp_path / str(len(list(tmp_path.iterdir())))
        return [arm.name for arm in analysis.compare([write(at / str(i), **run) for i, run in enumerate(runs)]).arms]

    scale = {"asked": {"memory_rule": "scale"}}
    assert names(scale, {"model": "rmt"}) == ["rmaat, memory_rule=scale", "rmt"]
    assert names(scale, {"asked": {"memory_rule": "consolidate", "width": 32}}) == [
        "rmaat, width=64, memory_rule=scale",
        "rmaat, width=32, memory_rule=consolidate",
    ]
    flat = {"law_settings": {"perturbed": "flat"}}
    assert names({}, {"laws_digest": "b" * 64}) == ["rmaat, laws=aaaaaaaa", "rmaat, laws=bbbbbbbb"]
    assert names({}, {"laws_digest": "b" * 64, **flat}) == ["rmaat", "rmaat, laws.perturbed=flat"]
    assert names({}, scale) == ["rmaat", "rmaat, memory_rule=scale"]
    built = {"built": {"feedforward": 7}}
    assert names({}, built)[1].startswith("rmaat, ")  # nothing that was asked for differs
    idle = {"without_effect": ["width"], "model": "at", "asked": {"width": 32}}
    assert names({}, idle) == ["rmaat, width=64", "at"]


def test_device_and_logging_make_no_arm(tmp_path):
    a = write(tmp_path / "a", seed=0, settings={"device": "cpu", "log_every": 1})
    b = write(tmp_path / "b", seed=1, settings={"device": "cuda", "log_every": 9})
    with pytest.raises(InputError, match=r"one arm only: rmaat \(seeds 0, 1\); expected runs that differ in more"):
        analysis.compare([a, b])


def test_tables_of_reproduce_are_read(tmp_path):
    rows = [
        row(name, seed, share + 0.01 * seed**2 * (name == "rmaat"), settings={"kept": name})
        for name, share in (("rmaat", 0.5), ("no H_astro", 0.4))
        for seed in range(3)
    ]
    rows.append(row("BPTT", 0, None, state="stopped at step 20"))
    rows.append(row("BPTT", 1, None))
    path = table(tmp_path / "t.json", *rows)
    found = analysis.compare([path])
    assert [arm.name for arm in found.arms] == ["rmaat", "no H_astro"]
    assert found.left_out == (
        f"{path}, row 7 (listops, BPTT, seed 0): stopped at step 20",
        f"{path}, row 8 (listops, BPTT, seed 1): not evaluated",
    )
    assert lines(found)[-1] == f"left out: {found.left_out[1]}"
    (note,) = found.notes
    assert note.startswith("not told which examples are right: all rows; rmaat reproduce writes them")
    run = write(tmp_path / "run", "rmt", 0, accuracy=0.4, examples=2000)
    mixed = analysis.compare([path, run], baseline=str(run))
    assert [arm.name for arm in mixed.arms] == ["rmt", "rmaat, kept=rmaat", "rmaat, kept=no H_astro"]


def test_a_table_that_tells_which_examples_are_right_pairs_as_its_runs_do(two, tmp_path):
    from rmaat.records import packed, read_right, read_run

    rows = []
    for run in map(read_run, two):
        about = {"model": run.run.model, "examples": run.evaluation.examples, "right": packed(read_right(run))}
        rows.append(row(run.run.model, run.run.settings.seed, run.evaluation.accuracy, **about))
    told, direct = analysis.compare([table(tmp_path / "t.json", *rows)]), analysis.compare(two)
    assert told.notes == direct.notes == ()
    assert [each.estimate for each in told.differences] == [each.estimate for each in direct.differences]
    assert "examples" in told.differences[0].method
    rows[0].pop("right")
    (note,) = analysis.compare([table(tmp_path / "t.json", *rows)]).notes
    assert note.startswith(f"not told which examples are right: {tmp_path}/t.json, row 1 (listops, ")


def test_folders_are_searched_and_runs_taken_once(two, tmp_path):
    write(two[0] / "checkpoints" / "inner", seed=9)  # the inside of a run is not searched
    write(tmp_path / ".hidden" / "run", seed=9)
    found = analysis.compare([tmp_path, *two])
    assert [arm.seeds for arm in found.arms] == [(0, 1, 2), (0, 1, 2)]


def test_half_finished_runs_are_named_and_left_out(two, tmp_path):
    half = write(tmp_path / "half", seed=3, finished=False, evaluated=False)
    fresh = write(tmp_path / "fresh", seed=4, evaluated=False)
    assert analysis.compare([*two, half, fresh]).left_out == (
        f"{half}: not finished; go on with rmaat train ... --resume",
        f"{fresh}: not evaluated; make it with rmaat evaluate {fresh}",
    )
    with pytest.raises(InputError, match=r"one arm only: rmaat \(seeds 0\); .* \(left out: .*half: not finished"):
        analysis.compare([two[0], half])
    with pytest.raises(InputError, match="no evaluated run to compare: .*half: not finished"):
        analysis.compare([half])


def test_states_of_the_code_are_told(two, tmp_path):
    other = write(tmp_path / "other", "at", 0, answers(0.5, 1), commit="e" * 40)
    assert analysis.compare([*two, other]).notes[-1] == (
        "trained by different states of the code: cccccccccccc, eeeeeeeeeeee"
    )


def test_the_baseline_is_found_by_name_model_or_run(two, tmp_path):
    for asked in ("rmt", str(two[4]), "rmt-1"):
        assert analysis.compare(two, asked).baseline == "rmt"
    wide = write(tmp_path / "wide", "rmt", 0, asked={"width": 128}, accuracy=0.5, examples=400)
    with pytest.raises(InputError, match="baseline 'rmt': several arms are of it; choose one: 'rmt, width=64'; 'rmt, "):
        analysis.compare([*two, wide], "rmt")
    with pytest.raises(InputError, match=r"unknown baseline 'rmq', no arm, .* folder; did you mean 'rmt'\?"):
        analysis.compare(two, "rmq")
    with pytest.raises(InputError, match="; known: 'rmaat, width=64'; 'rmt, width=128'; 'rmt, width=64'$"):
        analysis.compare([*two, wide], "nothing of the kind")


def test_what_is_refused_is_told_in_one_line(two, tmp_path):
    text = write(tmp_path / "text", task="text")
    other = write(tmp_path / "data", "at", data="e" * 64, examples=400)
    again = write(tmp_path / "again", right=answers(0.5, 3))
    (tmp_path / "x.txt").write_text("")
    (tmp_path / "empty").mkdir()
    broken, short, odd, stale = (write(tmp_path / name, "at", right=answers(0.5, 4)) for name in "bsot")
    (broken / "predictions.npy").write_bytes(b"\x80\x04pickle")
    np.save(short / "predictions.npy", np.zeros((2, 3), np.uint8))
    np.save(odd / "predictions.npy", np.zeros((2, 400)))
    np.save(stale / "predictions.npy", np.zeros((2, 400), np.uint8))
    rows = [
        table(tmp_path / "a.json", row("rmaat", 0, 0.5, laws_digest=3)),
        table(tmp_path / "b.json", row("x", 0, 1.5)),
    ]
    (tmp_path / "c.json").write_text('{"rows": [3]}')
    for paths, message in (
        ([], "compare: no path given; expected run folders, folders of them, or tables that rmaat reproduce wrote"),
        ([tmp_path / "nowhere"], "nowhere: no such file or folder; expected run folders"),
        ([tmp_path / "x.txt"], "x.txt: no run; expected run folders"),
        ([tmp_path / "empty"], "empty: no run in this folder; expected run folders"),
        ([two[0], text], r"runs of different tasks: listops \(.*rmaat-0\) and text \(.*text\); choose one with --task"),
        (
            [two[0], other],
            r"runs on different data: .*rmaat-0 \(digest dddddddddddd, 400 examples\) and .*data \(digest",
        ),
        ([*two, again], r"again: seed 0 of rmaat a second time \(first: .*rmaat-0\); give each run once"),
        ([broken], "predictions.npy: not a readable array, perhaps truncated"),
        ([short], r"predictions.npy: expected whole numbers \(2, 400\), got uint8 \(2, 3\)"),
        ([odd], r"predictions.npy: expected whole numbers \(2, 400\), got float64 \(2, 400\)"),
        ([stale], "predictions.npy: of another evaluation than evaluation.json; make both with rmaat evaluate"),
        ([rows[0]], r"a.json, row 1 \(listops, rmaat, seed 0\): expected 'laws_digest', a str"),
        ([rows[1]], r"b.json, row 1 \(listops, x, seed 0\): accuracy: expected a share, got 1.5"),
        ([tmp_path / "c.json"], "c.json: not a table of rmaat reproduce"),
    ):
        with pytest.raises(InputError, match=message) as told:
            analysis.compare(paths)
        assert "\n" not in str(told.value)
    assert analysis.compare([*two, text], task="listops").task == "listops"
    with pytest.raises(InputError, match=r"task 'listop': no evaluated run of it; did you mean 'listops'\?"):
        analysis.compare(two, task="listop")


def test_a_comparison_is_json(two):
    found = analysis.compare(two)
    raw = json.loads(json.dumps(as_dict(found), allow_nan=False))
    assert raw["schema_version"] == 1
    assert raw["differences"][0]["sentence"] == sentences(found)[0]
    assert raw["differences"][0]["over_seeds"] is True
    assert raw["arms"][0]["seeds"] == [0, 1, 2]
    assert isinstance(found, Comparison)


def test_the_report_compares_where_it_can(two, tmp_path):
    text = write(tmp_path / "text", task="text")
    half = write(tmp_path / "half", seed=3, finished=False, evaluated=False)
    runs = [read_run(path) for path in (*two, text, half)]
    parts = comparisons(runs)
    assert [type(part) for part in parts] == [Heading, Bullets, Table, Table]
    assert parts[0].text == "listops: runs compared"
    assert "rmaat is better than rmt by" in parts[1].items[0]
    assert parts[3].rows[0][1].startswith("−")  # a true minus: rmt is worse
    assert parts[1].items[0] in [each for part in results(Inputs(runs=runs)) if isinstance(part, Bullets)
                                 for each in part.items]  # fmt: skip
    assert comparisons(runs[:3]) == []
    again = write(tmp_path / "again", right=answers(0.5, 3))
    told = comparisons([*runs, read_run(again)])
    assert isinstance(told[-1], Text)
    assert told[-1].text.startswith("Not compared: ")
    np.save(two[0] / "predictions.npy", np.zeros((2, 3), np.uint8))
    assert comparisons(runs)[0].text.startswith("Left out of comparisons: ")


def test_a_test_split_of_one_example_has_no_variation_of_examples(tmp_path):
    paths = [write(tmp_path / f"{model}{seed}", model, seed, right=[right])
             for model, right in (("rmaat", True), ("rmt", False)) for seed in range(2)]  # fmt: skip
    (difference,) = analysis.compare(paths).differences
    assert difference.verdict == "none"
    assert "examples" not in difference.method


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asked": 3}, r"lra.json, row 1 \(listops, a, seed 0\): expected 'asked', a dict"),
        ({"accuracy": "high"}, r"row 1 .*: expected 'accuracy', a float or int"),
        ({"laws_digest": None}, r"row 1 .*: expected 'laws_digest', a str"),
        ({"right": "?"}, r"row 1 .*: right: expected base64"),
        ({"right": 3}, r"row 1 .*: right: expected base64"),
        ({"right": "AAAA"}, r"row 1 .*: right: expected the bits of 2000 examples, got 3 bytes"),
        ({"right": "A" * 334 + "=="}, r"row 1 .*: right: 0 of 2000 examples, the accuracy says otherwise"),
    ],
)
def test_rows_that_are_not_what_they_should_be(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        analysis.compare([table(tmp_path / "lra.json", {**row("a", 0, 0.5), **changes}, row("b", 0, 0.4))])


def test_an_accuracy_of_1_may_be_a_whole_number(tmp_path):
    found = analysis.compare([table(tmp_path / "lra.json", row("a", 0, 1), row("b", 0, 0.4, model="rmt"))])
    assert [arm.mean for arm in found.arms] == [1.0, 0.4]
