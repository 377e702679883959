"""What is fuzzed: each target damages a valid input, hands it over, and holds what comes back against the truth.

A target is a function ``(random, place) -> str``: "refused" where `InputError` or `OSError` came, "accepted" where not.
Anything else that comes out is a finding, and so is `WrongError`: the input was taken, and what came of it is wrong.
"""

import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import torch

import astro_sim
import bridge
from analysis.collect import collect
from analysis.report.page import render, sections
from astro_sim.common.errors import InputError
from astro_sim.common.files import digest
from astro_sim.common.sealed import LENGTH
from astro_sim.common.settings import load_toml, parse_assignments
from astro_sim.dataset import content_digest
from astro_sim.experiments import find
from bridge import describe
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.registry import build_model
from rmaat.models.weights import load_weights, read_tensors
from rmaat.records import read_run
from rmaat.settings import LawSettings, RunSettings, TrainSettings, flatten
from rmaat.tasks import listops
from rmaat.tasks.data_folder import load
from rmaat.tasks.retrieval import read_tsv as read_pairs
from rmaat.tasks.writer import prepare
from rmaat.training import checkpoint
from rmaat.training.evaluation import evaluate
from rmaat.training.processes import Processes
from rmaat.training.run import train
from tests.fuzz import damage


class WrongError(Exception):
    """An input was accepted, and what came of it is wrong."""


def require(sound: Any, what: str) -> None:
    if not sound:
        raise WrongError(what)


