"""ListOps: nested operations on digits, e.g. [MAX 2 9 [MIN 4 7 ] 0 ] = 9.

Grammar and parameters are those of the Long Range Arena (arXiv 2011.04006) after Nangia and Bowman 2018: at each node
a digit with probability 0.75, else one of MIN, MAX, MED (the median, cut to a whole number), SM (sum modulo 10) with
2 to max_args arguments; only digits at max_depth; trees with min_length < symbols < max_length; no duplicates.

Files are the release's: basic_train.tsv, basic_val.tsv, basic_test.tsv with the header Source, Target, and every
operation written as nested pairs in parentheses.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TextIO

from astro_sim.common.errors import InputError, quoted
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.sources import find_packed, require_folder
from rmaat.tasks.task import MOST_EXAMPLES, Task
from rmaat.tasks.tsv import read_lines
from rmaat.tasks.writer import Writer

LRA = "Long Range Arena (arXiv 2011.04006)"
SYMBOLS = (*"0123456789", "[MIN", "[MAX", "[MED", "[SM", "X")  # "]" is X in the release's own vocabulary
CODE = {symbol: code for code, symbol in enumerate(SYMBOLS)}
CLOSE = CODE["X"]
MIN, MAX, MED, SM = (CODE[name] for name in ("[MIN", "[MAX", "[MED", "[SM"))
DIGIT_SHARE = 0.75  # probability of a digit at a node, 1; LRA
FILES = {"train": "basic_train.tsv", "valid": "basic_val.tsv", "test": "basic_test.tsv"}
FOLDERS = ("", "listops-1000", "lra_release", "lra_release/listops-1000")  # where the release may lie below the source
HEADER = ("Source", "Target")
DIGITS = [str(digit).encode() for digit in range(10)]
END_OF_LINE = "\r\n"  # the release is written by Python's csv module, whose default this is


class ListOpsSettings(Settings):
    """Sizes of the splits and shape of the trees; refused where official files are converted."""

    train: int = quantity(96_000, "examples", "training examples", LRA, ge=1, le=MOST_EXAMPLES)
    valid: int = quantity(2_000, "examples", "validation examples", LRA, ge=0, le=MOST_EXAMPLES)
    test: int = quantity(2_000, "examples", "test examples", LRA, ge=0, le=MOST_EXAMPLES)
    min_length: int = quantity(500, "symbols", "trees are longer than this", LRA, ge=1, le=2**20)
    max_length: int = quantity(2_000, "symbols", "trees are shorter than this", LRA, ge=3, le=2**20)
    max_depth: int = quantity(10, "1", "deepest level of the tree, the root being 1", LRA, ge=2, le=200)
    max_args: int = quantity(10, "1", "most arguments of an operation", LRA, ge=2, le=2**20)

    def model_post_init(self, _: object) -> None:
        if self.min_length + 1 >= self.max_length:
            raise ValueError(f"max_length: expected more than min_length + 1 = {self.min_length + 1}")


def apply(operation: int, arguments: list[int]) -> int:
    """Value of one operation."""
    if operation == MIN:
        return min(arguments)
    if operation == MAX:
        return max(arguments)
    if operation == SM:
        return sum(arguments) % 10
    ordered, middle = sorted(arguments), len(arguments) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def evaluate(codes: bytes) -> int:
    """Value of a tree given as symbol codes; `ValueError` says how it is malformed."""
    stack: list[tuple[int, list[int]]] = []
    result: int | None = None
    for code in codes:
        if result is not None:
            raise ValueError("symbols after the end of the tree")
        if MIN <= code <= SM:
            stack.append((code, []))
            continue
        if code == CLOSE:
            if not stack or not stack[-1][1]:
                raise ValueError("']' closes nothing")
            code = apply(*stack.pop())
        if stack:
            stack[-1][1].append(code)
        else:
            result = code
    if result is None:
        raise ValueError("the tree is not closed")
    return result


def grow(random: Random, settings: ListOpsSettings) -> tuple[bytes, int] | None:
    """Draw one tree: its symbols and value; None if its length is not within the bounds."""
    symbols = bytearray()
    value = _node(random.random, symbols, 1, settings)
    if value is None or not settings.min_length < len(symbols) < settings.max_length:
        return None
    return bytes(symbols), value


def _node(draw: Any, symbols: bytearray, depth: int, settings: ListOpsSettings) -> int | None:
    """Append a node to ``symbols`` and return its value; None as soon as the tree is too long."""
    if depth >= settings.max_depth or draw() < DIGIT_SHARE:
        digit = int(draw() * 10)
        symbols.append(digit)
        return digit
    operation = MIN + int(draw() * 4)
    symbols.append(operation)
    arguments = []
    for _ in range(2 + int(draw() * (settings.max_args - 1))):
        value = _node(draw, symbols, depth + 1, settings)
        if value is None:
            return None
        arguments.append(value)
    symbols.append(CLOSE)
    return apply(operation, arguments) if len(symbols) < settings.max_length else None


def generate(settings: ListOpsSettings, seed: int) -> Iterator[tuple[bytes, int]]:
    """Draw different trees without end."""
    random = Random(seed)
    seen = set()
    refused = 0
    while True:
        tree = grow(random, settings)
        if tree is None or tree[0] in seen:
            refused += 1
            if refused > 100_000:
                raise InputError("min_length, max_length: hardly a tree falls between them; widen the bounds")
            continue
        refused = 0
        seen.add(tree[0])
        yield tree


def to_source(codes: bytes) -> str:
    """Write a tree as the release does: an operation with arguments a, b is ``( ( ( OP a ) b ) ] )``."""
    words: list[str] = []
    starts: list[int] = []
    opens: dict[int, int] = {}  # where an operation stands -> how many pairs it opens
    for code in codes:
        if MIN <= code <= SM:
            starts.append(len(words))
            opens[len(words)] = 0
            words.append(SYMBOLS[code])
            continue
        if code == CLOSE:
            words.append("]")
            opens[starts[-1]] += 1
            words.append(")")
            starts.pop()
        else:
            words.append(SYMBOLS[code])
        if starts:  # the value just ended is an argument
            opens[starts[-1]] += 1
            words.append(")")
    return " ".join("( " * opens[place] + word if place in opens else word for place, word in enumerate(words))


def from_source(text: str) -> bytes:
    """Symbol codes of a tree in the release's notation: parentheses dropped, ']' read as X."""
    words = [("X" if word == "]" else word) for word in text.split() if word not in "()"]
    try:
        return bytes(CODE[word] for word in words)
    except KeyError as error:
        raise ValueError(f"unknown symbol {quoted(error.args[0])}") from None


