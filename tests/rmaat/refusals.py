"""What tests ask of refusals: an InputError of one line that says what they expect."""

from collections.abc import Callable
from typing import Any

import pytest

from astro_sim.common.errors import InputError


def refuses(message: str, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> str:
    """Give the one line of the InputError that a call raises, in which the regular expression is found."""
    with pytest.raises(InputError, match=message) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)
