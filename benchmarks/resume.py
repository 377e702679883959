"""Parts of a long measurement, kept as they are done, so that an interrupted one goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """Results by key, a line each in a file of JSON lines.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path is not None and path.is_file() else []
        self.done: dict[str, Any] = dict(json.loads(line) for line in lines if line.endswith("]"))

    def __call__(self, key: str, work: Callable[[], Any]) -> Any:
        """The result of ``work``, from the file if it is there."""
        if key not in self.done:
            self.done[key] = work()
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as stream:
                    stream.write(json.dumps([key, self.done[key]]) + "\n")
        return self.done[key]

    def forget(self) -> None:
        """The measurement is whole; its parts are not needed any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
