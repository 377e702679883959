"""The verb `rmaat figure`: a figure for print, by name."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, require_writable
from rmaat.terminal import table

PICTURES = 40  # of Pathfinder, enough for eight of either label


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
