"""The front door: one verb a room, each loaded only when it is called, so that ``rmaat --help`` answers at once.

Exit status: 0 on success, 2 on wrong use or bad input (one line on stderr, nothing written), 130 when interrupted, 143
when terminated.
"""

import os
import sys

# `python -m rmaat` looks for modules in the working folder first, where a person may have an analysis.py. The rooms are
# beside this one, so it must not, unless that is where they are.
if __name__ == "__main__" and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, require_writable
from astro_sim.common.settings import load_toml, parse_assignments
from astro_sim.experiments import NAMES as EXPERIMENTS
from rmaat import figure_verb, laws_verbs, reproduce_verbs, run_verbs, tasks
from rmaat.terminal import HEADER, TASKS, Seed, Set, ended_by_sigterm, print_json, require_streams, table

# Typer carries a copy of click or imports it, depending on its version; this is the base of its errors in both.
UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="rmaat",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(laws_verbs.app)
app.add_typer(reproduce_verbs.app)


def _require_own(out: Path, what: str, part: str) -> None:
    """Refuse to write over a JSON file that lacks what ours of this kind have; a run folder holds several others."""
    from astro_sim.common.files import read_json

    if out.is_file():
        found = read_json(out, what)
        if not (isinstance(found, dict) and part in found):
            raise InputError(f"{out}: exists and is no {what}; choose another name")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"rmaat {version('rmaat')}")
        raise typer.Exit


@app.callback()
def _front(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Simulate an astrocyte, distil its laws, train a transformer with them, and look."""


@app.command()
def simulate(
    experiment: Annotated[
        str, typer.Argument(help="One of: " + ", ".join(EXPERIMENTS) + "; or a file of your own (.py).")
    ],
    out: Annotated[Path | None, typer.Option(help="Dataset to write, X.nc (required).")] = None,
    model: Annotated[str | None, typer.Option(help="macro or biophysical.  [default: macro where it runs]")] = None,
    seed: Seed = 0,
    set_: Set = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Run at every value, a:b:n, a:b:n:log, or 1,2,5; repeatable, for a grid. For instance "
            "--sweep tau_p_l=30:90:5 --sweep seed=0:9:10. After an interruption the same command goes on.",
        ),
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS|local", help="Sweep on the workers of this dask scheduler.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of a sweep; by default one a core.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="List the settings of EXPERIMENT and stop.")] = False,
) -> None:
    """Run an experiment and write its dataset.

    Example: rmaat simulate ltp --out ltp.nc --set cycles=24 --set burn_in=3
    """
    from astro_sim.simulation import describe_settings
    from astro_sim.simulation import simulate as run

    if settings:
        table(HEADER, describe_settings(experiment, model))
        return
    if out is None:
        raise InputError("simulate: expected --out X.nc")
    require_suffix(out, ".nc")
    require_writable(out)
    given = parse_assignments(set_ or [])
    for name in ("experiment", "model", "seed", "dask", "workers"):
        if name in given:
            raise InputError(
                f"--set {name}: no setting; expected " + ("a name first" if name == "experiment" else f"--{name}")
            )
    if sweep:
        _sweep(sweep, out, dask, workers, {"experiment": experiment, "model": model, "seed": seed, **given})
        return
    if dask is not None or workers is not None:
        raise InputError("simulate: --dask and --workers are for sweeps; expected --sweep NAME=VALUES too")
    dataset = run(experiment, model, seed, **given)
    from astro_sim.dataset import write

    write(dataset, out)
    sizes = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items())
    print(f"{out}: {dataset.attrs['title']} ({sizes})")


def _sweep(pairs: list[str], out: Path, dask: str | None, workers: int | None, question: dict[str, Any]) -> None:
    """Sweep into ``out``; until it is written whole, finished points are kept in a folder beside it."""
    import shutil

    from astro_sim.dataset import write
    from astro_sim.sweeps import SweepError, failures, sweep
    from astro_sim.sweeps.grid import parse

    if out.exists() and not out.is_file():
        raise InputError(f"{out}: exists and is not a regular file")
    if ".." in out.parts:  # past a folder that is not there, what is made could not be found again
        out = Path(os.path.realpath(out))
    points = out.with_name(f"{out.name}.points")
    grid = parse(pairs)
    try:
        dataset = sweep(grid=grid, client=dask, folder=points, workers=workers, **question)
    except SweepError:
        shutil.rmtree(points, ignore_errors=True)
        raise
    except OSError:
        if points.is_dir() and not any(points.glob("*.h5")):
            shutil.rmtree(points, ignore_errors=True)  # nothing in it to go on from
        raise
    except KeyboardInterrupt:
        if points.is_dir():
            print(f"rmaat: interrupted; the same command goes on from {points}", file=sys.stderr)
        raise
    write(dataset, out)
    shutil.rmtree(points, ignore_errors=True)
    failed, total = failures(dataset), dataset["failure"].size
    sizes = " x ".join(f"{name} {size}" for name, size in dataset["failure"].sizes.items())
    print(f"{out}: {dataset.attrs['title']} ({sizes} = {total} points, {len(failed)} failed)")
    for point, message in failed[:10]:
        print(f"  failed: {', '.join(f'{name} {value}' for name, value in point.items())}: {message}")
    if len(failed) > 10:
        print(f"  and {len(failed) - 10} more; their messages are in the variable 'failure'")


@app.command()
def fit(
    datasets: Annotated[
        list[Path], typer.Argument(metavar="X.nc...", help="One ltp; also spatial, frequency and stp.")
    ],
    out: Annotated[Path, typer.Option(help="Laws file to write (JSON).")],
    family: Annotated[str | None, typer.Option(help="Law family; by default the one with the lowest AICc.")] = None,
    noise: Annotated[
        str | None, typer.Option(help="Where noise enters: levels or dynamics.  [default: by AICc]")
    ] = None,
    draws: Annotated[int, typer.Option(help="Resampled laws to keep for the band; 0 for none.")] = 400,
    seed: Seed = 0,
) -> None:
    """Distil the laws from datasets.

    Example: rmaat fit ltp.nc spatial.nc frequency.nc --out laws.json
    """
    from astro_sim.dataset import read
    from bridge.distil import fit_laws
    from bridge.show import numbers

    require_suffix(out, ".json")
    _require_own(out, "laws file", "retention")
    # A word that is no kind of noise is refused there.
    laws = fit_laws([read(path) for path in datasets], family, noise, draws, seed)  # pyright: ignore[reportArgumentType]
    laws.save(out)
    law = laws.document.retention
    if not law.identifiable:
        print(f"not identifiable: {law.fitted_cycles} cycles reach {law.reached:.0%} of the fitted saturation")
    table(*numbers(laws))
    print(laws_verbs.taken(laws.presynaptic_exponent, laws.spatial_decay))
    print(f"{out}: digest {laws.digest[:12]}")


@app.command()
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
    from rmaat.tasks.storage import prepare

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


app.command()(run_verbs.train)


@app.command()
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


app.command()(run_verbs.evaluate)
app.command()(run_verbs.inspect)


@app.command()
def report(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Datasets, laws, runs, or folders of them.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
) -> None:
    """Make one self-contained HTML report of whatever is given.

    Example: rmaat report demo --out report.html
    """
    from analysis.report import build_report

    require_suffix(out, ".html")
    build_report(paths, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs, folders of them, or tables of rmaat reproduce.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option(help="Arm that the others are held against: its name or model, or a run.  [default: the first]"),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Take the runs of this task alone.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to keep the comparison in (JSON).")] = None,
) -> None:
    """Compare trained runs of one task: which arm is better, by how much, and what could not have been seen.

    Example: rmaat compare runs/rmaat-0 runs/rmaat-1 runs/rmaat-2 runs/rmt-0 runs/rmt-1 runs/rmt-2 --baseline rmt
    """
    from analysis.comparison.compare import compare as held
    from analysis.comparison.text import arm_rows, as_dict, difference_rows, lines
    from astro_sim.common.files import write_json

    if out is not None:
        require_suffix(out, ".json")
        _require_own(out, "comparison", "differences")
    found = held(paths, baseline, task)
    if out is not None:
        write_json(out, as_dict(found))
    if json_:
        print_json(as_dict(found))
        return
    for rows in (arm_rows(found), difference_rows(found)):
        table(*rows)
        print()
    print("\n".join(lines(found)))


app.command()(figure_verb.figure)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Benchmarks; by default all that are short.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the results in, a JSON file each.")] = None,
) -> None:
    """Measure, side by side, on this machine. Needs a checkout: benchmarks are not installed.

    Example: rmaat bench amrb-memory macro-solver
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "benchmarks" / "registry.py").is_file():
        raise InputError("bench: expected a checkout of the project; the installed package has no benchmarks/")
    sys.path.insert(0, str(root))
    from benchmarks.registry import run

    results = run(names or [], out)
    if json_:
        print_json(results)
        return
    for result in results:
        print(f"\n{result['name']}: {result['what']}")
        table(tuple(result["rows"][0]), [tuple(row.values()) for row in result["rows"]])


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """All of it, small, in two to four minutes on two cores.

    Example: rmaat demo --out demo
    """
    from rmaat.demo import run

    runs = (run_verbs.train, run_verbs.evaluate, run_verbs.inspect)
    verbs = {each.__name__: each for each in (simulate, fit, data, *runs, report)}
    run(out, seed, {**verbs, "overview": _overview})


