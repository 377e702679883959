"""The sections on the model: training curves, and results beside the paper's."""

from collections import Counter
from typing import Any

from analysis import paper, plots
from analysis.collect import Inputs
from analysis.comparison.statistics import wilson
from analysis.comparison_parts import comparison_parts
from analysis.curves import law_path, series
from analysis.parts import Plot, Section, Table, Text, count, number, percent, rows_of
from bridge.describe import REFERENCE_TOTAL, moved_factors, moved_parameters, plain
from rmaat.records import RunRecord

MOVED_TOTALS = (4, 8, 16)  # T at which a trained law is held against the simulated one
TRAIN = "rmaat train listops --laws laws.json --out RUN"
INSPECT = "rmaat inspect"


def labels(runs: list[RunRecord]) -> list[str]:
    """Names of the run folders; whole paths where two folders share one."""
    names = Counter(map(run_name, runs))
    return [name if names[name := run_name(run)] == 1 else str(run.path) for run in runs]


def run_name(run: RunRecord) -> str:
    """Name of the run folder, with the folder around it where the name is "run", which says nothing."""
    around = run.path.absolute().parent.name
    return f"{around}/{run.path.name}" if run.path.name == "run" and around else run.path.name


def training(inputs: Inputs) -> Section:
    """Loss and accuracy over steps, for all runs in one figure a task."""
    section = Section("training", "Training")
    if not inputs.runs:
        return section
    named = list(zip(labels(inputs.runs), inputs.runs, strict=True))
    for label, run in named:
        if not run.finished:
            text = f"{label}: not finished (model.safetensors is missing); continue with: {TRAIN} --resume"
            section.add(Text(text.replace("RUN", str(run.path)).replace("listops", _task(run)), note=True))
        if not run.metrics:
            section.add(Text(f"{label}: no logged steps yet (metrics.jsonl is missing or empty)", note=True))
    for task in dict.fromkeys(_task(run) for _, run in named):
        logged = [(label, run) for label, run in named if _task(run) == task and run.metrics]
        if not logged:
            continue
        last = [
            f"{label} ends at {split} loss {number(values[-1], 3)}"
            for label, run in logged
            for split in ("train", "valid")
            if len(values := series(run.metrics, split, "loss")[1])
        ]
        tokens = any(is_language(run) for _, run in logged)
        caption = f"{task}: training (thin) and validation (thick); dotted: share of the most frequent "
        caption += f"{'token' if tokens else 'class'} in the test split."
        if tokens:
            caption += (
                " Loss and accuracy are those of next tokens; a loss in nats over ln 2 = 0.693 is one in bits a token."
            )
        section.add(
            Plot(
                plots.training(logged, tokens),
                f"Loss and accuracy {'of next tokens ' if tokens else ''}over training steps on {task}: "
                + "; ".join(last)
                + ".",
                caption,
                560,
            )
        )
    for label, run in named:
        section.add(*_moved(label, run))
    return section


def _moved(label: str, run: RunRecord) -> list[Any]:
    """Where training moved the run's law; empty where it did not."""
    before, after, parts = run.laws, run.trained_laws, []
    if before is None:
        return []
    numbers = before.document.retention.parameters
    if after is not None:
        first = [number(laws.retention(REFERENCE_TOTAL)[0], 3) for laws in (before, after)]
        parts += [
            Table(
                f"{label}: Where training moved the law ({plain(before.document.retention.family)})",
                *rows_of(moved_parameters(before, after)),
                ["unit"],
            ),
            Table(
                f"{label}: how far RetentionFactor(., T) moved (total variation, 0 to 1)",
                *rows_of(moved_factors(before, after, MOVED_TOTALS)),
            ),
            Plot(
                plots.law_moved(before, after, REFERENCE_TOTAL),
                f"RetentionFactor(t, {REFERENCE_TOTAL}) of {label} before and after training: first segment "
                f"{first[0]}, then {first[1]}.",
                f"{label}: RetentionFactor(t, {REFERENCE_TOTAL}) of the simulated law and of the one that training "
                "reached. Band, where there is one: 95 % of the resampled simulated laws.",
                340,
            ),
        ]
    paths = {name: law_path(run.metrics, name)[1] for name in numbers}
    if all(map(len, paths.values())):
        ends = "; ".join(f"{name} at {number(values[-1])}" for name, values in paths.items())
        parts.append(
            Plot(
                plots.law_paths(run, before),
                f"Parameters of the retention law of {label} over training steps: {ends} in the last logged step.",
                f"{label}: parameters of the retention law as training moves them, each over its simulated value.",
                300,
            )
        )
    return parts


