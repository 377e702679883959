"""The report: one HTML file that holds everything it shows and asks the network for nothing."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import plotly.io
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.collect import Inputs, collect
from analysis.explorer import explore
from analysis.memory import memory
from analysis.parts import Bullets, Heading, Plot, Section, Text
from analysis.provenance import provenance
from analysis.runs import results, training
from analysis.sections import long_term, more, retention, short_term
from analysis.tables import tables
from analysis.words import summary
from astro_sim.common.errors import InputError
from astro_sim.common.files import write_text

TITLE = "From astrocyte plasticity to a transformer’s memory"
TEMPLATES = Path(__file__).parent / "templates"
NOTHING = "No laws and no runs among the given paths, so nothing to sum up. Make them with: rmaat fit, rmaat train"


def build_report(paths: Sequence[str | Path], out: str | Path, title: str = TITLE) -> None:
    """Write a self-contained HTML report of whatever ``paths`` hold.

    Parameters
    ----------
    paths : sequence of path
        Datasets (.nc), laws (.json), run folders (finished or not), or folders that hold such.
    out : path
        HTML file; written whole or not at all, replaced if it exists.
    title : str
        Heading of the page.

    Raises
    ------
    InputError
        A path that is missing, unreadable or of no known kind, a folder with nothing to report, or an ``out``
        that is a folder or one of the inputs.

    Examples
    --------
    >>> build_report(["stp.nc", "ltp.nc", "laws.json", "runs"], "report.html")
    """
    out = Path(out)
    if out.is_dir():
        raise InputError(f"{out}: a folder; expected the name of an HTML file to write")
    inputs = collect(paths)
    files = (*inputs.datasets, *inputs.sweeps, *inputs.laws, *inputs.tables)
    if out.resolve() in {each.path.resolve() for each in files}:
        raise InputError(f"{out}: is among the inputs; expected another file to write the report to")
    write_text(out, render(sections(inputs, [str(path) for path in paths], str(out)), title))


def sections(inputs: Inputs, paths: Sequence[str] = (), out: str = "report.html") -> list[Section]:
    """Every section of the report, in order.

    The line from biology to model is always there, with notes where something is missing; astrocytes, networks and
    other datasets appear where given.
    """
    first = Section("summary", "Summary")
    for question, sentences in summary(inputs).items():
        first.add(Heading(question), Bullets(sentences))
    if not inputs.laws and not inputs.runs:
        first.add(Text(NOTHING, note=True))
    return [
        first,
        short_term(inputs),
        long_term(inputs),
        retention(inputs),
        explore(inputs),
        *more(inputs),
        training(inputs),
        memory(inputs),
        results(inputs),
        *tables(inputs),
        provenance(inputs, paths, out),
    ]


def render(parts: Sequence[Section], title: str) -> str:
    """The page as a string."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    numbers = count(1)

    def embed(plot: Plot) -> Markup:
        # plotly escapes "<", ">" and "/" inside the figure's JSON, so a name cannot end the script.
        html = plotly.io.to_html(
            plot.figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=f"plot-{next(numbers)}",
            config={"responsive": True, "displayModeBar": False},
        )
        return Markup(html)

    template = environment.get_template("report.html.j2")
    return template.render(title=title, sections=parts, embed=embed, plotly=Markup(get_plotlyjs()))
