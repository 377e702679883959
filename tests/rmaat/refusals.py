"""What tests ask of refusals: an InputError of one line that says what they expect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings
from rmaat.tasks.writer import prepare


def refuses(message: str, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> str:
    """Give the one line of the InputError that a call raises, in which the regular expression is found."""
    with pytest.raises(InputError, match=message) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def unreadable(task: str, source: Path | None, out: Path, settings: Settings | None = None) -> str:
    """Give the line that says why data are not made of a source, SOURCE in place of its path; nothing is written."""
    message = refuses(".", prepare, task, out, settings, source=source)
    assert not out.exists()
    return message.replace(f"{source}", "SOURCE")
