"""Draw what `rmaat bench recall --out results` measured, or the parts of it that are done.

Example: python -m benchmarks.recall_figure results/recall.json docs/images/recall.png
"""

import json
import sys
from pathlib import Path
from typing import Any

from analysis.figures import recall, save


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of recall.json, or of the unfinished recall.parts.jsonl: a line [key, rows] a part."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)["rows"]
    # A last line without its end is a write that is going on.
    parts = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [row for _, rows in parts for row in rows]


def main() -> None:
    """Draw the figure."""
    if len(sys.argv) != 3:
        sys.exit("expected: python -m benchmarks.recall_figure results/recall.json FIGURE.png")
    save(recall(read_rows(Path(sys.argv[1]))), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
