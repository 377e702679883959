"""Tasks in files of one's own: data of any vocabulary, trained on without the file, and what is refused in one line."""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim import InputError
from astro_sim.common.settings import Settings
from rmaat import tasks
from rmaat.__main__ import main
from rmaat.tasks import Task, storage
from rmaat.training.engine import train
from rmaat.training.evaluation import evaluate

ROW = ", line 16: split 'test', example 0"  # where its rows are handed over
# Which of two halves of the symbols does the first one come from?
HALVES = '''
import numpy as np
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks import Task

SYMBOLS = 300

class Halves(Settings):
    """How many."""
    size: int = quantity(24, "examples", "of each split", "chosen", ge=1)

def prepare(settings, source, seed, writer):
    generator = np.random.default_rng(seed)
    for name in ("test", "valid", "train"):
        rows = [generator.integers(0, SYMBOLS, 20) for _ in range(settings.size)]
        writer.split(name, [(row, int(row[0] >= SYMBOLS // 2)) for row in rows])
    return "halves"

TASK = Task("which half, 2 classes", Halves, SYMBOLS, 2, prepare)
'''
SMALL = {
    "width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 8, "memory_tokens": 2, "batch": 8,
    "steps": 4, "warmup": 1, "device": "cpu",
}  # fmt: skip


class Nothing(Settings):
    """No settings."""


def task(symbols, classes=2, head="classify"):
    return Task("", Nothing, symbols, classes, lambda *_: "", head)


@pytest.fixture
def halves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "halves.py"
    path.write_text(HALVES)
    return path


def test_the_folder_is_trained_on_and_measured_without_the_file(halves, laws, tmp_path, capsys):
    """By the verbs: the name of the file stands for that of the task, and the folder says the rest."""
    laws.save(tmp_path / "laws.json")
    assert main(["data", "halves.py", "--out", "data/halves", "--set", "size=16"]) == 0
    assert "data/halves: halves, generated" in capsys.readouterr().out
    halves.unlink()
    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    assert main(["train", "halves.py", "--laws", "laws.json", "--out", "run", *settings]) == 0
    assert main(["evaluate", "run"]) == 0
    assert main(["inspect", "run"]) == 0
    manifest = storage.load("data/halves").manifest
    assert (manifest.vocabulary, manifest.classes, manifest.settings) == (301, 2, {"size": 16})
    assert manifest.own_source == sha256(HALVES.encode()).hexdigest()


def test_settings_are_listed(halves, capsys):
    assert main(["data", "halves.py", "--settings"]) == 0
    assert re.search(r"size +24 +examples +of each split", capsys.readouterr().out)


@given(st.sampled_from([2, 255, 256, 257, 2**16, 2**16 + 1, 2**32]), st.data())
def test_any_symbols_come_back(tmp_path_factory, symbols, data):
    """In the smallest type that holds them, the largest among them, as the model's ids, which begin at 1."""
    folder = tmp_path_factory.mktemp("data")
    row = st.lists(st.integers(0, symbols - 1) | st.just(symbols - 1), min_size=1, max_size=5)
    rows = data.draw(st.lists(st.tuples(row, st.integers(0, 1)), min_size=1, max_size=4))
    writer = storage.Writer(folder, task(symbols))
    writer.split("train", rows)
    split = storage.Split("train", *(np.load(folder / f"train.{part}.npy") for part in storage.PARTS))
    size = 1 if symbols <= 256 else 2 if symbols <= 65_536 else 4
    assert split.tokens.dtype.itemsize == size
    ids, lengths, labels = split.batch(np.arange(len(rows)))
    assert [ids[i, :n].tolist() for i, n in enumerate(lengths)] == [[each + 1 for each in row] for row, _ in rows]
    assert labels.tolist() == [label for _, label in rows]


def test_bytes_and_whole_numbers_are_the_same_example(tmp_path):
    writer = storage.Writer(tmp_path, task(200))
    writer.split("test", [(b"ab", 0)])
    writer.split("train", [([97, 98], 1), (np.array([97, 98, 99], np.int16), 0)])
    assert (writer.splits["train"].examples, writer.splits["train"].left_out) == (1, 1)


