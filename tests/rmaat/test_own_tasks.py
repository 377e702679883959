"""Tasks in files of one's own: data of any vocabulary, trained on without the file, and what is refused in one line."""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from astro_sim import InputError
from astro_sim.common.settings import Settings
from rmaat import tasks
from rmaat.__main__ import main
from rmaat.records import read_run
from rmaat.tasks import Task, data_folder
from rmaat.tasks.data_folder import SPLITS, Split
from rmaat.tasks.writer import Writer, prepare
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train
from tests.rmaat.refusals import refuses
from tests.rmaat.run_folders import TINY, assignments

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
SMALL = {**TINY, "segment_length": 8, "steps": 4, "warmup": 1}


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
    settings = assignments(SMALL)
    assert main(["train", "halves.py", "--laws", "laws.json", "--out", "run", *settings]) == 0
    assert main(["evaluate", "run"]) == 0
    assert main(["inspect", "run"]) == 0
    manifest = data_folder.load("data/halves").manifest
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
    writer = Writer(folder, task(symbols))
    writer.split("train", rows)
    split = Split("train", *(np.load(folder / f"train.{part}.npy") for part in data_folder.PARTS))
    size = 1 if symbols <= 256 else 2 if symbols <= 65_536 else 4
    assert split.tokens.dtype.itemsize == size
    ids, lengths, labels = split.batch(np.arange(len(rows)))
    assert [ids[i, :n].tolist() for i, n in enumerate(lengths)] == [[each + 1 for each in row] for row, _ in rows]
    assert labels.tolist() == [label for _, label in rows]


def test_bytes_and_whole_numbers_are_the_same_example(tmp_path):
    writer = Writer(tmp_path, task(200))
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
    manifest = prepare("ones.py", "ones", Settings())
    assert (manifest.head, manifest.towers) == (head, 2 if head == "match" else 1)
    record = train("ones", "ones", laws, "run", "rmaat", SMALL)
    assert record.finished
    assert (record.run.config.head, record.run.config.classes) == (head, classes)


def test_data_that_another_version_of_the_file_made_are_not_measured(halves, laws, tmp_path):
    """If they have other classes or symbols; else they are other data, which may be measured."""
    settings = tasks.find(halves).task.settings
    prepare(halves, "first", settings())
    train("halves", "first", laws, "run", "rmaat", SMALL)
    halves.write_text(HALVES.replace("SYMBOLS = 300", "SYMBOLS = 200"))
    prepare(halves, "fewer", settings())
    refuses(r"^fewer: has vocabulary 201, the run was trained with 301$", evaluate, "run", "fewer")
    halves.write_text(HALVES + "\n")
    prepare(halves, "same", settings(), seed=1)
    assert evaluate("run", "same")["trained_on"] == 0


def test_a_task_that_goes_elsewhere_leaves_its_folder_where_it_was_asked_for(halves, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    goes = HALVES.replace("for name in", "os.chdir('/')\n    for name in")
    halves.write_text(f"import os\nos.chdir('elsewhere')\n{goes}")
    manifest = prepare("halves.py", "out", {"size": 9}, seed=1)
    assert Path.cwd() == tmp_path
    assert data_folder.load(tmp_path / "out").manifest == manifest
    assert not [*(tmp_path / "elsewhere").iterdir()]
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "halves.py", "out"}


def test_a_split_that_a_task_gives_up_leaves_nothing(halves):
    halves.write_text(HALVES.replace("    generator", "    try:\n        writer.split('valid', [([1], 0), (5, 5)])\n"
                                     "    except ValueError:\n        pass\n    generator"))  # fmt: skip
    prepare(halves, "out")
    assert {path.name.split(".")[0] for path in Path("out").iterdir()} == {"manifest", *SPLITS}


def test_what_another_split_has_is_told(halves, capsys):
    halves.write_text(HALVES.replace("        writer.split", "        rows[0] = np.arange(20)\n        writer.split"))
    assert main(["data", "halves.py", "--out", "out"]) == 0
    printed = capsys.readouterr().out
    assert "valid: 1 left out, since they stand in another split too\n" in printed
    assert "train: 1 left out, since they stand in another split too\n" in printed


def test_labels_of_numpy_are_labels(tmp_path):
    writer = Writer(tmp_path, task(3))
    writer.split("train", [([2], label) for label in (1, True, np.int8(1), np.bool_(True), np.array(1))])
    assert np.load(tmp_path / "train.labels.npy").tolist() == [1] * 5


def test_other_counts_are_other_data(halves):
    """Though their arrays are the same; and counts may be NumPy's."""
    first = prepare(halves, "first")
    halves.write_text(HALVES.replace("Halves, SYMBOLS, 2", "Halves, np.int64(301), np.int16(2)"))
    second = prepare(halves, "second")
    assert second.splits == first.splits
    assert second.vocabulary == 302
    assert second.digest != first.digest


