"""Imports point upstream and narrowly: astro_sim -> bridge -> rmaat -> analysis. A violation fails here."""

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("astro_sim", "bridge", "rmaat", "analysis")

# room -> modules of other rooms that it may import ("bridge" alone: names that the package itself offers)
ALLOWED = {
    "astro_sim": (),
    "bridge": ("astro_sim.dataset", "astro_sim.common", "astro_sim.sweeps"),
    "rmaat": ("bridge", "astro_sim.common"),
    "analysis": (
        "astro_sim.dataset",
        "astro_sim.common",
        "bridge.describe",
        "bridge.laws",
        "bridge.schema",
        "bridge.exploration.sensitivity",
        "bridge.evidence",
        "bridge.families",
        "bridge.exploration.sweep",
        "rmaat.records",
        "rmaat.settings",
        "rmaat.models.memory",
    ),
}
# may import every room, but only inside functions
FRONT_DOOR = ("rmaat.__main__", "rmaat.cli.*")
# third-party package -> patterns of the modules that may import it
ONLY_IN = {
    "torch": ("rmaat", "rmaat.*", "bridge.retention*", "bridge.constants"),
    "safetensors": ("rmaat", "rmaat.*"),
    "huggingface_hub": ("rmaat.hub",),
    "transformers": ("rmaat.huggingface",),
    "rmaat.huggingface": (),  # nor does any module load transformers through it: it is an extra
    "brian2": ("astro_sim", "astro_sim.*"),
    "distributed": ("astro_sim", "astro_sim.*"),
    "dask": ("astro_sim", "astro_sim.*"),
    "lmfit": ("bridge", "bridge.*"),
    "scipy.optimize": ("bridge", "bridge.*"),
    "matplotlib": ("analysis", "analysis.*"),
    "plotly": ("analysis", "analysis.*"),
    "pickle": (),
    "cPickle": (),
    "dill": (),
    "joblib": (),
    "shelve": (),
}


class Import(NamedTuple):
    """One imported name, fully dotted, and whether it is imported inside a function."""

    line: int
    name: str
    lazy: bool


def imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[Import]:
    """Every import statement and every ``import_module`` of a constant."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, lazy)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - is_package
                parent = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*parent, *([base] if base else [])])
            for alias in node.names:
                yield Import(node.lineno, f"{base}.{alias.name}", lazy)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield Import(node.lineno, str(node.args[0].value), lazy)
        inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inner)

    return visit(tree, False)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def loads_pickles(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that unpickle: torch.load, np.load(allow_pickle=...), pandas' read_pickle."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        if (owner, node.func.attr) == ("torch", "load") or node.func.attr == "read_pickle":
            yield node.lineno, f"{owner}.{node.func.attr}"
        for keyword in node.keywords:
            refused = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "allow_pickle" and not refused:
                yield node.lineno, "allow_pickle"


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one module, a line each."""
    tree = ast.parse(source)
    room = module.split(".")[0]
    found = []
    for line, name, lazy in imports(tree, module, is_package):
        other = name.split(".")[0]
        if other in ROOMS and other != room:
            allowed = any(within(name, each) for each in ALLOWED[room])
            if any(fnmatch.fnmatch(module, pattern) for pattern in FRONT_DOOR):
                allowed = lazy or within(name, "astro_sim.common") or within(name, "astro_sim.experiments.NAMES")
            if not allowed:
                found.append(f"{module}:{line}: {room} must not import {name}")
        for package, patterns in ONLY_IN.items():
            if within(name, package) and not any(fnmatch.fnmatch(module, pattern) for pattern in patterns):
                found.append(f"{module}:{line}: must not import {name}")
    found += [f"{module}:{line}: {what} loads pickles" for line, what in loads_pickles(tree)]
    return found


def modules() -> Iterator[tuple[Path, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def outside_type_checking(tree: ast.Module) -> ast.Module:
    """Without what only a type checker imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree


def circles() -> list[list[str]]:
    """Groups of modules that import each other, inside of functions too."""
    paths = {module: path for path, module in modules()}
    imported: dict[str, set[str]] = {}
    for module, path in paths.items():
        tree = outside_type_checking(ast.parse(path.read_text(encoding="utf-8")))
        names = [name for _, name, _ in imports(tree, module, path.name == "__init__.py")]
        homes = [next((name[:at] for at in ends(name) if name[:at] in paths), module) for name in names]
        imported[module] = set(homes) - {module}

    def reach(module: str) -> set[str]:
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            new = imported[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reached = {module: reach(module) for module in paths}
    groups = {frozenset(n for n in reached[m] if m in reached[n]) for m in paths if m in reached[m]}
    return sorted(map(sorted, groups))


def ends(name: str) -> list[int]:
    """Where a dotted name and its parents end, the longest first."""
    return [len(name), *(at for at in range(len(name) - 1, 0, -1) if name[at] == ".")]


def test_no_files_import_each_other_in_a_circle():
    assert circles() == []


MODEL_CLASSES = {"Model", "RMAAT", "SequenceClassifier", "LanguageModel", "SegmentEncoder", "SequenceEncoder"}


def asked_for(tree: ast.AST) -> list[int]:
    """Lines that ask whether something is of a class of models."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass")
        and MODEL_CLASSES & {part.id for part in ast.walk(call.args[1]) if isinstance(part, ast.Name)}
    ]  # fmt: skip


