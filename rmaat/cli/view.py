"""`rmaat report`, `compare`, `figure`, `bench`: what was made is looked at."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, require_writable
from rmaat.cli.terminal import print_json, require_own, table

PICTURES = 40  # of Pathfinder, enough for eight of either label


def report(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Datasets, laws, runs, or folders of them.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
) -> None:
    """Make one self-contained HTML report of whatever is given.

    Example: rmaat report demo --out report.html
    """
    from analysis.report.page import build_report

    require_suffix(out, ".html")
    build_report(paths, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


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
        require_own(out, "comparison", "differences")
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


def figure(
    name: Annotated[str | None, typer.Argument(help="Which; --list lists them.")] = None,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", help="Datasets, laws, runs, tables of results, folders.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Figure to write: F.pdf, F.png or F.svg (required).")] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the figures, and what each is drawn from, and stop.")
    ] = False,
) -> None:
    """Draw a figure for print, from the given paths; without any from the project's results, or simulated.

    Example: rmaat figure macro-dynamics --out dynamics.pdf
    """
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown, so a backend of the user's need not exist
    try:
        from analysis.figures import FIGURES, Sources, draw, save
    except UnicodeDecodeError as error:  # matplotlib reads it as it is loaded
        raise InputError(f"matplotlibrc: not text in UTF-8 ({error}); mend or remove it") from None

    if list_:
        table(("figure", "drawn from", "shows"), [(key, each.of, each.shows) for key, each in FIGURES.items()])
        return
    if name is None or out is None:
        raise InputError("figure: expected a NAME and --out F.pdf; rmaat figure --list lists the names")
    require_suffix(out, ".pdf", ".png", ".svg")
    require_writable(out)
    sources = Sources(paths or (), _simulate, _pictures)
    save(draw(name, sources), out)
    print(f"{out}: {FIGURES[name].shows}; drawn from {'; '.join(sources.used)}")


def _simulate(experiment: str, model: str, **settings: Any) -> Any:
    from astro_sim.simulation import simulate

    print(f"simulating {experiment}, {model} model", file=sys.stderr)
    return simulate(experiment, model, **settings)


def _pictures() -> Any:
    import numpy as np

    from rmaat.tasks import snakes

    drawn = [snakes.draw(0, index) for index in range(PICTURES)]
    return np.array([each.pixels for each in drawn]), np.array([each.label for each in drawn])


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
    root = Path(__file__).resolve().parents[2]
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