def test_a_mistake_in_the_settings_is_told(halves, capsys):
    """With its line, or as wrong where a setting was wrong; the defaults when the file is named."""
    after = "ge=1)\n    def model_post_init(self, _):\n        {24: 0}[self.size]"
    halves.write_text(HALVES.replace("ge=1)", after))
    assert main(["data", "halves.py", "--out", "out", "--set", "size=25"]) == 2
    assert capsys.readouterr().err == f"rmaat: {halves}, line 12: KeyError: 25\n"
    halves.write_text(HALVES.replace("quantity(24", "quantity(0"))
    assert main(["data", "halves.py", "--out", "out"]) == 2
    assert capsys.readouterr().err == "rmaat: halves.py: size: expected greater than or equal to 1 (examples), got 0\n"


def test_settings_that_are_names_may_begin_with_a_digit(halves):
    words = 'words: Path = quantity(Path("v.txt"), "1", "vocabulary", "chosen")\n    '
    words += 'kind: Literal["7b", "13b"] = quantity("7b", "1", "which", "chosen")\n    size'
    text = HALVES.replace("size", words, 1)
    halves.write_text("from pathlib import Path\nfrom typing import Literal\n" + text)
    given = ["--set", "words=20news/words.txt", "--set", "kind=13b"]
    assert main(["data", "halves.py", "--out", "out", *given]) == 0
    assert data_folder.load("out").manifest.settings == {"words": "20news/words.txt", "kind": "13b", "size": 24}


def test_baselines_of_many_symbols_and_classes_need_little_memory(tmp_path):
    """The same numbers as by counting in a table, which would have some 10^18 cells here."""
    generator = np.random.default_rng(0)
    first, labels = generator.integers(0, 5, 90), generator.integers(0, 3, 90)

    def split(first, labels):
        return Split("x", first.astype(np.uint32), np.arange(len(first) + 1), labels)

    counts = np.zeros((6, 3))
    np.add.at(counts, (first[:50], labels[:50]), 1)
    table = (counts.argmax(1)[first[40:]] == labels[40:]).mean()
    stretch = 2**29
    train, test = (split(first[part] * stretch, labels[part] * stretch) for part in (slice(50), slice(40, 90)))
    assert data_folder.first_symbol_accuracy(train, test) == table
    assert test.majority == np.bincount(labels[40:]).max() / 50
    assert test.likeliest_symbol == np.bincount(first[40:]).max() / 50
    unknown = split(np.array([3_000_000_007, 7]), np.array([0, 1]))
    assert data_folder.first_symbol_accuracy(train, unknown) == 0.5  # an unseen symbol is given the first class


def test_the_run_and_its_report_say_which_file_made_the_data(halves, laws):
    prepare(halves, "halves")
    train("halves", "halves", laws, "run", "rmaat", SMALL)
    evaluate("run")
    source = sha256(HALVES.encode()).hexdigest()
    assert read_run("run").run.data.own_source == source
    analysis.build_report(["run"], "report.html")
    page = Path("report.html").read_text()
    assert source in page
    assert "NOT comparable" not in page
    Path("halves").rename("moved")
    refuses(r"halves: the run's data are not there any more; expected --data DIR", evaluate, "run")
    assert evaluate("run", "moved")["split"] == "test"


DEFINITIONS = [
    ("text.py", HALVES, ": 'text' is a task of the package; choose another name"),
    ("a b.py", HALVES, ": its name is that of the task; expected a letter, then letters, digits and _"),
    ("a.py", "\n1 / 0", ", line 2: ZeroDivisionError: division by zero"),
    ("a.py", HALVES + "from rmaat import tasks\ntasks.find(__file__)", ", line 21: "),
    ("a.py", "", ": TASK is missing; expected rmaat.tasks.task.Task"),
    ("a.py", "TASK = 3", ": TASK is int; expected rmaat.tasks.task.Task"),
]
TASKS = [
    ('"which half, 2 classes"', "None", "summary: expected a line, got None"),
    ("Halves, SYMBOLS", "dict, SYMBOLS", "settings: expected a subclass of Settings, got <class 'dict'>"),
    ("quantity(24,", "quantity(...,", "settings: expected a default for every one; size has none"),
    ("SYMBOLS, 2, prepare)", "0, 2, prepare)", "symbols: expected a whole number from 1 to 4,294,967,296, got 0"),
    ("2, prepare)", "1, prepare)", "classes: expected a whole number from 2 to 1,048,576, got 1"),
    ("2, prepare)", "2, prepare, head='language')", "classes: expected None where each next symbol is asked for"),
    ("2, prepare)", "2, prepare, head='clasify')", "unknown head 'clasify'; did you mean 'classify'?"),
    ("2, prepare)", "2, 'x')", "prepare: expected a function, got 'x'"),
    ("2, prepare)", "2, prepare, generated_only='size')", "generated_only: expected a set of names of settings, got"),
    ("2, prepare)", "2, prepare, generated_only={'sise'})", "unknown setting in generated_only 'sise'; did you mean"),
]
DEFINITIONS += [("a.py", HALVES.replace(old, new), f": {message}") for old, new, message in TASKS]


