"""The documentation: every link leads somewhere, every code block runs, every command, symbol and figure is there."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from astro_sim import experiments
from astro_sim.common.settings import Settings, parse_assignments
from astro_sim.sweeps.grid import parse as parse_grid
from benchmarks.registry import BY_NAME, NAMES
from bridge.exploration.runs import parse_ranges
from rmaat import tasks
from rmaat.__main__ import app, main
from rmaat.config import MODELS
from rmaat.settings import RunSettings, flatten
from tests.analysis.browser import SIZES, needs_chromium, opened, require_accessible

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = {"_build", "gallery"}  # by `make docs`
OWN = ("astro_sim", "bridge", "rmaat", "analysis")
PAGES = sorted(path for path in DOCS.rglob("*.md") if not MADE & {*path.relative_to(DOCS).parts})
ALL = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)

FILE = re.compile(r"# (\w+\.py)\n")  # how a block that is a file begins

name_of = partial(lambda path: str(path.relative_to(ROOT)))


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


@cache
def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as forges and MyST make them."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ (.+)$", prose(path.read_text()), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


# Links


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_links_lead_somewhere(path):
    text = re.sub(r"`[^`\n]*`", "", prose(path.read_text()))
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        if not to.exists() or (anchor and (to.suffix != ".md" or anchor not in anchors(to))):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_files_that_are_named_exist(path):
    """Paths between backticks that begin with a folder of the project and end with an extension."""
    folders = "astro_sim|bridge|rmaat|analysis|tests|benchmarks|configs|docs|examples|results"
    named = re.findall(rf"`((?:{folders})/[\w./-]+\.[a-z]+)`", prose(path.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_contents():
    blocks = [block for kind, block in FENCE.findall((DOCS / "index.md").read_text()) if kind == "{toctree}"]
    listed = [line for block in blocks for line in block.split("\n") if line and not line.startswith(":")]
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in PAGES} - {"index"}
    assert pages <= set(listed)
    assert (DOCS / "tour.ipynb").is_file()
    assert set(listed) - pages == {"tour", "gallery/index", "api/index"}


# Code


def blocks(path: Path, kind: str) -> list[tuple[int, str]]:
    """Fenced blocks of a kind, with the line where each begins."""
    text = path.read_text()
    return [(text.count("\n", 0, m.start()) + 1, m[2]) for m in FENCE.finditer(text) if m[1] == kind]


def put_files(path: Path) -> None:
    """Write a page's files, blocks that begin with their name, into the working folder."""
    for _, code in blocks(path, "python"):
        if file := FILE.match(code):
            Path(file[1]).write_text(code)


