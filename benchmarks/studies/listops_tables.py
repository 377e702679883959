"""What shallow knowledge of a ListOps tree is worth: accuracy of tables of counts over training trees, on fresh ones.

A model that does no better than the first row knows the operation at the root and nothing else. The other rows say what
lies beyond without evaluating a single subtree: the digits before the first bracket and after the last, or all
arguments of the root that are digits.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from itertools import islice, takewhile
from typing import Any

from benchmarks.registry import Benchmark, require
from rmaat.tasks.listops import CLOSE, ListOpsSettings, evaluate, from_source, generate

TRAIN, TEST = 20_000, 10_000
Key = tuple[Hashable, ...]


def ends(digits: list[int]) -> Key:
    """Lowest and highest; -1 for none."""
    return min(digits, default=-1), max(digits, default=-1)


def leading(tree: bytes) -> list[int]:
    """Digits between the root's operation and the first bracket after it."""
    return list(takewhile(lambda code: code < 10, tree[1:]))


def trailing(tree: bytes) -> list[int]:
    """Digits between the last bracket inside and the root's own end."""
    return list(takewhile(lambda code: code < 10, reversed(tree[:-1])))


def arguments(tree: bytes) -> list[int]:
    """All arguments of the root that are digits."""
    depth, digits = 0, []
    for code in tree:
        if code == CLOSE:
            depth -= 1
        elif code >= 10:
            depth += 1
        elif depth == 1:
            digits.append(code)
    return digits


KNOWN: dict[str, Callable[[bytes], Key]] = {
    "operation at the root": lambda tree: (tree[0],),
    "and lowest and highest of the leading digits": lambda tree: (tree[0], *ends(leading(tree))),
    "and of the trailing ones": lambda tree: (tree[0], *ends(leading(tree) + trailing(tree))),
    "and of all arguments that are digits": lambda tree: (tree[0], *ends(arguments(tree))),
}


def check() -> None:
    """The parts of a tree by hand: [MIN 3 7 [MAX 1 2 ] 9 [SM 4 4 ] 5 ]."""
    tree = from_source("[MIN 3 7 [MAX 1 2 ] 9 [SM 4 4 ] 5 ]")
    parts = (leading(tree), trailing(tree), sorted(arguments(tree)), evaluate(tree))
    require(parts == ([3, 7], [5], [3, 5, 7, 9], 2), f"the tree is taken apart wrongly: {parts}")


def measure(train: int = TRAIN, test: int = TEST) -> list[dict[str, Any]]:
    """A row a table; unseen keys fall back on the operation at the root."""
    trees = generate(ListOpsSettings(), seed=0)
    tables: dict[str, defaultdict[Key, Counter[int]]] = {name: defaultdict(Counter) for name in KNOWN}
    for tree, value in islice(trees, train):
        for name, key in KNOWN.items():
            tables[name][key(tree)][value] += 1
    root = next(iter(KNOWN))
    right: Counter[str] = Counter()
    for tree, value in islice(trees, test):
        for name, key in KNOWN.items():
            counts = tables[name].get(key(tree)) or tables[root][KNOWN[root](tree)]
            right[name] += counts.most_common(1)[0][0] == value
    return [
        {"known": name, "accuracy": round(right[name] / test, 4), "keys": len(tables[name])} for name in KNOWN
    ]  # fmt: skip


BENCHMARK = Benchmark("ListOps: what tables of shallow knowledge reach on 10,000 fresh trees", check, measure)
