"""Retrieval: do two documents belong together? Two towers of one encoder, up to 4,000 bytes each.

LRA (arXiv 2011.04006) asks whether one paper of the ACL Anthology Network cites the other. Its files are
new_aan_pairs.train.tsv, .eval.tsv and .test.tsv without a header: label, two ids, two texts, separated by tabs. As LRA
does we take the bytes as they are, quotes too, and cut each text at 4,000.

The stand-in, for where those cannot be had: halves of IMDB reviews (the aclImdb folder), to be told whether they come
from one review. Reviews of one sentiment, sorted by length, are taken four at a time: two give a pair each of their own
halves, label 1; two exchange their second halves, label 0. So each half stands in one pair, and both labels have the
same first halves and second halves as far as length and sentiment go. Both documents of a pair are then cut to the
shorter one's length: halves of one review differ otherwise in length than those of two, which alone would tell some.
Where the halves meet, the last byte of one and the first of the other still say a little, and shared words a lot
(docs/log).
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from astro_sim.common.errors import InputError
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.sources import find_packed, require_folder
from rmaat.tasks.task import Task
from rmaat.tasks.text import LABELS as SENTIMENTS
from rmaat.tasks.text import find, held_out, read_review, reviews
from rmaat.tasks.tsv import read_lines
from rmaat.tasks.writer import Writer

LRA = "LRA (arXiv 2011.04006)"
# Split -> file; the test split first, so that nothing of it is trained on.
FILES = {
    "test": "new_aan_pairs.test.tsv",
    "valid": "new_aan_pairs.eval.tsv",
    "train": "new_aan_pairs.train.tsv",
}
RELEASED = {"test": 17_437, "valid": 18_090, "train": 147_086}  # rows of the release
FOLDERS = ("", "tsv_data", "lra_release", "lra_release/tsv_data")  # where the release may lie below the source
FIELDS = ("label", "id1", "id2", "text1", "text2")
LABELS = {b"0.0": 0, b"1.0": 1, b"0": 0, b"1": 1}
STAND_IN = "pairs of halves of IMDB reviews (stand-in for the AAN pairs)"

Pair = tuple[tuple[bytes, bytes], int]


class RetrievalSettings(Settings):
    """How documents become pairs; all but ``max_bytes`` is for the stand-in."""

    max_bytes: int = quantity(4_000, "bytes", "longer documents are cut here", LRA, ge=1)
    valid_share: float = quantity(
        0.1, "1", "share of the training reviews held out for validation", "chosen: as of Text", ge=0, lt=1
    )
    min_bytes: int = quantity(100, "bytes", "shorter reviews are not cut in halves but left out", "chosen", ge=3)


def read_tsv(path: Path, max_bytes: int) -> Iterator[Pair]:
    """Read one of the release's files.

    Raises
    ------
    InputError
        File and line, and what was expected there.
    """
    where = None
    for where, fields in read_lines(path, FILES.values(), FIELDS):
        if fields[0] not in LABELS:
            got = fields[0][:20].decode(errors="backslashreplace")
            raise InputError(f"{where}: expected the label 0.0 or 1.0, got {got!r}")
        for name, text in zip(FIELDS[3:], fields[3:], strict=True):
            if not text:
                raise InputError(f"{where}: an empty document ({name})")
        yield (fields[3][:max_bytes], fields[4][:max_bytes]), LABELS[fields[0]]
    if where is None:
        raise InputError(f"{path}: no rows inside")


def halves(text: bytes) -> tuple[bytes, bytes] | None:
    """Cut a text at the space nearest to its middle, which goes to neither half; None if there is no such space."""
    middle, last = len(text) // 2, len(text) - 1  # neither half may be empty
    places = (text.rfind(b" ", 1, min(middle + 1, last)), text.find(b" ", middle, last))
    place = min((place for place in places if place > 0), key=lambda place: abs(place - middle), default=None)
    return None if place is None else (text[:place], text[place + 1 :])


def pair_up(texts: list[bytes], max_bytes: int, random: Random) -> list[Pair]:
    """Pairs of halves from different texts, as many of either label; up to three texts are left over.

    Parameters
    ----------
    texts : list of bytes
        Of one sentiment; their order has no say.
    max_bytes : int
    random : Random
        Decides which of four texts of like lengths exchange their second halves.
    """
    cut = [both for text in sorted(texts, key=lambda text: (len(text), text)) if (both := halves(text)) is not None]
    pairs = []
    for start in range(0, len(cut) - 3, 4):
        couples = [cut[start : start + 2], cut[start + 2 : start + 4]]
        random.shuffle(couples)
        (own, other), (first, second) = couples
        pairs += [(own, 1), (other, 1), ((first[0], second[1]), 0), ((second[0], first[1]), 0)]
    size = [min(len(a), len(b), max_bytes) for (a, b), _ in pairs]
    return [((a[:n], b[:n]), label) for ((a, b), label), n in zip(pairs, size, strict=True)]


def prepare_stand_in(settings: RetrievalSettings, root: Path, seed: int, writer: Writer) -> str:
    """Make pairs of the reviews below ``root``, which holds train/ and test/."""
    listed = {split: reviews(root, split) for split in ("test", "train")}
    random, tested = Random(seed), set()
    texts: dict[str, dict[bytes, int]] = {name: {} for name in FILES}  # text -> sentiment; of copies the first
    left_out = dict.fromkeys(FILES, 0)
    for split, files in listed.items():
        for file, sentiment in track(files, f"retrieval, {split}", len(files)):
            text = read_review(file)
            name = "valid" if split == "train" and held_out(text, settings.valid_share) else split
            if name == "test":
                tested.add(text)
            elif text in tested:
                left_out[name] += 1
                continue
            if len(text) >= settings.min_bytes:
                texts[name].setdefault(text, sentiment)
    for name, sentiments in texts.items():
        pairs: list[Pair] = []
        for asked in SENTIMENTS.values():
            alike = [text for text, sentiment in sentiments.items() if sentiment == asked]
            pairs += pair_up(alike, settings.max_bytes, random)
        if name == "test" and not pairs:
            raise InputError(
                f"{root / name}: expected four reviews of one sentiment, {settings.min_bytes} bytes or more"
            )
        random.shuffle(pairs)
        writer.split(name, pairs)
        # A review of the test split would be known by its halves, whatever pairs they stand in.
        split = writer.splits[name]
        writer.splits[name] = split.model_copy(update={"left_out": split.left_out + left_out[name]})
    return STAND_IN


def prepare(settings: RetrievalSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Convert the release's files in ``source``, or make the stand-in from an aclImdb folder."""
    expected = f"{', '.join(FILES.values())} of the LRA release, or the unpacked aclImdb folder for a stand-in"
    if source is None:
        raise InputError(f"retrieval: expected --source PATH, a folder with {expected}; this task cannot be generated")
    require_folder(source, expected)
    for root in (source / folder for folder in FOLDERS):
        if any(find_packed(root, file) for file in FILES.values()):  # packed ones are told of there
            for split, file in FILES.items():
                pairs = read_tsv(root / file, settings.max_bytes)
                writer.split(split, track(pairs, f"retrieval, {split}", RELEASED[split]))
            counts = {split: writer.splits[split].examples + writer.splits[split].left_out for split in FILES}
            return "files of the LRA release" if counts == RELEASED else "pairs in the format of the LRA release"
    root = find(source)
    if not ((root / "train").is_dir() or (root / "test").is_dir()):
        raise InputError(f"{source}: neither is inside; expected {expected}")
    return prepare_stand_in(settings, root, seed, writer)


TASK = Task(
    "do two documents belong together, up to 4,000 bytes each, 2 classes",
    RetrievalSettings,
    256,
    2,
    prepare,
    head="match",
)
