"""`rmaat simulate`: an experiment runs, once or swept over a grid."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, require_writable
from astro_sim.common.settings import parse_assignments
from astro_sim.experiments import NAMES as EXPERIMENTS
from rmaat.cli.terminal import HEADER, Seed, Set, table


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