@pytest.mark.parametrize(
    ("head", "classes", "row"),
    [("match", 3, (([1, 299], [5]), 2)), ("language", None, ([1, 299, 3, 4], 0))],
    ids=["pairs", "the next symbol"],
)
def test_pairs_and_language_of_ones_own_are_trained(halves, laws, tmp_path, head, classes, row):
    """With the head and the number of classes that the folder tells."""
    source = f"""
from astro_sim.common.settings import Settings
from rmaat.tasks import Task
def prepare(settings, source, seed, writer):
    writer.split("train", [{row!r}] * 8)
    return "one"
TASK = Task("one example", Settings, 300, {classes}, prepare, head={head!r})
"""
    (tmp_path / "ones.py").write_text(source)
    manifest = storage.prepare("ones.py", "ones", Settings())
    assert (manifest.head, manifest.towers) == (head, 2 if head == "match" else 1)
    record = train("ones", "ones", laws, "run", "rmaat", SMALL)
    assert record.finished
    assert (record.run["model_config"]["head"], record.run["model_config"]["classes"]) == (head, classes)


def test_data_that_another_version_of_the_file_made_are_not_measured(halves, laws, tmp_path):
    """If they have other classes or symbols; else they are other data, which may be measured."""
    settings = tasks.find(halves).task.settings
    storage.prepare(halves, "first", settings())
    train("halves", "first", laws, "run", "rmaat", SMALL)
    halves.write_text(HALVES.replace("SYMBOLS = 300", "SYMBOLS = 200"))
    storage.prepare(halves, "fewer", settings())
    with pytest.raises(InputError, match=r"^fewer: has vocabulary 201, the run was trained with 301$"):
        evaluate("run", "fewer")
    halves.write_text(HALVES + "\n")
    storage.prepare(halves, "same", settings(), seed=1)
    assert evaluate("run", "same")["trained_on"] == 0


DEFINITIONS = {
    "a name of ours": ("text.py", HALVES, "text.py: 'text' is a task of the package; choose another name"),
    "no name": (
        "a b.py",
        HALVES,
        "a b.py: its name is that of the task; expected a letter, then letters, digits and _",
    ),
    "an error": ("a.py", "\n1 / 0", "a.py, line 2: ZeroDivisionError: division by zero"),
    "itself": ("a.py", HALVES + "from rmaat import tasks\ntasks.find(__file__)", "a.py, line 21: "),
    "nothing": ("a.py", "", "a.py: TASK is missing; expected rmaat.tasks.Task"),
    "another thing": ("a.py", "TASK = 3", "a.py: TASK is int; expected rmaat.tasks.Task"),
    "no summary": (
        "a.py",
        HALVES.replace('"which half, 2 classes"', "None"),
        "a.py: summary: expected a line, got None",
    ),
    "no settings": (
        "a.py",
        HALVES.replace("Halves, SYMBOLS", "dict, SYMBOLS"),
        "a.py: settings: expected a subclass of Settings, got <class 'dict'>",
    ),
    "a setting without a default": (
        "a.py",
        HALVES.replace("quantity(24,", "quantity(...,"),
        "a.py: settings: expected a default for every one; size has none",
    ),
    "no symbols": (
        "a.py",
        HALVES.replace("SYMBOLS, 2, prepare)", "0, 2, prepare)"),
        "a.py: symbols: expected a whole number from 1 to 4,294,967,296, got 0",
    ),
    "one class": (
        "a.py",
        HALVES.replace("SYMBOLS, 2, prepare)", "SYMBOLS, 1, prepare)"),
        "a.py: classes: expected a whole number from 2, got 1",
    ),
    "classes of a language": (
        "a.py",
        HALVES.replace("2, prepare)", "2, prepare, head='language')"),
        "a.py: classes: expected None where each next symbol is asked for, got 2",
    ),
    "no head": (
        "a.py",
        HALVES.replace("2, prepare)", "2, prepare, head='clasify')"),
        "a.py: unknown head 'clasify'; did you mean 'classify'?",
    ),
    "no function": ("a.py", HALVES.replace("2, prepare)", "2, 'x')"), "a.py: prepare: expected a function, got 'x'"),
    "words": (
        "a.py",
        HALVES.replace("2, prepare)", "2, prepare, generated_only='size')"),
        "a.py: generated_only: expected a set of names of settings, got 'size'",
    ),
    "an idle setting that is none": (
        "a.py",
        HALVES.replace("2, prepare)", "2, prepare, generated_only={'sise'})"),
        "a.py: unknown setting in generated_only 'sise'; did you mean 'size'?",
    ),
}


