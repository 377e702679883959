"""`rmaat data`, `models`, `train`, `evaluate`, `inspect`: data and runs are made, measured and looked into."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.progress import on_terminal
from astro_sim.common.settings import load_toml, parse_assignments
from rmaat import tasks
from rmaat.cli.terminal import HEADER, TASKS, Seed, Set, print_json, table

Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.  [default: as the run was trained]")]


def data(
    task: Annotated[str, typer.Argument(help=TASKS)],
    out: Annotated[Path | None, typer.Option(help="Data folder to make (required).")] = None,
    source: Annotated[Path | None, typer.Option(help="What you downloaded; without it the task is generated.")] = None,
    seed: Seed = 0,
    set_: Set = None,
    settings: Annotated[bool, typer.Option("--settings", help="List the settings of TASK and stop.")] = False,
) -> None:
    """Generate a task's data, or convert the official files.

    Example: rmaat data listops --out data/listops --set train=8000 --set valid=500 --set test=500
    """
    from astro_sim.common.settings import describe
    from rmaat.tasks.writer import prepare

    if settings:
        table(HEADER, describe(tasks.find(task).task.settings))
        return
    if out is None:
        raise InputError("data: expected --out DIR")
    manifest = prepare(task, out, parse_assignments(set_ or []), source, seed)
    rows = [
        (name, split.examples, split.shortest, split.longest, _majority(split.labels) if manifest.classes else "-")
        for name, split in manifest.splits.items()
    ]
    table(("split", "examples", "shortest", "longest", "majority share"), rows)
    for name, split in manifest.splits.items():
        if split.left_out:
            print(f"{name}: {split.left_out} left out, since they stand in another split too")
    print(f"{out}: {manifest.task}, {manifest.origin}, digest {manifest.digest[:12]}")


def _majority(labels: dict[str, int]) -> str:
    return f"{max(labels.values()) / sum(labels.values()):.3f}" if labels else "-"


def models(
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML); --set goes on top.")] = None,
    set_: Set = None,
    vocabulary: Annotated[int, typer.Option(help="Token ids, padding among them.")] = 257,
    classes: Annotated[int, typer.Option(help="Classes, where there are some.")] = 2,
    head: Annotated[str, typer.Option(help="classify, match or language.")] = "classify",
) -> None:
    """List the models of the family, and how many parameters each has under these settings.

    Example: rmaat models --set width=128 --set memory_tokens=16
    """
    from rmaat.settings import TASK_DECIDES, RunSettings, flatten, of_model

    given = of_model(load_toml(config), "", str(config)) if config else {}
    given |= flatten(parse_assignments(set_ or []), "--set")
    for name in TASK_DECIDES:
        if name in given:
            raise InputError(f"{name}: expected as an option of its own, --{name}")
    asked = RunSettings.build(given, vocabulary, None if head == "language" else classes, head)
    from rmaat.models.registry import list_models

    table(
        ("model", "mixer", "sequence", "parameters", "of rmaat's", "position", "feedforward", "source"),
        list_models(asked.model),
    )


def _print_settings(asked: bool) -> None:
    if asked:
        from rmaat.settings import describe_settings

        table(HEADER, describe_settings())
        raise typer.Exit


def train(
    task: Annotated[str, typer.Argument(help=TASKS)],
    out: Annotated[Path, typer.Option(help="Run folder to make, or with --resume to go on with.")],
    laws: Annotated[Path | None, typer.Option(help="Laws file (required; with --resume: the run's own).")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder.  [default: data/TASK, or the run's own]")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model of the family; rmaat models lists them.  [default: rmaat, or the run's own]"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML); --set goes on top.")] = None,
    set_: Set = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint, exactly; --out alone is enough.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so long; --resume goes on. The schedule is fixed in steps.")
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Begin with the weights of this run, or saved model; the head is new if it must."
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option("--settings", callback=_print_settings, is_eager=True, help="List the settings and stop."),
    ] = False,
) -> None:
    """Train a model with the laws; under torchrun or accelerate launch in several processes.

    Example: rmaat train listops --laws laws.json --data data/listops --out runs/listops --config configs/listops.toml
    """
    from bridge.laws import Laws
    from rmaat.records import is_run, read_run
    from rmaat.settings import beyond, flatten, of_model

    if resume and is_run(out):
        model = model or read_run(out).run.model
    elif laws is None and not resume:
        raise InputError("train: expected --laws LAWS.json")
    given = of_model(load_toml(config), model or "rmaat", str(config)) if config else {}
    given |= flatten(parse_assignments(set_ or []), "--set")
    loaded = None if laws is None else Laws.load(laws)
    place = data or (None if resume else Path("data") / tasks.name_of(task))
    from rmaat.signals import Stopped
    from rmaat.training.run import train as run

    # Where there is no progress line, as in the log of a batch job, each validation has a line.
    tell = None if on_terminal() else partial(print, flush=True)
    try:
        record = run(task, place, loaded, out, model, given, resume, minutes, tell, init_from)
    except Stopped as stopped:
        if os.environ.get("RANK", "0") == "0":
            print(f"rmaat: {stopped}", file=sys.stderr)
        raise typer.Exit(stopped.status) from None
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes the first one speaks
    last = {row["split"]: row for row in record.metrics}
    rows = [(name, row["step"], f"{row['loss']:.3f}", f"{row['accuracy']:.3f}") for name, row in sorted(last.items())]
    table(("split", "step", "loss", "accuracy"), rows)
    total, cycles = record.run.data.segments, None if record.laws is None else record.laws.fitted_cycles
    if cycles is not None and total > cycles:
        print(f"the law is extrapolated: up to {total} segments, {cycles} simulated cycles")
    if (start := record.run.init_from) is not None:
        anew = f"; anew: {', '.join(start.anew)}" if start.anew else ""
        print(f"begun with the weights of {start.path}{anew}")
    if idle := record.run.without_effect:
        print(f"without effect on {record.run.model}: {', '.join(idle)}")
    if (line := beyond(record.run.settings)) is not None:
        print(line)
    if not record.finished:
        print(f"{out}: stopped after {minutes:g} minutes; the same command with --resume goes on")
        return
    print(f"{out}: {record.run.parameters:,} parameters; measure it with: rmaat evaluate {out}")


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[Path | None, typer.Option(help="Data folder; by default the one of the run.")] = None,
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "test",
    device: Device = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="best|last", help="Of a checkpoint, of a run that is still at work too; nothing is kept."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a run on a whole split.

    Example: rmaat evaluate runs/listops --json
    """
    from rmaat.records import read_run

    read_run(run)  # a wrong folder is told before torch is loaded
    from rmaat.training.evaluation import evaluate as measure

    result = measure(run, data, split, device, weights)
    if json_:
        print_json(result)
    else:
        if weights is not None:
            print(f"weights of step {result['step']}")
        names = [name for name in ("accuracy", "majority", "first_symbol", "loss", "bits_per_token") if name in result]
        row = (result["split"], result["examples"], *(f"{result[name]:.4f}" for name in names))
        table(("split", "examples", *(name.replace("_", " ") for name in names)), [row])
        if (seen := result.get("trained_on", 0)) != 0:
            told = "the run's own are gone, so perhaps some of these examples are" if seen is None else f"{seen} are"
            print(f"other data than the run's: {told} among those that it was trained on")