def test_what_counts_as_asking_for_a_class():
    assert asked_for(ast.parse("isinstance(a, LanguageModel)\nisinstance(a, int | RMAAT)\nb(a, RMAAT)")) == [1, 2]


def test_no_class_of_models_is_asked_for_outside_their_room():
    others = [(path, module) for path, module in modules() if not within(module, "rmaat.models")]
    assert {module: lines for path, module in others if (lines := asked_for(ast.parse(path.read_text())))} == {}


def test_every_room_is_walked():
    names = {module for _, module in modules()}
    assert {*ROOMS, "astro_sim.macro.solver", "bridge.laws", "rmaat.records", "rmaat.cli.view"} <= names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_upstream_and_narrowly(room):
    found = []
    for path, module in modules():
        if within(module, room):
            found += violations(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("astro_sim.macro.model", "import bridge"),
        ("astro_sim.macro.model", "from bridge.laws import Laws"),
        ("astro_sim.macro.model", "def f():\n    from rmaat import records"),
        ("astro_sim.macro.model", "from importlib import import_module\nimport_module('analysis.report.page')"),
        ("astro_sim.macro.model", "import torch.nn as nn"),
        ("astro_sim.macro.model", "from scipy.optimize import curve_fit"),
        ("astro_sim.macro.model", "from scipy import optimize"),
        ("astro_sim.macro.model", "import lmfit"),
        ("bridge.fit", "from astro_sim import simulate"),
        ("bridge.fit", "import astro_sim"),
        ("bridge.fit", "from astro_sim.macro.model import MacroModel"),
        ("bridge.fit", "if True:\n    from rmaat.records import RunRecord"),
        ("bridge.fit", "import torch"),
        ("bridge.fit", "import brian2"),
        ("rmaat.models.base", "from astro_sim.dataset import read"),
        ("rmaat.models.base", "import analysis"),
        ("rmaat.models.base", "import matplotlib.pyplot as plt"),
        ("rmaat.models.base", "from huggingface_hub import snapshot_download"),
        ("rmaat.hub", "import transformers"),
        ("rmaat.__main__", "def f():\n    from rmaat.huggingface import RMAATForSequenceClassification"),
        ("rmaat.models.base", "import pickle"),
        ("rmaat.models.base", "def f():\n    from pickle import load"),
        ("rmaat.models.base", "import torch\nweights = torch.load('x')"),
        ("rmaat.models.base", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("rmaat.models.base", "import numpy as np\nnp.load('x', allow_pickle=flag)"),
        ("analysis.report.page", "from rmaat.models.base import RMAAT"),
        ("analysis.report.page", "import rmaat"),
        ("analysis.report.page", "from bridge.fit import fit_laws"),
        ("analysis.report.page", "from bridge import Laws"),
        ("analysis.report.page", "import torch"),
        ("rmaat.__main__", "import astro_sim"),
        ("rmaat.__main__", "from analysis.report.page import write"),
        ("rmaat.__main__", "def f():\n    import pickle"),
    ],
)
def test_a_violation_is_found(module, source):
    assert len(violations(source, module)) == 1


def test_a_relative_import_cannot_hide():
    assert len(violations("from ..bridge import laws", "astro_sim.simulation")) == 1
    assert violations("from . import laws", "bridge", is_package=True) == []
    assert list(imports(ast.parse("from .laws import Laws"), "bridge.fit", False)) == [
        Import(1, "bridge.laws.Laws", False)
    ]
    assert list(imports(ast.parse("from .laws import Laws"), "bridge", True)) == [Import(1, "bridge.laws.Laws", False)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("astro_sim.macro.model", "from astro_sim.common.errors import InputError\nimport scipy.spatial"),
        ("bridge.fit", "from astro_sim.dataset import check\nfrom astro_sim.common import files\nimport lmfit"),
        ("bridge.retention", "import torch"),
        ("bridge.retention_forms", "import torch"),
        ("rmaat.models.base", "from bridge import Laws\nimport bridge.laws\nimport torch"),
        ("rmaat.data", "import numpy as np\nnp.load('x', allow_pickle=False)"),
        ("analysis.report.page", "from rmaat.records import read_run\nfrom bridge.laws import Laws\nimport plotly"),
        ("rmaat.__main__", "def f():\n    import astro_sim, bridge, analysis.report.page\n    from rmaat import model"),
        ("rmaat.__main__", "from astro_sim.common.errors import InputError"),
    ],
)
def test_what_is_allowed_is_not_reported(module, source):
    assert violations(source, module) == []
