"""What the docstrings of this project need on their way into the API pages.

They are plain text with equations and aligned tables, which reStructuredText would join to a paragraph: such parts are
shown as they stand. Settings classes say unit, meaning and source with every field; that becomes a table.
"""

import builtins
import importlib
import re
from collections.abc import Iterator
from typing import Any

from astro_sim.common.settings import Settings

ALIGNED = re.compile(r"\S {3,}\S")
SECTION = re.compile(r"^\s*-{3,}\s*$")


def as_they_stand(_app: Any, _what: str, _name: str, item: Any, _options: Any, lines: list[str]) -> None:
    """Indented and aligned parts become literal blocks; the fields of settings become a table."""
    found: list[str] = []
    for paragraph, after_blank in _paragraphs(lines):
        margin = min(len(line) - len(line.lstrip()) for line in paragraph)
        outer = _margin(found)
        aligned = sum(bool(ALIGNED.search(line.strip())) for line in paragraph) >= 2
        listed = re.match(r"\s*([-*]|\d+\.) ", paragraph[0]) is not None
        inside = _literal(found, margin)
        if inside or paragraph[0].lstrip().startswith((">>>", "..")):
            found += [*paragraph, ""]
        elif after_blank and found and margin > outer and not listed:
            found += [f"{' ' * outer}::", "", *paragraph, ""]
        elif aligned and not listed and not any(SECTION.match(line) for line in paragraph):
            found += [f"{' ' * margin}::", "", *(f"    {line}" for line in paragraph), ""]
        else:
            found += [*(_escaped(line) for line in paragraph), ""]
    if isinstance(item, type) and issubclass(item, Settings) and item is not Settings:
        found += _fields(item)
    lines[:] = found


def _paragraphs(lines: list[str]) -> Iterator[tuple[list[str], bool]]:
    """Stretches without blank lines, and whether a blank line stood before."""
    part: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            yield part, True
            part = []


def _margin(lines: list[str]) -> int:
    last = next((line for line in reversed(lines) if line.strip()), "")
    return len(last) - len(last.lstrip())


def _literal(lines: list[str], margin: int) -> bool:
    """Whether what follows with this margin still belongs to a literal block."""
    for line in reversed(lines):
        if line.strip() and len(line) - len(line.lstrip()) < margin:
            return line.rstrip().endswith("::")
    return False


def _escaped(line: str) -> str:
    """No substitutions and no references where the text means neither; what stands between backticks is left."""
    parts = re.split(r"(``.*?``|`.*?`)", line)
    for place in range(0, len(parts), 2):
        text = parts[place].replace("|", r"\|")
        text = re.sub(r"(?<=\w)_(?=[\s,.;:)]|$)(?! :)", r"\\_", text)
        parts[place] = re.sub(r"(?<![\w*])\*(?=[\w{(])(?!\*)", r"\\*", text)
    return "".join(parts)


def _fields(model: type[Settings]) -> list[str]:
    """Name, default, unit, meaning and source of every field that the class itself declares."""
    own = [name for name in model.model_fields if name in model.__annotations__]
    if not own:
        return []
    rows = [".. list-table::", "   :header-rows: 1", "", "   * - field", "     - default", "     - unit"]
    rows += ["     - meaning", "     - source"]
    for name in own:
        field = model.model_fields[name]
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = "(required)" if field.is_required() else f"``{field.default!r}``"
        cells = [f"``{name}``", default, model.unit(name), _plain(field.description), _plain(extra.get("source"))]
        rows += [f"   {'* -' if place == 0 else '  -'} {cell}" for place, cell in enumerate(cells)]
    return [*rows, ""]


def _plain(text: Any) -> str:
    return re.sub(r"([\\|*`])", r"\\\1", re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", str(text or "")))


def no_fields(_app: Any, _what: str, _name: str, item: Any, _options: Any, _signature: Any, _returned: Any) -> Any:
    """Settings classes take their fields as keywords; the table lists them."""
    if isinstance(item, type) and issubclass(item, Settings):
        return "(**fields)", ""
    return None


def resolve(app: Any, env: Any, node: Any, text: Any) -> Any:
    """A name between single backticks that Sphinx did not find where it stands.

    It leads to the one documented object that ends so, or to where a package's own name is defined. What Python finds
    (a constant, another library) stays as text; so do commands. Anything else is reported.
    """
    from sphinx.util.nodes import make_refnode

    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    name, objects = node["reftarget"], env.domains["py"].objects
    found = [full for full in objects if full.endswith(f".{name}")]
    module, owner = node.get("py:module"), node.get("py:class")
    item = _import(name, f"{module}.{owner}" if module and owner else module)
    home = f"{getattr(item, '__module__', None)}.{getattr(item, '__qualname__', None)}"
    full = home if home in objects else found[0] if len(found) == 1 else None
    if full is not None:
        entry = objects[full]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, full)
    return text if item is not None or " " in name else None


def _import(name: str, place: str | None) -> Any:
    """What ``name`` is, seen from ``place``: an attribute of it or of what it is in, a module, a field of a class."""
    inside = (place or "").split(".") if place else []
    scopes = [".".join(inside[:end]) for end in range(len(inside), 0, -1)]
    for candidate in (*(f"{scope}.{name}" for scope in scopes), name):
        parts = candidate.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                item = importlib.import_module(".".join(parts[:cut]))
            except ImportError:
                continue
            for part in parts[cut:]:
                fields = {**getattr(item, "__annotations__", {}), **getattr(item, "model_fields", {})}
                item = fields[part] if part in fields else getattr(item, part, None)
            if item is not None:
                return item
    return getattr(builtins, name, None)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx; before napoleon, which takes sections apart."""
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", as_they_stand, priority=100)
    app.connect("autodoc-process-signature", no_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