def _overview(datasets: list[Path], laws: Path, run: Path, out: Path) -> None:
    from analysis.figures import overview, save
    from astro_sim.dataset import read
    from bridge.laws import Laws
    from rmaat.records import read_run

    save(overview([read(path) for path in datasets], Laws.load(laws), read_run(run)), out)
    print(f"{out}: the whole line in one figure")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    require_streams()
    warnings.showwarning = _show_warning
    with ended_by_sigterm() as came:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # who read it has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter would try again at its end
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            status = _refuse(f"standard output: {error.strerror}")
    return 128 + came[0] if came else status


def _run(arguments: list[str]) -> int:
    try:
        command = typer.main.get_command(app)
        status = command.main(args=arguments or ["--help"], prog_name="rmaat", standalone_mode=False)
        return status if isinstance(status, int) else 0  # typer hands back 130 for an interrupt
    except InputError as error:
        return _refuse(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "rmaat"
        return _refuse(f"{error.format_message().rstrip('.')}; see {command} --help")
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        told = error.strerror or str(error)
        return _refuse(f"{error.filename}: {told}" if error.filename else told)
    except MemoryError as error:
        return _refuse(f"not enough memory for these settings ({error})")
    except RuntimeError as error:
        # How torch says it: on a GPU by a type of its own, otherwise in words.
        if type(error).__name__ != "OutOfMemoryError" and "allocate memory" not in str(error):
            raise
        return _refuse("not enough memory for these settings; accumulate, or a smaller batch, needs less")


def _refuse(message: str) -> int:
    with suppress(OSError):  # a full disk behind stderr changes no exit status
        print("rmaat: " + " ".join(str(InputError(message)).split()), file=sys.stderr, flush=True)
    return 2


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print("rmaat: warning: " + " ".join(str(InputError(message)).split()), file=sys.stderr)


def _majority(labels: dict[str, int]) -> str:
    return f"{max(labels.values()) / sum(labels.values()):.3f}" if labels else "-"


if __name__ == "__main__":
    sys.exit(main())
