"""Notebooks as pages: run while the pages are built, since they are stored without outputs."""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from myst_parser.parsers.sphinx_ import MystParser
from nbclient import NotebookClient

SECONDS = 300  # a cell may take


class NotebookParser(MystParser):
    """Runs a notebook and hands text, code, printed lines and figures to the parser of Markdown."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: Any) -> None:
        """Cells in order."""
        env = document.settings.env
        notebook: Any = nbformat.reads(inputstring, as_version=4)
        made = Path(env.srcdir) / "gallery"
        made.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix="tour-") as folder:  # sockets in a folder: no port is opened
            at = str(Path(folder) / "kernel.json")
            kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=at)
            NotebookClient(notebook, km=kernel, timeout=SECONDS, startup_timeout=SECONDS).execute(
                cwd=str(made), cleanup_kc=True
            )
        text = [part for cell in notebook.cells for part in _parts(cell, made, env.docname)]
        super().parse("\n\n".join(text), document)


def _parts(cell: Any, made: Path, name: str) -> list[str]:
    if cell.cell_type == "markdown":
        return [cell.source]
    parts = [f"```python\n{cell.source}\n```"]
    for place, output in enumerate(cell.outputs):
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(f"```text\n{output.text.rstrip()}\n```")
        elif "image/png" in output.get("data", {}):
            file = made / f"{name}-{cell.id}-{place}.png"
            file.write_bytes(base64.b64decode(output.data["image/png"]))
            parts.append(f"![The figure that the code above draws](gallery/{file.name})")
    return parts


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
