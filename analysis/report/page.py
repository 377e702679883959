"""From paths to the page: one HTML file that holds everything it shows and asks the network for nothing."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import plotly.io
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.collect import Inputs, collect
from analysis.report import experiments
from analysis.report.experiments.plasticity import side_by_side
from analysis.report.explorer import explore
from analysis.report.law import over_data, retention
from analysis.report.memory import memory
from analysis.report.parts import Plot, Section
from analysis.report.provenance import provenance
from analysis.report.results import results, tables
from analysis.report.runs import training
from analysis.report.summary import summary
from astro_sim.common.errors import InputError
from astro_sim.common.files import write_text

TITLE = "From astrocyte plasticity to a transformer’s memory"


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
    if out.resolve() in {file.path.resolve() for file in files}:
        raise InputError(f"{out}: is among the inputs; expected another file to write the report to")
    write_text(out, render(sections(inputs, [str(path) for path in paths], str(out)), title))


def sections(inputs: Inputs, paths: Sequence[str] = (), out: str = "report.html") -> list[Section]:
    """Every section of the report, in order.

    A section appears where something was given for it; the end of the summary says what was not, and how to make it.
    """
    long_term = [*experiments.parts("ltp", inputs), *side_by_side(inputs.of("ltp")), *over_data(inputs)]
    every = [
        Section("summary", "Summary", summary(inputs)),
        Section("stp", "Short-term plasticity", experiments.parts("stp", inputs)),
        Section("ltp", "Long-term plasticity", long_term),
        Section("retention", "Retention", retention(inputs)),
        Section("explore", "Explore the biology", explore(inputs)),
        Section("astrocytes", "Astrocytes", experiments.parts("astrocytes", inputs)),
        Section("networks", "Networks and memory", experiments.parts("networks", inputs)),
        Section("others", "Other datasets", experiments.others(inputs)),
        Section("training", "Training", training(inputs)),
        Section("memory", "The memory at work", memory(inputs)),
        Section("results", "Results beside the paper’s", results(inputs)),
        Section("tables", "Tables of results", tables(inputs)),
        Section("provenance", "Provenance", provenance(inputs, paths, out)),
    ]
    return [section for section in every if section.parts]


def render(sections: Sequence[Section], title: str) -> str:
    """The page as a string."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    numbers = count(1)

    def embed(plot: Plot, number: int) -> Markup:
        # plotly escapes "<", ">" and "/" inside the figure's JSON, so a name cannot end the script.
        html = plotly.io.to_html(
            plot.figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=f"plot-{number}",
            config={"responsive": True, "displayModeBar": False},
        )
        return Markup(html)

    template = environment.get_template("page.html.j2")
    plotly_js = Markup(get_plotlyjs())
    return template.render(title=title, sections=sections, embed=embed, next=lambda: next(numbers), plotly=plotly_js)