LONG = {"start.md", "task.md", "experiment.md"}  # a page that takes more than some six seconds


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] if path.name in LONG else [])
        for path in PAGES
        if blocks(path, "python")
    ],
    ids=name_of,
)
def test_code_blocks_run(path, tmp_path, monkeypatch):
    """Every block of a page in order, in one namespace and an empty folder where the page's files are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {"__name__": "page"}
    put_files(path)
    for line, code in blocks(path, "python"):
        if not FILE.match(code):
            exec(compile("\n" * line + code, str(path), "exec"), namespace)


def test_the_tour_is_stored_without_outputs():
    notebook = json.loads((DOCS / "tour.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.slow
def test_the_tour_runs(tmp_path):
    """Quietly, to a figure. In a process of its own: the kernel's machinery warns of things that are not ours."""
    run = (
        "import sys, nbformat\n"
        "from jupyter_client.manager import AsyncKernelManager\n"
        "from nbclient import NotebookClient\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "kernel = AsyncKernelManager(kernel_name='python3', transport='ipc', connection_file='kernel.json')\n"
        "client = NotebookClient(notebook, km=kernel, timeout=300, startup_timeout=300)\n"
        "client.execute(cwd=sys.argv[2], cleanup_kc=True)\n"
        "for cell in notebook.cells:\n"
        "    for output in cell.get('outputs', []):\n"
        "        print(output.get('name', output.output_type))"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, DOCS / "tour.ipynb", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {*done.stdout.split()} == {"stdout", "display_data"}


# Commands


def commands(path: Path) -> list[tuple[str, bool]]:
    """Every rmaat command of a page: in blocks of shell or of no language, indented, or between backticks.

    The flag says whether it stands in a block, and so is a whole one.
    """
    text = path.read_text()
    shell = "\n".join(block for kind, block in FENCE.findall(text) if kind in ("", "bash", "console"))
    plain = prose(text)
    indented = "\n".join(re.findall(r"^    +(\S.*)$", plain, flags=re.MULTILINE))
    lines = (shell + "\n" + indented).replace("\\\n", " ").splitlines()
    found = [(m[1], True) for line in lines if (m := re.match(r"\s*(?:torchrun .* -m )?(rmaat .*)", line))]
    return found + [(" ".join(each.split()), False) for each in re.findall(r"`(rmaat [^`]+)`", plain)]


def command_of(words: list[str]) -> tuple[Any, list[str], list[str]]:
    """The command that words lead to, its name, and the words that are left."""
    at: Any = typer.main.get_command(app)
    name: list[str] = []
    while words and hasattr(at, "commands") and words[0] in at.commands:
        at, name, words = at.commands[words[0]], [*name, words[0]], words[1:]
    return at, name, words


def problems(command: str, whole: bool) -> list[str]:
    """What is wrong with a command: verbs, options, names of experiments, tasks, models, settings."""
    command = re.split(r"\s{2,}\(", command)[0]
    synopsis = bool(re.search(r"[\[\]](?=[A-Z\s.-]|$)|\.\.\.", re.sub(r"'[^']*'|\"[^\"]*\"", "", command)))
    words = shlex.split(command.replace("[", " ").replace("]", " ") if synopsis else command, comments=True)[1:]
    at, name, rest = command_of(words)
    if hasattr(at, "commands") and (not rest or not rest[0].startswith("-")):
        return [] if name and not rest else [f"no such verb: {' '.join(words[:2])}"]
    options = {opt: param for param in at.params for opt in (*param.opts, *param.secondary_opts)}
    options |= {"--help": None}
    found, given, free, place = [], {}, [], 0
    while place < len(rest):
        word = rest[place]
        if word.startswith("--"):
            if word not in options:
                found.append(f"no such option of {' '.join(name)}: {word}")
            param = options.get(word)
            if param is not None and not getattr(param, "is_flag", False):
                place += 1
                given.setdefault(word, []).extend(rest[place : place + 1])
        else:
            free.append(word)
        place += 1
    missing = [param.name for param in at.params if param.required and param.param_type_name == "option"]
    if whole and not synopsis and "--settings" not in rest and "--help" not in rest:
        found += [f"missing: --{each}" for each in missing if not any(each in opt for opt in given)]
    try:
        _names(name, free, given)
    except ValueError as error:
        found.append(str(error))
    return found


def _names(name: list[str], free: list[str], given: dict[str, list[str]]) -> None:
    """Raise where a name of an experiment, task, model or setting is unknown."""
    verb, first = " ".join(name), free[0] if free else ""
    pairs = [pair for pair in given.get("--set", []) if not pair.startswith(("NAME", "KEY", "laws.perturbed=KIND"))]
    values = parse_assignments(pair for pair in pairs if not pair.endswith("=")) if pairs else {}
    model = next(iter(given.get("--model", [])), None)
    if verb == "simulate" and re.search("[a-z]", first) and not (first.endswith(".py") and not Path(first).exists()):
        variant = experiments.find(first).get(model)
        variant.complete(values)
        swept = [each for each in given.get("--sweep", []) if not each.startswith("NAME")]
        for swept_name in parse_grid(swept) if swept else ():
            known = {*variant.settings.model_fields, *variant.parameters.model_fields, "seed", "preset"}
            if swept_name not in known:
                raise ValueError(f"unknown setting {swept_name}")
    elif verb in ("data", "train") and re.search("[a-z]", first):
        task = tasks.find(f"{first}.py" if Path(f"{first}.py").is_file() else first).task
        if verb == "data":
            task.settings(**values)
    if verb == "train" or verb == "models":
        RunSettings.build(flatten(values, "--set"), 257)
        if model is not None and model not in MODELS and model != "NAME":
            raise ValueError(f"unknown model {model}")
    if verb.startswith("laws ") and not verb.endswith("show"):
        parse_ranges([each for each in given.get("--range", []) if not each.startswith("NAME")])
        chosen = experiments.find("ltp").get(model or "macro")
        chosen.complete(values)
    if verb == "bench":
        unknown = [each for each in free if each not in {*NAMES, *BY_NAME} and re.search("[a-z]", each)]
        if unknown:
            raise ValueError(f"unknown benchmarks {unknown}")


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_commands_exist(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put_files(path)
    found = {command: wrong for command, whole in commands(path) if (wrong := problems(command, whole))}
    assert found == {}


@pytest.mark.slow
def test_the_commands_of_the_first_page_run(tmp_path, monkeypatch):
    """In order, with less data and fewer steps."""
    monkeypatch.chdir(tmp_path)
    fewer = {"steps=100": "steps=3", "train=2000": "train=40", "valid=200": "valid=8", "test=200": "test=8"}
    (lines,) = (code.splitlines() for _, code in blocks(DOCS / "start.md", "bash") if code.startswith("rmaat"))
    for line in lines:
        _, *words = shlex.split(line)
        assert main([fewer.get(word, word) for word in words]) == 0, line
    assert (tmp_path / "report.html").is_file()


def test_wrong_commands_are_noticed():
    for command, expected in {
        "rmaat simulate ltp --out x.nc --set cycels=3": "cycels",
        "rmaat simulate ltp --uot x.nc": "--uot",
        "rmaat simulat ltp": "simulat",
        "rmaat train listops --laws laws.json": "--out",
        "rmaat bench recal": "recal",
        "rmaat data listop --out x": "listop",
    }.items():
        assert expected in " ".join(problems(command, True)), command


# Symbols


def resolve(name: str) -> tuple[Any, Any]:
    """What a dotted name stands for, and the class or module that it is in; raises `AttributeError` if nothing."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            item = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        owner = None
        for part in parts[cut:]:
            owner = item
            fields = {**getattr(item, "__annotations__", {}), **getattr(item, "model_fields", {})}
            item = fields[part] if part in fields and not hasattr(item, part) else getattr(item, part)
        return item, owner
    raise AttributeError(f"no module {name}")


def symbols() -> list[list[str]]:
    """Symbol, meaning, default, unit and places of every row of the tables of symbols."""
    lines = (DOCS / "science.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| $")]
    assert [row for row in rows if len(row) != 5] == []
    return rows


def test_every_symbol_is_where_the_page_says():
    """And has the default and the unit that it has there."""
    rows, wrong = symbols(), []
    assert len(rows) > 100
    for symbol, _, default, unit, places in rows:
        names = re.findall(r"`((?:astro_sim|bridge|rmaat|analysis)\.[\w.]+)`", places)
        if not names:
            wrong.append(f"{symbol}: no place")
        for name in names:
            try:
                item, owner = resolve(name)
            except AttributeError as error:
                wrong.append(f"{symbol}: {error}")
                continue
            field = name.split(".")[-1]
            if isinstance(owner, type) and issubclass(owner, Settings) and field in owner.model_fields:
                value = f"{item.default:g}" if isinstance(item.default, float) else str(item.default)
                stated = (value, owner.unit(field))
                if default != "-" and (default, unit) != stated:
                    wrong.append(f"{symbol}: default and unit {default} {unit}, in the code {stated}")
    assert wrong == []


# API, laws file, results, citation


def documented() -> set[str]:
    """Modules that the API pages show."""
    return {
        each for page in (DOCS / "api").glob("*.rst") for each in re.findall(r"automodule:: ([\w.]+)", page.read_text())
    }


@pytest.mark.parametrize("package", OWN)
def test_every_public_name_is_in_the_reference(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        item = getattr(module, name)
        home = getattr(item, "__module__", None) or item.__name__  # a name may be that of a module
        assert any(home == page or home.startswith(f"{page}.") for page in documented()), name
        assert item.__doc__, name
        assert name in (DOCS / "api" / "index.rst").read_text()


def test_the_modules_of_the_reference_exist():
    for name in documented():
        assert importlib.import_module(name).__doc__, name


def test_docstrings_of_what_is_called_say_what_goes_in_and_comes_out():
    """Public functions of the documented modules that take more than two arguments."""
    lacking = []
    for name in sorted(documented()):
        path = Path(str(importlib.import_module(name).__file__))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                doc = ast.get_docstring(node)
                if not doc:
                    lacking.append(f"{name}.{node.name}")
    assert lacking == []


def test_tables_are_those_of_their_sources():
    """`python docs/tables.py` writes them anew."""
    done = subprocess.run([sys.executable, DOCS / "tables.py", "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_the_citation_is_that_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert {each["url"].rsplit("/", 1)[1] for each in citation["references"]} == {"2601.00426", "2312.10925"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, as `make docs` builds them, gallery included."""
    pytest.importorskip("sphinx_gallery", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("docs")
    command = ["sphinx", "-n", "-W", "--keep-going", "-q", "-b", "html", "-d", folder / "doctrees"]
    done = subprocess.run(
        [sys.executable, "-m", *command, DOCS, folder / "html"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "page",
    [
        "index",
        "science",
        "model",
        "results",
        "log/2026-11",
        "tour",
        "api/astro_sim",
        "gallery/index",
        "gallery/streaming",
    ],
)
def test_pages_are_for_everybody(built, page, size):
    with opened(built / f"{page}.html", size) as tab:
        assert tab.messages == []
        assert all(url.startswith("file:") for url in tab.requests)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        require_accessible(tab)


@pytest.mark.slow
def test_the_pages_build_without_a_warning(built):
    page = (built / "science.html").read_text()
    assert "<mtable" in page
    assert "<mi>&amp;</mi>" not in page  # an environment that the converter does not know
    assert "mathjax" not in "".join(re.findall("<script[^>]*>", page.lower()))
    pages = [path.read_text() for path in built.rglob("*.html")]
    assert not [
        src for text in pages for src in re.findall(r"""<(?:script|link)[^>]*(?:src|href)="(https?:[^"]*)""", text)
    ]