@pytest.mark.parametrize(("name", "text", "message"), DEFINITIONS)
def test_what_defines_no_task_is_told(name, text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    refuses(f"^{re.escape(name + message)}", tasks.find, name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("        rows = [", "        1 / 0\n        rows = [", ", line 15: ZeroDivisionError: division by zero"),
        ("        rows = [", "        raise SystemExit(3)\n        rows = [", ", line 15: SystemExit: 3"),
        ('("test", "valid", "train")', '("test", "valid")', ": no split 'train' was written"),
        ('("test", "valid", "train")', '("test", "tran")', ", line 16: unknown split 'tran'; did you mean 'train'?"),
        ('("test", "valid", "train")', '("test", "test")', ", line 16: split 'test': written already"),
        ("SYMBOLS, 20)", "SYMBOLS + 9, 900)", "ROW: expected symbols from 0 to 299, got 30"),
        ("(row, int(row[0] ", "(row.reshape(2, 10), int(row[0] ", "ROW: expected a sequence of whole numbers, got"),
        ("SYMBOLS, 20)", "SYMBOLS, 20) / 1", "ROW: expected a sequence of whole numbers, got float64 (20,)"),
        ("SYMBOLS, 20)", "SYMBOLS, 20).tobytes()", "ROW: expected whole numbers, since the task has more than 256"),
        ("[(row, int(row[0] >= SYMBOLS // 2))", "[(row[:0], 0)", "ROW: no symbols"),
        ("int(row[0] >= SYMBOLS // 2)", "2", "ROW: expected a label, a whole number from 0 to 1, got 2"),
        ("int(row[0] >= SYMBOLS // 2)", "0.5", "ROW: expected a label, a whole number from 0 to 1, got 0.5"),
        ("2, prepare)", "2, prepare, head='match')", "ROW: expected a pair of sequences, got int64 (20,)"),
        ("for _ in range(settings.size)", "for _ in range(0)", ": no training examples"),
        ("[(row, int(row[0] >= SYMBOLS // 2))", "[row", "ROW: expected (symbols, label), got int64 (20,)"),
        ("[(row, int(row[0] >= SYMBOLS // 2))", "[3", "ROW: expected (symbols, label), got 3"),
        ("[(row, int(row[0] ", "[([[1], [2, 3]], int(row[0] ", "ROW: expected a sequence of whole numbers, got list"),
        ("[(row, int(row[0] ", "[((x for x in row), int(row[0] ", "ROW: expected a sequence of whole numbers, got gen"),
        ('return "halves"', "return None", ": prepare: expected it to say in one line what the data are, got None"),
        ('return "halves"', "return ' '", ": prepare: expected it to say in one line what the data are, got ' '"),
        ('return "halves"', "import shutil; shutil.rmtree(writer.folder)", ": split 'test': its files were removed"),
        ('return "halves"', "(writer.folder / 'train.labels.npy').write_bytes(b'x')", ": split 'train': its files"),
        ("size: int", "made: object = object()\n    size: int", ": settings: cannot be kept as JSON (Unable to"),
    ],
)
def test_what_goes_wrong_while_data_are_made_is_told_and_nothing_is_left(old, new, message, halves):
    assert old in HALVES
    halves.write_text(HALVES.replace(old, new))
    with pytest.raises(InputError, match=f"^{re.escape('halves.py' + message.replace('ROW', ROW))}") as caught:
        prepare("halves.py", "out", tasks.find(halves).task.settings())
    assert "\n" not in str(caught.value)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "halves", "--out", "x"], "unknown task 'halves'; for the file here, write halves.py"),
        (["data", "nowhere.py", "--out", "x"], "nowhere.py: no such file; expected a task of your own (.py)"),
        (["data", "halves.py", "--out", "x", "--set", "sise=3"], "unknown setting 'sise' of Halves; did you mean"),
        (["train", "halves", "--laws", "laws.json", "--out", "x"], "data/halves: no data folder (manifest.json is"),
        (
            ["train", "lisops", "--laws", "laws.json", "--out", "x"],
            "data/lisops: no data folder (manifest.json is missing); make it with: rmaat data lisops.py --out "
            "data/lisops; 'lisops' is no task of the package, did you mean 'listops'?",
        ),
    ],
)
def test_wrong_names_are_told(words, message, halves, laws, capsys):
    laws.save("laws.json")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rmaat: {message}")
    assert error.count("\n") == 1
    assert not Path("x").exists()
