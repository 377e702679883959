"""What shallow knowledge of a pair of documents is worth on Retrieval: accuracy on test pairs without any model.

Each row knows one number of a pair and the cut of it that is best on training pairs. The stand-in (pairs of halves of
reviews) was made so that the first rows say little. What shared words say is what the task is about: a model below
those rows has not learned to compare words.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from benchmarks.registry import Benchmark
from rmaat.tasks import storage

DATA = Path("data/lra/retrieval")  # rmaat data retrieval --source PATH --out data/lra/retrieval
WORD = re.compile(rb"[a-z']+")
Pair = tuple[bytes, bytes]


def pairs(split: storage.Split) -> Iterator[Pair]:
    """The documents of each example, as bytes."""
    documents = (split.tokens[start:end].tobytes() for start, end in pairwise(split.offsets))
    return zip(documents, documents, strict=True)


def words(document: bytes) -> set[bytes]:
    """Lower-case words, each once."""
    return set(WORD.findall(document.lower()))


def common(pair: Pair, weights: dict[bytes, float] | None = None) -> float:
    """Words of both over words of either, a word counting ``weights[word]`` (without weights: 1)."""
    first, second = (words(document) for document in pair)
    both, either = first & second, first | second
    if weights is None:
        return len(both) / max(len(either), 1)
    rarest = max(weights.values())
    return sum(weights.get(word, rarest) for word in both) / max(sum(weights.get(word, rarest) for word in either), 1)


def rarity(split: storage.Split) -> dict[bytes, float]:
    """How surprising it is to meet a word in a document: -ln of the share of documents with it."""
    counts = Counter(word for pair in pairs(split) for document in pair for word in words(document))
    return {word: log(2 * len(split) / count) for word, count in counts.items()}


def cut(values: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, int]:
    """The threshold that is right most often, and the label from it upwards."""
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([[0], np.cumsum(np.where(labels[order] == 1, -1, 1))])  # right answers of "1 from here on"
    ends = np.concatenate([[True], np.diff(values[order]) > 0, [True]])  # equal values are not told apart
    best = max(np.flatnonzero(ends), key=lambda place: abs(int(2 * steps[place] - steps[-1])))
    threshold = values[order][best] if best < len(values) else np.inf
    return float(threshold), int(2 * steps[best] >= steps[-1])


def accuracy(known: Callable[[Pair], float], train: storage.Split, test: storage.Split) -> float:
    """Share of test pairs that the cut chosen on training pairs answers rightly."""
    threshold, above = cut(np.array([known(pair) for pair in pairs(train)]), np.asarray(train.labels))
    found = np.array([known(pair) for pair in pairs(test)])
    return float((np.where(found >= threshold, above, 1 - above) == test.labels).mean())


def joints(split: storage.Split) -> Callable[[Pair], float]:
    """How much likelier the last byte of one and the first of the other are in one text than in two."""
    counts = np.full((2, 256, 256), 0.5)  # half a count more, so that an unseen joint says nothing
    for pair, label in zip(pairs(split), split.labels, strict=True):
        counts[label, pair[0][-1], pair[1][0]] += 1
    odds = np.log(counts[1] / counts[0])
    return lambda pair: float(odds[pair[0][-1], pair[1][0]])


def check() -> None:
    """A cut by hand, and words by hand."""
    values, labels = np.array([0.1, 0.4, 0.2, 0.4, 0.9]), np.array([0, 1, 0, 1, 0])
    if cut(values, labels) != (0.4, 1) or cut(-values, labels) != (-0.2, 0):
        raise RuntimeError("another cut is right more often")
    if common((b"A red, red fox", b"the Red fox")) != 0.5:
        raise RuntimeError("words are counted wrongly")


def measure(data: Path = DATA) -> list[dict[str, Any]]:
    """A row a number that is known of a pair."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; expected what rmaat data retrieval --source PATH --out {data} makes")
    splits = storage.load(data, "retrieval").splits
    train, test = splits["train"], splits["test"]
    weights = rarity(train)
    knows: dict[str, Callable[[Pair], float]] = {
        "length of both": lambda pair: float(len(pair[0]) + len(pair[1])),
        "last byte of one, first of the other": joints(train),
        "shared words": common,
        "shared words, rare ones counting more": lambda pair: common(pair, weights),
    }
    return [{"known": name, "accuracy": round(accuracy(known, train, test), 4)} for name, known in knows.items()]


BENCHMARK = Benchmark("Retrieval: what shallow knowledge of a pair tells on the test split", check, measure)