def results(inputs: Inputs) -> Section:
    """Test accuracy of every run beside the paper's number, and the paper's own tables.

    Language models bring columns of their own: what the accuracy is of, and bits a token.
    """
    section = Section("results", "Results beside the paper’s")
    if not inputs.runs:
        return section
    tokens = any(is_language(run) for run in inputs.runs)
    caption = "Test accuracy; difference in percentage points, ours minus the paper's"
    if tokens:
        caption += (
            ". Of language models accuracy and majority are those of next tokens, and say less than bits a token; the "
            "paper has none to set beside. They have no interval: tokens of one text are no independent examples"
        )
    if any(run.run.get("task") in paper.TASKS for run in inputs.runs):
        text = (
            "These runs are NOT comparable to the paper's: they are small, each is of one seed, and they were "
            "trained on a fraction of the paper's budget. The difference is there so that nobody has to work it "
            "out; it is no verdict."
        )
        section.add(Text(text, note=True))
    section.add(
        Table(
            caption,
            [
                *("run", "task", "model"),
                *(["accuracy of"] if tokens else []),
                *("ours", "95 % interval", "majority", "first symbol"),
                *(["bits a token"] if tokens else []),
                *("paper", "difference", "comparable?"),
            ],
            [_result(label, run, tokens) for label, run in zip(labels(inputs.runs), inputs.runs, strict=True)],
            ["task", "model", "accuracy of", "comparable?"],
            sortable=True,
        ),
    )
    for label, run in zip(labels(inputs.runs), inputs.runs, strict=True):
        if run.evaluation is None:
            text = f"{label}: not evaluated (evaluation.json is missing); make it with: "
            section.add(Text(f"{text}rmaat evaluate {run.path}", note=True))
    section.add(*comparison_parts(inputs.runs))
    section.add(_paper_table(), _ablations())
    return section


def _result(label: str, run: RunRecord, tokens: bool) -> list[str]:
    """A row of the results; ``tokens``: with the columns that language models bring."""
    task, model, language = _task(run), str(run.run.get("model", "?")), is_language(run)
    theirs = None if language else paper.accuracy(task, model)
    found = run.evaluation or {}
    ours, examples, bits = found.get("accuracy"), found.get("examples"), found.get("bits_per_token")
    between = "–"
    if not language and isinstance(ours, int | float) and isinstance(examples, int) and examples > 0:
        low, high = wilson(round(ours * examples), examples)
        between = f"{percent(low)} to {percent(high)}"
    return [
        label,
        paper.TASKS.get(task, task),
        model,
        *(["next tokens" if language else "examples"] if tokens else []),
        "not evaluated" if ours is None else percent(ours),
        between,
        percent(found.get("majority")),
        percent(found.get("first_symbol")),
        *(["–" if bits is None else number(bits)] if tokens else []),
        "–" if theirs is None else f"{theirs:.1f} %",
        "–" if theirs is None or ours is None else f"{100 * ours - theirs:+.1f}".replace("-", "−"),
        "no: " + "; ".join(_differences(run, theirs)),
    ]


def _differences(run: RunRecord, theirs: float | None) -> list[str]:
    """Why the two numbers do not measure the same thing, as far as the record tells."""
    task, settings = _task(run), run.run.get("settings") or {}
    model = run.run.get("model_config") or {}
    why = []
    if theirs is None:
        why.append("no such entry in the paper's table")
    examples, whole = examples_of(run, "train"), paper.TRAINING_EXAMPLES.get(task)
    if examples is not None and whole is not None and examples < whole:
        why.append(f"{count(examples)} of {count(whole)} training examples")
    if "steps" in settings:
        why.append(f"{count(settings['steps'])} steps")
    if "width" in model and "depth" in model:
        why.append(f"width {model['width']}, depth {model['depth']}")
    if run.run.get("model") == "rmaat" and model.get("memory_rule") not in (None, "scale"):
        why.append(f"memory rule {model['memory_rule']}, the paper's is scale")
    return [*why, "one seed"]


def is_language(run: RunRecord) -> bool:
    """Whether the run's accuracy is of next tokens, not of examples."""
    return (run.run.get("model_config") or {}).get("head") == "language" or "bits_per_token" in (run.evaluation or {})


def examples_of(run: RunRecord, split: str) -> int | None:
    """Number of examples in a split, as recorded with the run: a count, or a description with one."""
    data: dict[str, Any] = run.run.get("data") or {}
    for place in (data, data.get("splits"), data.get("counts")):
        found = place.get(split) if isinstance(place, dict) else None
        found = found.get("examples") if isinstance(found, dict) else found
        if isinstance(found, int):
            return found
    return None


def _paper_table() -> Table:
    rows = []
    for name, row in paper.LRA.items():
        memory = "–" if row.memory is None else f"{row.memory[0]:g} to {row.memory[1]:g}"
        rows.append([name, *(f"{value:.1f}" for value in row[:6]), memory])
    return Table(
        f"The paper's numbers: accuracy (%) and peak memory (GB). Source: {paper.TABLE}",
        ["model", *paper.TASKS.values(), "average", "peak memory (GB)"],
        rows,
        sortable=True,
    )


def _ablations() -> Table:
    return Table(
        f"The paper's ablations and throughput. Source: {paper.ABLATION}",
        ["change", "task", "quantity", "before", "after"],
        [
            [
                a.change,
                paper.TASKS[a.task],
                a.quantity,
                *(_with_unit(value, a.unit) for value in (a.before, a.after)),
            ]
            for a in paper.ABLATIONS
        ],
        ["task", "quantity"],
    )


def _with_unit(value: float, unit: str) -> str:
    return f"{value:g}" if unit == "1" else f"{value:.1f} {unit}"


def _task(run: RunRecord) -> str:
    return str(run.run.get("task", "?"))