def inspect(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[Path | None, typer.Option(help="Data folder; by default the one of the run.")] = None,
    examples: Annotated[int, typer.Option(help="Examples to look at, the longest of the split.")] = 16,
    split: Annotated[str, typer.Option(help="Split they are of.")] = "test",
    device: Device = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at the memory of a finished run at work: which segments reach the output, and what is kept of the first.

    Example: rmaat inspect runs/listops
    """
    from rmaat.records import DIAGNOSTICS, read_run

    record = read_run(run)
    from rmaat.training.evaluation import inspect as look

    found = look(run, data, examples, split, device)
    if json_:
        print_json(found)
        return
    norms = found["memory_norm"] or [None] * len(found["influence"])
    rows = [(t, f"{a:.3g}", "-" if b is None else f"{b:.3g}")
            for t, (a, b) in enumerate(zip(found["influence"], norms, strict=True), start=1)]  # fmt: skip
    table(("segment", "gradient of the output", "memory norm after"), rows)
    if found["first"]:
        print()
        table(("T", "kept of segment 1", "by the rule alone"),
              [(row["T"], f"{row['measured']:.3g}", f"{row['direct']:.3g}") for row in found["first"]])  # fmt: skip
    own = found["data_digest"] == record.run.data.digest
    where = run / DIAGNOSTICS if own else "other data than the run's, so nothing is kept"
    where = "nothing is kept" if own and found.get("kept") is False else where
    print(f"{where}: {found['examples']} examples of {split}")
