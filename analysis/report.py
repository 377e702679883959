"""The report: one HTML file that holds everything it shows and asks the network for nothing."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import plotly.io
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.collect import Inputs, collect
from analysis.explorer import COMMAND, explore
from analysis.memory import memory
from analysis.parts import Bullets, Heading, Plot, Section, Text
from analysis.provenance import provenance
from analysis.runs import INSPECT, TRAIN, results, training
from analysis.sections import long_term, more, retention, short_term
from analysis.tables import tables
from analysis.views import lacking
from analysis.words import glossary, summary
from astro_sim.common.errors import InputError
from astro_sim.common.files import write_text

TITLE = "From astrocyte plasticity to a transformer’s memory"
TEMPLATES = Path(__file__).parent / "templates"
NOTHING = "Nothing that was given has a sentence of its own; the sections below show it."


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

    A section appears where something was given for it; the end of the summary says what was not, and how to make it.
    """
    first = Section("summary", "Summary")
    told = summary(inputs)
    for question, sentences in told.items():
        first.add(Heading(question), Bullets(sentences))
    if not told:
        first.add(Text(NOTHING, note=True))
    if words := glossary(told):
        first.add(Heading("Words used here"), Bullets(words))
    if absent := not_given(inputs):
        first.add(
            Text(f"Not given, so left out: {'; '.join(f'{what} ({how})' for what, how in absent.items())}.", note=True)
        )
    found = [
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
    return [section for section in found if section.parts]


def not_given(inputs: Inputs) -> dict[str, str]:
    """Parts of the line from biology to model that no path gave, and the command that makes each."""
    absent = lacking(inputs)
    if not inputs.laws:
        absent["Retention laws"] = "rmaat fit ltp.nc --out laws.json"
    if not inputs.sweeps:
        absent["Explore the biology"] = COMMAND
    if not inputs.runs:
        absent["Training, memory and results of a model"] = f"{TRAIN}, then rmaat evaluate RUN and {INSPECT} RUN"
    return absent


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