@cache
def valid(place: Path) -> Path:
    """One of everything, made once: dataset, laws, data folder, run with checkpoints, results, TSV files."""
    at = place / "valid"
    ltp = astro_sim.simulate("ltp", cycles=8, interval=1.0)
    astro_sim.write(ltp, at / "ltp.nc")
    laws = bridge.fit_laws([ltp, astro_sim.simulate("spatial")], draws=5)
    laws.save(at / "laws.json")
    trees = {"train": 16, "valid": 4, "test": 4, "min_length": 4, "max_length": 24}
    prepare("listops", at / "data", trees)
    small = {"width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 8, "memory_tokens": 2}
    steps = {"steps": 4, "batch": 4, "checkpoint_every": 2, "log_every": 1, "validate_every": 2, "device": "cpu"}
    train("listops", at / "data", laws, at / "run", settings={**small, **steps})
    evaluate(at / "run")
    (at / "pairs").mkdir()
    rows = b"".join(b"1.0\t1\t2\tfirst text %d\tsecond text\n0.0\t3\t4\tthird\tfourth %d\n" % (n, n) for n in range(4))
    (at / "pairs" / "new_aan_pairs.train.tsv").write_bytes(rows)
    (at / "a.toml").write_text(
        "# settings\n[model]\nwidth = 64\nheads = 4\nmemory_rule = 'scale'\nreadout = \"mean\"\n\n[training]\n"
        "steps = 40\ncurriculum = [1, 2, 4]\nlearning_rate = 2e-3\nselect = 'last'\n\n[laws]\nperturbed = 'flat'\n\n"
        "[rmt]\nwidth = 32\n"
    )
    return at


def fresh(place: Path, source: Path) -> Path:
    """A copy of a folder to damage."""
    copy = place / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    return copy


def laws_file(random: Random, place: Path) -> None:
    """laws.json, often with a digest that fits the damage, so that what it says is held against itself."""
    source = valid(place) / "laws.json"
    path = place / "laws.json"
    if random.randrange(3):
        raw = damage.of_value(random, json.loads(source.read_bytes()))
        if isinstance(raw, dict):
            with contextlib.suppress(ValueError):
                raw["digest"] = digest({name: value for name, value in raw.items() if name != "digest"})
        path.write_bytes(json.dumps(raw).encode(errors="surrogatepass"))
    else:
        path.write_bytes(damage.of_json(random, source.read_bytes()))
    laws = Laws.load(path)
    for total in (1, 2, 16, 300):
        factors = laws.retention(total)
        require(np.isfinite(factors).all() and (factors >= 0).all(), "factors that are no shares")
        require(abs(factors.sum() - 1) < 1e-6, f"factors that sum to {factors.sum()}")
        require(np.isfinite(laws.online(total)).all(), "online factors that are no numbers")
        require(np.isfinite(laws.log_retention(total)).all(), "logarithms that are no numbers")
        laws.band(total)
    describe.findings(laws), describe.values(laws), describe.doubts(laws, [4, 16]), describe.quality(laws)
    describe.numbers(laws), describe.factors(laws, [4, 16]), describe.candidates(laws)
    laws.save(place / "again.json")
    require(Laws.load(place / "again.json").digest == laws.digest, "other laws when written and read")


def dataset(random: Random, place: Path) -> None:
    """A dataset's bytes, before the seal; a few lose it, since each of these is tried in a process of its own."""
    source = valid(place) / "ltp.nc"
    path, whole = place / "ltp.nc", source.read_bytes()
    kept = b"" if random.randrange(60) == 0 else whole[-LENGTH:]
    path.write_bytes(damage.of_bytes(random, whole[:-LENGTH]) + kept)
    found = astro_sim.read(path)
    require(found.identical(_ltp(place)), "another dataset than was written")


@cache
def _ltp(place: Path) -> Any:
    return astro_sim.read(valid(place) / "ltp.nc")


def attributes(random: Random, place: Path) -> None:
    """Attributes and values that another program changed: the digests of question and contents tell."""
    original = _ltp(place)
    changed = original.copy(deep=True)
    name = random.choice([*changed.attrs])
    changed.attrs[name] = random.choice(damage.ODD)
    if name in ("settings", "versions") and random.randrange(2):
        text = json.loads(original.attrs[name])
        changed.attrs[name] = json.dumps(damage.of_value(random, text))
    path = place / "attributes.nc"
    astro_sim.write(changed, path)
    found = astro_sim.read(path)
    require(content_digest(found) == content_digest(changed), "other contents than were written")
    same = {name: value for name, value in found.attrs.items() if name not in ("title", "versions")}
    require(same == {name: original.attrs[name] for name in same}, f"attribute {name} is {found.attrs[name]!r}")
    bridge.fit_laws(found, "exponential", "levels", 0) if random.randrange(40) == 0 else None


def sweep_points(random: Random, place: Path) -> None:
    """Points of an interrupted sweep: a damaged file counts as not there, and the sweep comes out the same."""
    folder = place / "points"
    grid = {"tau_p_l": [30.0, 60.0]}
    expected = _swept()
    if not folder.is_dir():
        astro_sim.sweep("ltp", grid, folder=folder, cycles=1, interval=1.0)
    for path in folder.iterdir():
        if random.randrange(2):
            content = path.read_bytes()
            path.write_bytes(
                damage.of_bytes(random, content) if path.suffix == ".h5" else damage.of_json(random, content)
            )
    try:
        found = astro_sim.sweep("ltp", grid, folder=folder, cycles=1, interval=1.0)
        require(content_digest(found) == expected, "another sweep after damage to its points")
    finally:
        shutil.rmtree(folder)


@cache
def _swept() -> str:
    return content_digest(astro_sim.sweep("ltp", {"tau_p_l": [30.0, 60.0]}, cycles=1, interval=1.0))


def settings_file(random: Random, place: Path) -> None:
    """TOML: bytes, or a word in place of a value."""
    lines = (valid(place) / "a.toml").read_text().splitlines()
    if random.randrange(2):
        at = random.randrange(len(lines))
        name = lines[at].partition("=")[0] or "width "
        lines[at] = f"{name}= {random.choice(damage.WORDS)}"
        content = "\n".join(lines).encode(errors="surrogatepass")
    else:
        content = damage.of_bytes(random, "\n".join(lines).encode())
    path = place / "a.toml"
    path.write_bytes(content)
    from rmaat.settings import of_model

    _built(of_model(load_toml(path), "rmaat", str(path)))


def assignments(random: Random, place: Path) -> None:
    """Words of --set, for training and for an experiment."""
    of_laws = (f"laws.{name}" for name in LawSettings.model_fields)
    names = [*RMAATConfig.model_fields, *TrainSettings.model_fields, *of_laws, "x", ""]
    words = [f"{random.choice(names)}={random.choice(damage.WORDS)}" for _ in range(random.choice((1, 1, 2)))]
    if random.randrange(4) == 0:
        words = [damage.of_bytes(random, words[0].encode()).decode(errors="surrogateescape")]
    given = parse_assignments(words)
    if random.randrange(2):
        _built(flatten(given, "--set"))
        return
    variant = find("ltp").get("macro")
    protocol, constants = variant.complete(given)
    require(
        variant.complete({**protocol.model_dump(), **constants.model_dump()}) == (protocol, constants), "other settings"
    )


def _built(given: Any) -> None:
    asked = RunSettings.build(flatten(given, "settings"), 16, 10)
    for found in (asked.model, asked.training, asked.laws):
        require(type(found)(**found.model_dump()) == found, "settings that are others when given again")
        json.dumps(found.model_dump(mode="json"), allow_nan=False)


def config(random: Random, place: Path) -> None:
    """RMAATConfig from odd values; what is accepted and small is built and run."""
    known = RMAATConfig.model_fields
    given: dict[str, Any] = {"vocabulary": 8, "classes": 3, "width": 8, "heads": 2, "depth": 1, "feedforward": 8,
                             "segment_length": 4, "memory_tokens": 2, "max_length": 16}  # fmt: skip
    for _ in range(random.choice((1, 2, 3))):
        name = random.choice([*known])
        words = ("scale", "consolidate", "none", "mean", "last", "memory", "language")
        choices = (*damage.ODD, 1, 2, 3, 4, 0.25, 4.0, *words)
        given[name] = random.choice(choices)
    found = RMAATConfig(**given)
    require(found.replace() == found, "another configuration when replaced by itself")
    sizes = ("vocabulary", "width", "depth", "heads", "feedforward", "segment_length", "memory_tokens", "max_length",
             "states", "classes")  # fmt: skip
    if any((getattr(found, name) or 0) > 100 for name in sizes) or random.randrange(3):
        return
    model = build_model(random.choice(("rmaat", "rmt", "transformer", "retnet")), found, _laws(place)).eval()
    tokens = torch.ones(2, *((2,) if found.head == "match" else ()), 3, dtype=torch.int64)
    with torch.no_grad():
        require(torch.isfinite(model(tokens)).all(), "logits that are no numbers")


@cache
def _laws(place: Path) -> Laws:
    return Laws.load(valid(place) / "laws.json")


def macro(random: Random, place: Path) -> None:
    """Settings of the macro model from odd values; what is accepted and short is simulated."""
    variant = find("ltp").get("macro")
    known = {**variant.settings.model_fields, **variant.parameters.model_fields}
    given: dict[str, Any] = {"cycles": 1, "n": 2, "interval": 1.0, "dt": 0.05}
    for _ in range(random.choice((1, 1, 2))):
        numbers = (0.0, 1e-3, 0.01, 0.3, 1.0, 3.0, 50.0, 1e3)
        given[random.choice([*known])] = random.choice((*damage.ODD, *numbers, *numbers))
    protocol, constants = variant.complete(given)
    sizes = {**protocol.model_dump(), **constants.model_dump()}
    most = {"cycles": 3, "n": 4, "tau_cycle": 1e3}
    if any(sizes[name] > limit for name, limit in most.items()) or sizes["dt"] < 1e-3 or sizes["interval"] < 1e-2:
        return
    found = astro_sim.simulate("ltp", **given)
    require(all(np.isfinite(v).all() for v in found.variables.values() if v.dtype.kind == "f"), "numbers that are none")


def tab_rows(random: Random, place: Path) -> None:
    """ListOps and Retrieval rows: what is accepted has the value that it states."""
    if random.randrange(2):
        source = valid(place) / "data" / "basic_train.tsv"
        path = place / source.name
        path.write_bytes(damage.of_bytes(random, source.read_bytes()))
        for codes, value in listops.read_tsv(path):
            require(listops.evaluate(codes) == value, "a tree with another value")
        return
    source = valid(place) / "pairs" / "new_aan_pairs.train.tsv"
    path = place / source.name
    path.write_bytes(damage.of_bytes(random, source.read_bytes()))
    for (one, other), label in read_pairs(path, 4_000):
        require(one and other and label in (0, 1), "a pair without text")


def data_folder(random: Random, place: Path) -> None:
    """Manifest and arrays of a data folder: what is opened is what was written."""
    source = valid(place) / "data"
    folder = fresh(place, source)
    path = random.choice(sorted(p for p in folder.iterdir() if p.suffix in (".json", ".npy")))
    content = path.read_bytes()
    path.write_bytes(damage.of_json(random, content) if path.suffix == ".json" else damage.of_bytes(random, content))
    found, original = load(folder, "listops"), load(source, "listops")
    require(found.splits.keys() <= original.splits.keys(), "splits that were not written")
    for name, split in found.splits.items():
        for one, other in zip((split.tokens, split.offsets, split.labels), _arrays(original.splits[name]), strict=True):
            require(np.array_equal(one, other), f"other {name} data than were written")


def _arrays(split: Any) -> tuple[Any, ...]:
    return split.tokens, split.offsets, split.labels


def run_folder(random: Random, place: Path) -> None:
    """A run's files: what is read can be reported, and weights that are loaded are those that were written."""
    folder = fresh(place, valid(place) / "run")
    names = "run.json metrics.jsonl summary.json evaluation.json laws.json predictions.npy model.safetensors"
    path = folder / random.choice(names.split())
    content = path.read_bytes()
    if path.suffix == ".jsonl" and random.randrange(2):
        rows = content.splitlines()
        at = random.randrange(len(rows))
        rows[at] = damage.of_json(random, rows[at])
        path.write_bytes(b"\n".join(rows) + b"\n")
    else:
        path.write_bytes(
            damage.of_json(random, content) if path.suffix == ".json" else damage.of_bytes(random, content)
        )
    record = read_run(folder)
    if path.suffix == ".safetensors":
        _require_weights(path, folder, record)
    if random.randrange(10) == 0:
        inputs = collect([folder])
        render(sections(inputs), "x")


def _require_weights(path: Path, folder: Path, record: Any) -> None:
    network = build_model("rmaat", record.run.config, record.laws)
    load_weights(network, path, record.laws.digest)
    for name, value in _weights(folder.parent).items():
        require(torch.equal(network.state_dict()[name], value), f"other weights {name} than were written")


@cache
def _weights(place: Path) -> dict[str, torch.Tensor]:
    return read_tensors(valid(place) / "run" / "model.safetensors")[0]


def checkpoints(random: Random, place: Path) -> None:
    """A checkpoint: what is restored is what was saved."""
    folder = fresh(place, valid(place) / "run")
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    path = random.choice(sorted(newest.iterdir()))
    content = path.read_bytes()
    path.write_bytes(damage.of_json(random, content) if path.suffix == ".json" else damage.of_bytes(random, content))
    record = read_run(folder)
    network = build_model("rmaat", record.run.config, record.laws)
    optimizer = torch.optim.AdamW(network.parameters())
    state = checkpoint.restore(folder, network, optimizer, record.laws.digest, Processes("cpu"))
    require(state.step == int(newest.name.removeprefix("step-")), "another step")
    saved, _ = read_tensors(valid(place) / "run" / "checkpoints" / newest.name / "model.safetensors")
    for name, value in saved.items():
        require(torch.equal(network.state_dict()[name], value), f"other weights {name} than were saved")


def results(random: Random, place: Path) -> None:
    """A folder with a damaged table of results and laws, and a foreign .nc: the report is made, or refuses it."""
    folder = place / "mixed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    table = {
        "what": "a table",
        "rows": [{"task": "listops", "name": "rmaat", "seed": 0, "state": "finished", "accuracy": 0.5}],
    }
    (folder / "table.json").write_bytes(damage.of_json(random, json.dumps(table).encode()))
    (folder / "laws.json").write_bytes(damage.of_json(random, (valid(place) / "laws.json").read_bytes()))
    with h5py.File(folder / "foreign.nc", "w") as file:
        file["x"] = np.arange(3)
    if random.randrange(20):
        (folder / "foreign.nc").write_bytes(b"CDF\x01 of another program")
    inputs = collect([folder])
    if random.randrange(10) == 0:
        render(sections(inputs), "x")


Target = Callable[[Random, Path], None]
TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        laws_file, dataset, attributes, sweep_points, settings_file, assignments, config, macro, tab_rows, data_folder,
        run_folder, checkpoints, results,
    )
}  # fmt: skip


def attempt(name: str, seed: int, place: Path) -> str:
    """One input of a target: "accepted", "refused", or what else came of it."""
    valid(place)
    heard = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(heard), contextlib.redirect_stdout(heard):
            warnings.simplefilter("ignore")
            TARGETS[name](Random(f"{name} {seed}"), place)
    except (InputError, OSError) as error:
        text = str(error)
        if "\n" in text and isinstance(error, InputError):
            return f"a message of several lines: {text[:200]!r}"
        return "refused" if len(text) < 2_500 else f"a message of {len(text)} characters"
    except WrongError as error:
        return f"accepted and wrong: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "accepted"
