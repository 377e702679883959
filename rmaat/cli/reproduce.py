"""The verbs `rmaat reproduce ...`: the paper's experiments, run or resumed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from astro_sim.common.errors import InputError, require_known
from astro_sim.common.files import require_suffix
from astro_sim.common.settings import parse_assignments
from rmaat.cli.terminal import Set, table

if TYPE_CHECKING:
    from rmaat.plans import Plan

app = typer.Typer(name="reproduce", help="Run, or resume, the experiments of the paper, and write their table.")

Laws_ = Annotated[Path, typer.Option("--laws", help="Laws file.")]
DataRoot = Annotated[Path, typer.Option("--data", help="Folder with a data folder a task (rmaat data).")]
Runs = Annotated[Path, typer.Option(help="Folder for the runs.")]
Preset = Annotated[str, typer.Option(help="Settings: small (configs/lra-small) or paper (configs/lra).")]
Tasks = Annotated[str | None, typer.Option(help="Tasks, with commas.")]
Only = Annotated[str | None, typer.Option(help="Rows, with commas, by their names in the table.")]
Seeds = Annotated[int, typer.Option(help="Runs of each kind, seeds from 0.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Replace finished rows that were made with other settings, data or laws.")
]
Minutes = Annotated[
    float | None, typer.Option("--minutes-per-run", help="Longest sitting for a run; the same command goes on with it.")
]


@app.command()
def lra(
    laws: Laws_,
    data: DataRoot = Path("data/lra"),
    runs: Runs = Path("runs/lra"),
    out: Annotated[Path, typer.Option(help="Table to write (JSON).")] = Path("results/lra.json"),
    preset: Preset = "small",
    tasks: Tasks = None,
    models: Annotated[str, typer.Option(help="Models, with commas; rmaat models lists them.")] = "rmaat",
    seeds: Seeds = 1,
    minutes: Minutes = None,
    set_: Set = None,
    replace: Replace = False,
) -> None:
    """The table of the Long Range Arena: every model on every task, trained alike.

    Example: rmaat reproduce lra --laws laws.json --models rmaat,rmt --tasks listops,text --seeds 3
    """
    from rmaat.plans import TASKS, lra

    plans = lra(_list(tasks) or TASKS, _list(models), seeds)
    place, over = _place(laws, data, runs, out, preset, set_)
    _go(plans, place, out, f"lra {preset}", minutes, over, replace)


@app.command()
def ablations(
    laws: Laws_,
    data: DataRoot = Path("data/lra"),
    runs: Runs = Path("runs/ablations"),
    out: Annotated[Path, typer.Option(help="Table to write (JSON).")] = Path("results/ablations.json"),
    preset: Preset = "small",
    tasks: Tasks = "listops,text",
    only: Only = None,
    seeds: Seeds = 1,
    minutes: Minutes = None,
    set_: Set = None,
    replace: Replace = False,
) -> None:
    """What each part of RMAAT is worth: rules, laws, H_astro, P, alpha, AMRB, numbers of segments.

    Example: rmaat reproduce ablations --laws laws.json --only "rmaat,no H_astro" --set steps=500
    """
    from bridge.laws import Laws
    from rmaat.plans import BASE, TASKS, ablations, longest

    place, over = _place(laws, data, runs, out, preset, set_)
    asked = _list(tasks)
    for task in asked:
        require_known("task", task, TASKS)
    presets = {task: {**place.preset(task, BASE), **over} for task in asked}
    plans = ablations(asked, seeds, Laws.load(laws), longest(asked, data), presets)
    plans = _only(plans, only)
    _go(plans, place, out, f"ablations {preset}", minutes, over, replace)


@app.command("short-term")
def short_term(
    laws: Laws_,
    data: DataRoot = Path("data"),
    runs: Runs = Path("runs"),
    out: Annotated[Path, typer.Option(help="Table to write (JSON).")] = Path("results/short-term.json"),
    tasks: Tasks = "enwik8,text",
    only: Only = None,
    seeds: Seeds = 1,
    minutes: Minutes = None,
    set_: Set = None,
    replace: Replace = False,
) -> None:
    """What fading traces in the attention are worth, and whether it is the simulated law that is.

    Example: rmaat reproduce short-term --laws laws.json --tasks enwik8 --only "none,laws,retnet" --seeds 3
    """
    from bridge.laws import Laws
    from rmaat.plans import BASE, SHORT_TERM, SHORT_TERM_TASKS, short_term

    place, over = _place(laws, data, runs, out, SHORT_TERM, set_)
    asked = _list(tasks)
    for task in asked:
        require_known("task", task, SHORT_TERM_TASKS)
    presets = {task: {**place.preset(task, BASE), **over} for task in asked}
    plans = _only(short_term(asked, seeds, Laws.load(laws), presets), only)
    _go(plans, place, out, "short-term", minutes, over, replace)


def _only(plans: list["Plan"], only: str | None) -> list["Plan"]:
    """The rows that were asked for by name; all by default."""
    if only is None:
        return plans
    for name in (asked := _list(only)):
        require_known("row", name, {plan.name for plan in plans})
    return [plan for plan in plans if plan.name in asked]


def _list(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _place(
    laws: Path, data: Path, runs: Path, out: Path, preset: str, set_: list[str] | None
) -> tuple[Any, dict[str, Any]]:
    """Where things lie, and the settings over the preset's; what is wrong with them is told before anything starts."""
    from bridge.laws import Laws
    from rmaat.plans import PRESETS, SHORT_TERM, Place
    from rmaat.settings import flatten

    require_suffix(out, ".json")
    known = {**PRESETS, SHORT_TERM: SHORT_TERM} if preset == SHORT_TERM else PRESETS
    require_known("preset", preset, known)
    configs = Path(__file__).resolve().parents[2] / "configs" / known[preset]
    if not configs.is_dir():
        raise InputError("reproduce: expected a checkout of the project; the installed package has no configs/")
    Laws.load(laws)
    return Place(data, runs / preset, laws, configs), flatten(parse_assignments(set_ or []), "--set")


def _go(
    plans: Any, place: Any, out: Path, what: str, minutes: float | None, over: dict[str, Any], replace: bool
) -> None:
    from rmaat.plans import unreached
    from rmaat.reproduce import reproduce

    finished, wrong, lines = 0, False, []
    for row in reproduce(plans, place, out, what, minutes, over, replace):
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.3f}"
        print(f"{row.task}, {row.name}, seed {row.seed}: {row.state}, accuracy {accuracy}", flush=True)
        spent = "-" if row.seconds is None else f"{row.seconds / 60:.1f}"
        lines.append((row.task, row.name, row.seed, row.state, accuracy, spent))
        finished += row.finished
        wrong |= row.state.startswith(("failed", "no data"))
    print()
    table(("task", "what", "seed", "state", "accuracy", "minutes"), lines)
    for line in unreached(plans, place, over):
        print(line)
    print(f"{out}: {finished} of {len(lines)} runs finished")
    if wrong:
        raise typer.Exit(1)
