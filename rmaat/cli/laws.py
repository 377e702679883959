"""`rmaat fit`, `rmaat laws`: laws are distilled, looked at, and held against the simulation behind them."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.common.files import require_suffix, require_writable
from astro_sim.common.settings import parse_assignments
from rmaat.cli.terminal import Seed, Set, require_own, table

app = typer.Typer(name="laws", help="Laws files, and the simulation behind them.", no_args_is_help=True)


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

    Example: rmaat fit ltp.nc spatial.nc frequency.nc stp.nc --out laws.json
    """
    from astro_sim.dataset import read
    from bridge.describe import numbers, percent, taken
    from bridge.fit import fit_laws
    from rmaat.config import DEFAULT_DECAY

    require_suffix(out, ".json")
    require_own(out, "laws file", "retention")
    # A word that is no kind of noise is refused there.
    laws = fit_laws([read(path) for path in datasets], family, noise, draws, seed)  # pyright: ignore[reportArgumentType]
    laws.save(out)
    law = laws.document.retention
    if not law.identifiable:
        print(f"not identifiable: {law.fitted_cycles} cycles reach {percent(law.reached)} of the fitted saturation")
    table(*numbers(laws))
    print(taken(laws, DEFAULT_DECAY))
    print(f"{out}: digest {laws.digest[:12]}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="LAWS.json", help="Laws file.")],
    total: Annotated[list[int] | None, typer.Option(help="T to show; repeatable.  [default: 4, 8, 16]")] = None,
) -> None:
    """Tell what a laws file says.

    Example: rmaat laws show laws.json --total 16
    """
    from bridge import describe
    from bridge.laws import Laws
    from rmaat.config import DEFAULT_DECAY

    laws, totals = Laws.load(path), total or [4, 8, 16]
    print("\n".join([*describe.findings(laws), describe.data(laws), *describe.doubts(laws, totals)]) + "\n")
    table(*describe.numbers(laws))
    print(describe.taken(laws, DEFAULT_DECAY) + "\n")
    table(*describe.quality(laws))
    print()
    table(*describe.factors(laws, totals))
    print()
    table(*describe.candidates(laws))


Range = Annotated[
    list[str] | None,
    typer.Option(
        "--range", metavar="NAME=LOW:HIGH", help="Vary this parameter; repeatable.  [default: those that matter]"
    ),
]
LawModel = Annotated[str, typer.Option(help="macro (with bounded LTP) or biophysical.")]


@app.command()
def sensitivity(
    model: LawModel = "macro",
    range_: Range = None,
    method: Annotated[str, typer.Option(help="morris (few runs) or sobol (shares of variance).")] = "morris",
    size: Annotated[int, typer.Option(help="Trajectories, or base samples.")] = 20,
    total: Annotated[int, typer.Option(help="T of the retention factors that are looked at.")] = 16,
    seed: Seed = 0,
    set_: Set = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the biophysical model.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep the result (JSON).")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw it (PDF, PNG or SVG).")] = None,
) -> None:
    """Vary the simulation's parameters and see what becomes of the law.

    Example: rmaat laws sensitivity --range tau_p_l=30:90 --range beta=1:4 --figure effects.png
    """
    from bridge.exploration.runs import parse_ranges
    from bridge.exploration.sensitivity import sensitivity as vary

    if out is not None:
        require_suffix(out, ".json")
        require_writable(out)
    if figure is not None:
        require_suffix(figure, ".pdf", ".png", ".svg")
        require_writable(figure)
    given = parse_assignments(set_ or [])
    found = vary(model, parse_ranges(range_ or []), method, size, total, None, seed, workers, **given)
    if out is not None:
        found.save(out)
    if figure is not None:
        from analysis import figures

        figures.save(figures.sensitivity(found), figure)
    table(*found.table())
    print(found.varied())


@app.command(name="match")
def match_(
    path: Annotated[Path, typer.Argument(metavar="LAWS.json", help="The law to come near to.")],
    model: LawModel = "macro",
    range_: Range = None,
    generations: Annotated[int, typer.Option(help="Of the search, six simulations a parameter each.")] = 15,
    total: Annotated[list[int] | None, typer.Option(help="T to compare at; repeatable.  [default: 4, 8, 16]")] = None,
    seed: Seed = 0,
    set_: Set = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the biophysical model.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep the nearest simulation (.nc), for rmaat fit.")] = None,
) -> None:
    """Find the simulation whose law is nearest to a given one.

    Example: rmaat laws match laws.json --range tau_p_l=20:120 --range beta=1:4
    """
    from bridge.exploration.match import TOTALS, match
    from bridge.exploration.runs import parse_ranges
    from bridge.laws import Laws

    if out is not None:
        require_suffix(out, ".nc")
        require_writable(out)
    given = parse_assignments(set_ or [])
    aim = Laws.load(path)
    found = match(aim, model, parse_ranges(range_ or []), total or TOTALS, generations, seed, workers, **given)
    if out is not None:
        from astro_sim.dataset import write

        write(found.dataset, out)
    table(*found.table())
    print("\n".join(found.lines(aim)))
