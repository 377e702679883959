"""What shallow knowledge of a pair of documents is worth on Retrieval: accuracy on test pairs without any model.

Each row knows one number of a pair and the cut of it that is best on training pairs. The stand-in (pairs of halves of
reviews) was made so that the first rows say little. What shared words say is what the task is about: a model below
those rows has not learned to compare words.
"""

import re
from collections import Counter
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.registry import Benchmark, require
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import Split

DATA = Path("data/lra/retrieval")  # rmaat data retrieval --source PATH --out data/lra/retrieval
WORD = re.compile(rb"[a-z']+")
Pair = tuple[bytes, ...]


def words(document: bytes) -> set[bytes]:
    """Lower-case words, each once."""
    return set(WORD.findall(document.lower()))


def common(pair: Pair, weight: Callable[[bytes], float] = lambda _: 1.0) -> float:
    """Words of both over words of either, each as much as it weighs."""
    first, second = (words(document) for document in pair)
    either = sum(map(weight, first | second))
    return sum(map(weight, first & second)) / either if either else 0.0


def rarity(split: Split) -> Callable[[bytes], float]:
    """How surprising a word in a document is: -ln of the share of documents that have it; a new one counts as once."""
    counts = Counter(word for pair in split.symbols() for document in pair for word in words(document))
    return lambda word: log(2 * len(split) / max(counts[word], 1))


def cut(values: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, int]:
    """The threshold that is right most often, and the label from it upwards."""
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([[0], np.cumsum(np.where(labels[order] == 1, -1, 1))])  # right answers of "1 from here on"
    ends = np.concatenate([[True], np.diff(values[order]) > 0, [True]])  # equal values are not told apart
    best = max(np.flatnonzero(ends), key=lambda place: abs(int(2 * steps[place] - steps[-1])))
    threshold = values[order][best] if best < len(values) else np.inf
    return float(threshold), int(2 * steps[best] >= steps[-1])


def accuracy(known: Callable[[Pair], float], train: Split, test: Split) -> float:
    """Share of test pairs that the cut chosen on training pairs answers rightly."""
    threshold, above = cut(np.array([known(pair) for pair in train.symbols()]), np.asarray(train.labels))
    values = np.array([known(pair) for pair in test.symbols()])
    return float((np.where(values >= threshold, above, 1 - above) == test.labels).mean())


def joints(split: Split) -> Callable[[Pair], float]:
    """How much likelier the last byte of one and the first of the other are in one text than in two."""
    counts = np.full((2, 256, 256), 0.5)  # half a count more, so that an unseen joint says nothing
    for pair, label in zip(split.symbols(), split.labels, strict=True):
        counts[label, pair[0][-1], pair[1][0]] += 1
    odds = np.log(counts[1] / counts[0])
    return lambda pair: float(odds[pair[0][-1], pair[1][0]])


def check() -> None:
    """A cut by hand, and words by hand."""
    values, labels = np.array([0.1, 0.4, 0.2, 0.4, 0.9]), np.array([0, 1, 0, 1, 0])
    right = cut(values, labels) == (0.4, 1) and cut(-values, labels) == (-0.2, 0)
    require(right, "another cut is right more often")
    require(common((b"A red, red fox", b"the Red fox")) == 0.5, "words are counted wrongly")


def measure(data: Path = DATA) -> list[dict[str, Any]]:
    """A row a number that is known of a pair."""
    splits = data_folder.load(data, "retrieval").splits
    train, test = splits["train"], splits["test"]
    weight = rarity(train)
    knows: dict[str, Callable[[Pair], float]] = {
        "length of both": lambda pair: float(len(pair[0]) + len(pair[1])),
        "last byte of one, first of the other": joints(train),
        "shared words": common,
        "shared words, rare ones counting more": lambda pair: common(pair, weight),
    }
    return [{"known": name, "accuracy": round(accuracy(known, train, test), 4)} for name, known in knows.items()]


BENCHMARK = Benchmark("Retrieval: what shallow knowledge of a pair tells on the test split", check, measure)