def read_tsv(path: Path) -> Iterator[tuple[bytes, int]]:
    """Read one of the release's files; every row is evaluated and must have the value that it states.

    Raises
    ------
    InputError
        File and line, and what was expected there.
    """
    empty = True
    for number, (where, (source, target)) in enumerate(read_lines(path, FILES.values(), HEADER), start=1):
        if number == 1:
            if (source, target) != tuple(name.encode() for name in HEADER):
                raise InputError(f"{where}: expected the header 'Source<tab>Target'")
            continue
        if target not in DIGITS:
            got = quoted(target.decode(errors="backslashreplace"))
            raise InputError(f"{where}: expected a target from 0 to 9, got {got}")
        try:
            codes = from_source(source.decode("ascii"))
            value = evaluate(codes)
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: not text (byte {error.start + 1} of the line)") from None
        except ValueError as error:
            raise InputError(f"{where}: not a ListOps tree: {error}") from None
        if value != int(target):
            raise InputError(f"{where}: the tree has the value {value}, the target says {int(target)}")
        empty = False
        yield codes, value
    if empty:
        raise InputError(f"{path}: no rows after the header")


def prepare(settings: ListOpsSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Convert the release's files in ``source``, or generate splits and write them in the release's format too."""
    if source is not None:
        require_folder(source, f"the folder of {', '.join(FILES.values())} of the LRA release")
        folders = (source / folder for folder in FOLDERS)
        root = next((folder for folder in folders if find_packed(folder, FILES["train"])), source)
        for split in reversed(FILES):
            writer.split(split, read_tsv(root / FILES[split]))
        return "files of the LRA release"
    trees = generate(settings, seed)

    def written(tsv: TextIO, split: str, count: int) -> Iterator[tuple[bytes, int]]:
        for codes, value in track(islice(trees, count), f"listops, {split}", count):
            tsv.write(f"{to_source(codes)}\t{value}{END_OF_LINE}")
            yield codes, value

    for split, name in FILES.items():
        with (writer.folder / name).open("w", encoding="utf-8", newline="\n") as tsv:
            tsv.write("\t".join(HEADER) + END_OF_LINE)
            writer.split(split, written(tsv, split, getattr(settings, split)))
    return "generated with the grammar of LRA"


TASK = Task(
    "nested operations on digits, 500 to 2,000 symbols, 10 classes",
    ListOpsSettings,
    len(SYMBOLS),
    10,
    prepare,
    generated_only=frozenset(ListOpsSettings.model_fields),
)
