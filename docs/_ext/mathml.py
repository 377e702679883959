"""Equations as MathML, which browsers draw without scripts, fonts or a network."""

import re
from html import escape
from typing import Any

from latex2mathml.converter import convert


def _markup(node: Any, display: str) -> str:
    source = node.astext().strip()
    # What the converter knows: align* for lines that stand below one another, text for words.
    known = re.sub(r"\\mathrm\{([A-Za-z]{2,})\}", r"\\text{\1}", source.replace("{aligned}", "{align*}"))
    math = convert(known, display=display)
    return math.replace("<math ", f'<math alttext="{escape(source, quote=True)}" ', 1)


def inline(writer: Any, node: Any) -> None:
    """$...$ within a line."""
    from docutils.nodes import SkipNode

    writer.body.append(_markup(node, "inline"))
    raise SkipNode


def block(writer: Any, node: Any) -> None:
    """An equation that stands alone."""
    from docutils.nodes import SkipNode

    writer.body.append(f'<div class="math notranslate">{_markup(node, "block")}</div>\n')
    raise SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