@pytest.mark.parametrize(("name", "text", "told"), DEFINITIONS.values(), ids=DEFINITIONS)
def test_what_defines_no_task_is_told(name, text, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    with pytest.raises(InputError, match=f"^{re.escape(told)}"):
        tasks.find(name)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("        rows = [", "        1 / 0\n        rows = [", ", line 15: ZeroDivisionError: division by zero"),
        ("        rows = [", "        raise SystemExit(3)\n        rows = [", ", line 15: SystemExit: 3"),
        ('("test", "valid", "train")', '("test", "valid")', ": no split 'train' was written"),
        ('("test", "valid", "train")', '("test", "tran")', ", line 16: unknown split 'tran'; did you mean 'train'?"),
        ('("test", "valid", "train")', '("test", "test")', ", line 16: split 'test': written already"),
        ("SYMBOLS, 20)", "SYMBOLS + 9, 900)", "ROW: expected symbols from 0 to 299, got 30"),
        (
            "(row, int(row[0] ",
            "(row.reshape(2, 10), int(row[0] ",
            "ROW: expected a sequence of whole numbers, got int64 (2,",
        ),
        ("SYMBOLS, 20)", "SYMBOLS, 20) / 1", "ROW: expected a sequence of whole numbers, got float64 (20,)"),
        (
            "SYMBOLS, 20)",
            "SYMBOLS, 20).tobytes()",
            "ROW: expected whole numbers, since the task has more than 256 symbols",
        ),
        ("[(row, int(row[0] >= SYMBOLS // 2))", "[(row[:0], 0)", "ROW: no symbols"),
        ("int(row[0] >= SYMBOLS // 2)", "2", "ROW: expected a label from 0 to 1, got 2"),
        ("int(row[0] >= SYMBOLS // 2)", "0.5", "ROW: expected a label from 0 to 1, got 0.5"),
        ("2, prepare)", "2, prepare, head='match')", "ROW: expected a pair of sequences, got ndarray"),
        ("for _ in range(settings.size)", "for _ in range(0)", ": no training examples"),
    ],
)
def test_what_goes_wrong_while_data_are_made_is_told_and_nothing_is_left(old, new, told, halves):
    assert old in HALVES
    halves.write_text(HALVES.replace(old, new))
    with pytest.raises(InputError, match=f"^{re.escape('halves.py' + told.replace('ROW', ROW))}") as caught:
        storage.prepare("halves.py", "out", tasks.find(halves).task.settings())
    assert "\n" not in str(caught.value)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data", "halves", "--out", "x"], "unknown task 'halves'; for the file here, write halves.py"),
        (["data", "nowhere.py", "--out", "x"], "nowhere.py: no such file; expected a task of your own (.py)"),
        (
            ["data", "halves.py", "--out", "x", "--set", "sise=3"],
            "unknown setting 'sise' of Halves; did you mean 'size'?",
        ),
        (
            ["train", "halves", "--laws", "laws.json", "--out", "x"],
            "data/halves: no data folder (manifest.json is missing); make it with: rmaat data halves.py",
        ),
        (
            ["train", "lisops", "--laws", "laws.json", "--out", "x"],
            "data/lisops: no data folder (manifest.json is missing); make it with: rmaat data lisops.py --out "
            "data/lisops; 'lisops' is no task of the package, did you mean 'listops'?",
        ),
    ],
)
def test_wrong_names_are_told(words, told, halves, laws, capsys):
    laws.save("laws.json")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rmaat: {told}")
    assert error.count("\n") == 1
    assert not Path("x").exists()
