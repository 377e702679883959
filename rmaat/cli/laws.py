"""`rmaat fit`, `rmaat laws`: laws are distilled, looked at, and held against the simulation behind them."""

from pathlib import Path
from typing import Annotated

import typer

from astro_sim.common.files import require_suffix, require_writable
from astro_sim.common.settings import parse_assignments
from rmaat.cli.terminal import Seed, Set, require_own, table

app = typer.Typer(name="laws", help="Laws files, and the simulation behind them.", no_args_is_help=True)


def taken(alpha: float | None, decay: float | None) -> str:
    """The exponent and the decay that a model takes by default: fitted ones, else what stands in for them."""
    from bridge.laws import PAPER_EXPONENT
    from rmaat.config import DEFAULT_DECAY

    exponent = (
        f"{PAPER_EXPONENT:g} (the papers'; no frequency dataset was fitted)"
        if alpha is None
        else f"{alpha:.4g} (fitted; the papers': {PAPER_EXPONENT:g})"
    )
    falls = f"{DEFAULT_DECAY:g} per token (chosen; no spatial dataset was fitted)"
    falls = falls if decay is None else f"{decay:.4g} per spacing (fitted)"
    return f"a model takes the presynaptic exponent {exponent} and the spatial decay {falls}"


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
    require_own(out, "laws file", "retention")
    # A word that is no kind of noise is refused there.
    laws = fit_laws([read(path) for path in datasets], family, noise, draws, seed)  # pyright: ignore[reportArgumentType]
    laws.save(out)
    law = laws.document.retention
    if not law.identifiable:
        print(f"not identifiable: {law.fitted_cycles} cycles reach {law.reached:.0%} of the fitted saturation")
    table(*numbers(laws))
    print(taken(laws.presynaptic_exponent, laws.spatial_decay))
    print(f"{out}: digest {laws.digest[:12]}")


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="LAWS.json", help="Laws file.")],
    total: Annotated[list[int] | None, typer.Option(help="T to show; repeatable.  [default: 4, 8, 16]")] = None,
) -> None:
    """Tell what a laws file says.

    Example: rmaat laws show laws.json --total 16
    """
    from bridge.laws import Laws
    from bridge.show import candidates, factors, numbers, sentences

    laws = Laws.load(path)
    print("\n".join(sentences(laws)) + "\n")
    table(*numbers(laws))
    print(taken(laws.presynaptic_exponent, laws.spatial_decay) + "\n")
    table(*factors(laws, total or [4, 8, 16]))
    print()
    table(*candidates(laws))


@app.command()
def convert(
    path: Annotated[Path, typer.Argument(metavar="OLD.json", help="Laws file of an earlier schema.")],
    out: Annotated[Path, typer.Option(help="Laws file to write (JSON).")],
) -> None:
    """Write a laws file of an earlier schema anew.

    Example: rmaat laws convert old.json --out laws.json
    """
    from astro_sim.common.files import read_json
    from bridge import convert as conversion

    require_suffix(out, ".json")
    laws = conversion.convert(read_json(path, "laws file"), str(path))
    laws.save(out)
    print(f"{out}: digest {laws.digest[:12]}")


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
    from bridge.exploring import parse_ranges
    from bridge.sensitivity_analysis import sensitivity as vary
    from bridge.show import effects, explored

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
    table(*effects(found))
    failed = f", {found.failed} failed: {found.failure}" if found.failed else ""
    print(f"{explored(found.model, found.settings)}, {found.family} law, {found.runs} simulations{failed}")


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
    from astro_sim.dataset import settings_of
    from bridge.exploring import parse_ranges
    from bridge.laws import Laws
    from bridge.matching import TOTALS, match
    from bridge.show import explored

    if out is not None:
        require_suffix(out, ".nc")
        require_writable(out)
    given = parse_assignments(set_ or [])
    aim = Laws.load(path)
    found = match(aim, model, parse_ranges(range_ or []), total or TOTALS, generations, seed, workers, **given)
    if out is not None:
        from astro_sim.dataset import write

        write(found.dataset, out)
    rows = [(name, f"{v:.5g}", "at an end" if name in found.at_end else "") for name, v in found.parameters.items()]
    table(("parameter", "value", ""), rows)
    left = ", ".join(f"T = {total} {distance:.2g}" for total, distance in found.distances.items())
    print(f"distance left {found.distance:.2g} ({left}), before {found.before:.2g}; {found.runs} simulations")
    searched = explored(model, settings_of(found.dataset))
    own = {explored(each.model, each.settings) for each in aim.document.sources if each.experiment == "ltp"}
    print(f"searched: {searched}" + ("" if searched in own else f"; the law itself is of: {' and '.join(sorted(own))}"))
