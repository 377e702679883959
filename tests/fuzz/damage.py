"""Ways to damage what a user hands over: bytes, text, and the values of a JSON document."""

import copy
import json
import math
from random import Random
from typing import Any

DEEP = "[" * 5_000
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e-320, 1e308, math.inf, -math.inf,
    math.nan, "", " ", "a", "\0", "\ud800", "ü" * 300, "x" * 5_000, "../x", "1 ms", "nan", [], {}, [[]], {"a": []},
    [1, "a"], [1.5],
)  # fmt: skip
# Words that a settings file or a command line may hold.
WORDS = (
    "1", "-1", "0", "1e400", "nan", "inf", "'a'", "[1, 2]", "[]", "{a = 1}", "true", "1979-05-27", "07:32:00", "ring",
    "9" * 4_301, "[" * 1_000, "\"\"\"", "'", "= =", "1_000", "0x1F", "+5", "20 ms", "3 uM", "x" * 40_000,
    "[[1], [2]]", "\u202e",
)  # fmt: skip


def of_bytes(random: Random, content: bytes) -> bytes:
    """Flip, cut, cut out, double, insert, or overwrite."""
    raw = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        at = random.randrange(len(raw) + 1)
        size = random.choice((1, 1, 4, 64, 1_000))
        kind = random.randrange(6)
        if kind == 0 and at < len(raw):
            raw[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del raw[at:]
        elif kind == 2:
            del raw[at : at + size]
        elif kind == 3:
            raw[at:at] = raw[at : at + size]
        elif kind == 4:
            raw[at:at] = random.randbytes(size)
        else:
            raw[at : at + size] = random.choice((b"\0", b"\xff", b"\n", b"\t", b'"', b"[")) * min(size, len(raw) - at)
    return bytes(raw)


def of_value(random: Random, value: Any) -> Any:
    """A JSON document with one place replaced, removed, doubled, or added to."""
    whole = copy.deepcopy(value)
    place = random.choice([*_places(whole)])
    holder, key = place
    kind = random.randrange(6)
    if kind < 3:
        holder[key] = copy.deepcopy(random.choice(ODD))
    elif kind == 3:
        del holder[key]
    elif kind == 4 and isinstance(holder, dict):
        holder[random.choice(("", "a", "kind", "x" * 300, "schema_version"))] = random.choice(ODD)
    elif isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = random.choice((-holder[key], holder[key] + 1, holder[key] * 1e10, str(holder[key])))
    else:
        holder[key] = [holder[key], holder[key]]
    return whole


def _places(value: Any, depth: int = 0) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys)[:50]:
        yield value, key
        if depth < 6:
            yield from _places(value[key], depth + 1)


def of_json(random: Random, content: bytes) -> bytes:
    """A JSON file with a value damaged (mostly), or its text."""
    kind = random.randrange(10)
    if kind == 0:
        return of_bytes(random, content)
    if kind == 1:
        return (DEEP + content.decode()).encode()
    text = json.dumps(of_value(random, json.loads(content)))
    return text.encode(errors="surrogatepass")
