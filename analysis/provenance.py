"""Where everything comes from: settings, seeds, digests, versions, and the commands that make it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.collect import Dataset, Inputs, LawsFile
from analysis.parts import Code, Heading, Section, Table, Text, count, is_number
from analysis.runs import examples_of, labels
from astro_sim.common.files import versions
from astro_sim.dataset import grid_of, settings_of
from rmaat.records import RunRecord

# Filled in from the task or from the settings of the laws, not set by anyone.
DERIVED = ("vocabulary", "classes", "head", "trainable_laws")


def provenance(inputs: Inputs, paths: Sequence[str], out: str) -> Section:
    """Provenance of every input, and of this page."""
    section = Section("provenance", "Provenance")
    if simulated := [*inputs.datasets, *inputs.sweeps]:
        section.add(Heading("Datasets"))
        section.add(
            Table(
                "Seeds, digests and versions of the datasets",
                ["path", "experiment", "model", "seed", "digest", "versions"],
                [_dataset(each) for each in simulated],
                ["experiment", "model", "digest", "versions"],
            )
        )
        section.add(
            *(Code(f"{each.path}: every setting, as the command that makes it", simulate(each)) for each in simulated)
        )
    if inputs.laws:
        section.add(Heading("Laws"))
        section.add(
            Table(
                "Laws files and what they rest on",
                ["path", "digest", "fitted to (seed, digest, contents)", "versions"],
                [_laws(each) for each in inputs.laws],
                ["digest", "fitted to (seed, digest, contents)", "versions"],
            )
        )
        section.add(*(Code(f"{each.path}: the command that makes it", fit(each, inputs)) for each in inputs.laws))
    for label, run in zip(labels(inputs.runs), inputs.runs, strict=True):
        section.add(Heading(f"Run {label}"))
        section.add(
            Table("What was trained, on what, where", ["setting", "value"], _run(run), ["value"]),
            Code(f"{label}: the commands that make it", train(run, inputs)),
        )
    passed = ", ".join(map(str, inputs.passed_over))
    section.add(
        Heading("This page"),
        Text(
            "Drawn from the files above and nothing else; no clock is read, so the same files give the same "
            "page. Versions: " + _pairs(versions("rmaat", "numpy", "xarray", "plotly", "jinja2"))
        ),
        *([Text(f"Passed over, since other programs wrote them: {passed}.", note=True)] if passed else []),
        Code("The command that makes this page", _join(["rmaat", "report", *paths, "--out", out])),
    )
    return section


def simulate(each: Dataset) -> str:
    """The command line that makes a dataset, every setting spelled out."""
    attributes = each.data.attrs
    # Of the reader's own, the file must be the one whose SHA-256 stands in the dataset (own_source).
    name = f"{each.experiment}.py" if "own_source" in attributes else each.experiment
    words = ["rmaat", "simulate", name, "--out", str(each.path)]
    words += ["--model", str(attributes["model"]), "--seed", str(int(attributes["seed"]))]
    for dim, values in grid_of(each.data).items():
        words += ["--sweep", f"{dim.removeprefix('swept_')}={_swept(values)}"]
    return _join([*words, *_sets(settings_of(each.data))])


def fit(each: LawsFile, inputs: Inputs) -> str:
    """The command line that makes a laws file; datasets by path where they were given, else by experiment."""
    names = [
        next((str(dataset.path) for dataset in inputs.datasets if dataset.is_source(source)), f"{source.experiment}.nc")
        for source in each.laws.document.sources
    ]
    perturbation = each.laws.document.perturbation
    if perturbation is None:
        return _join(["rmaat", "fit", *names, "--out", str(each.path)])
    changes = {"factor": perturbation.factor, "seed": perturbation.seed}
    told = "".join(f", {name}={value}" for name, value in changes.items() if value is not None)
    code = f"import bridge; bridge.Laws.load('fitted.json').perturbed('{perturbation.kind}'{told})"
    code += f".save({str(each.path)!r})"
    return _join(["rmaat", "fit", *names, "--out", "fitted.json"]) + "\n" + _join(["python", "-c", code])


def train(run: RunRecord, inputs: Inputs) -> str:
    """The command lines that make a run: as recorded, or put together from its settings."""
    recorded = run.run.get("command")
    if isinstance(recorded, str) and recorded:
        command = recorded
    else:
        settings = {**(run.run.get("model_config") or {}), **(run.run.get("settings") or {})}
        settings = {name: value for name, value in settings.items() if name not in DERIVED}
        words = ["rmaat", "train", str(run.run.get("task", "TASK"))]
        laws, changes = _laws_of(run, inputs)
        words += ["--laws", str(laws)] if laws is not None else []
        settings |= {f"laws.{name}": value for name, value in changes.items()}
        data = run.run.get("data") or {}
        words += ["--data", str(data["path"])] if "path" in data else []
        words += ["--out", str(run.path), "--model", str(run.run.get("model", "rmaat"))]
        words += ["--init-from", str(start["path"])] if (start := run.run.get("init_from")) else []
        command = _join([*words, *_sets(settings)])
    return command + "\n" + _join(["rmaat", "evaluate", str(run.path)])


def _laws_of(run: RunRecord, inputs: Inputs) -> tuple[Path | None, dict[str, Any]]:
    """The laws to train with again, and the settings of the laws that go with them."""
    changes = dict(run.run.get("laws") or {})
    if run.laws is None:
        return None, changes
    given = {each.laws.digest: each.path for each in inputs.laws}
    perturbation = run.laws.document.perturbation
    if changes.get("perturbed") and perturbation is not None:
        if perturbation.of in given:
            return given[perturbation.of], changes
        # The run keeps its laws as they were perturbed; they cannot be perturbed again.
        changes = {name: changes[name] for name in ("trainable",) if name in changes}
    return given.get(run.laws.digest, run.path / "laws.json"), changes


def _dataset(each: Dataset) -> list[str]:
    a = each.data.attrs
    made = _pairs(json.loads(a["versions"]))
    source = f" (a file of one's own, SHA-256 {a['own_source'][:12]}…)" if "own_source" in a else ""
    digests = f"{each.digest}, of its contents {each.contents[:12]}…"  # in one cell, which wraps
    return [str(each.path), each.experiment + source, str(a["model"]), str(int(a["seed"])), digests, made]


def _laws(each: LawsFile) -> list[str]:
    document = each.laws.document
    rests = "; ".join(
        f"{source.experiment} ({source.seed}, {source.digest[:12]}…, "
        f"{'not kept' if source.contents is None else f'{source.contents[:12]}…'})"
        for source in document.sources
    )
    return [str(each.path), each.laws.digest, rests, _pairs(document.versions)]


def _run(run: RunRecord) -> list[list[str]]:
    record = run.run
    rows = [["folder", str(run.path)]]
    for name in ("task", "model", "parameters", "position_parameters", "laws_digest"):
        if record.get(name) is not None:
            rows.append([name, count(record[name])])
    if isinstance(idle := record.get("without_effect"), list):
        rows.append(["without_effect", ", ".join(map(str, idle)) or "none"])
    for split in ("train", "valid", "test"):
        if (examples := examples_of(run, split)) is not None:
            rows.append([f"{split} examples", count(examples)])
    start = record.get("init_from") or {}
    rows += [[f"init_from.{name}", _shown(value)] for name, value in start.items()]
    data = record.get("data") or {}
    rows += [[f"data.{name}", str(data[name])] for name in ("path", "digest", "content", "own_source") if name in data]
    for group in ("settings", "model_config"):
        rows += [[name, _shown(value)] for name, value in (record.get(group) or {}).items()]
    rows += [[f"laws.{name}", _shown(value)] for name, value in (record.get("laws") or {}).items()]
    rows += [[group, _pairs(record[group])] for group in ("versions", "machine") if record.get(group)]
    return rows


def _pairs(values: Any) -> str:
    return (
        ", ".join(f"{name} {value}" for name, value in values.items()) if isinstance(values, Mapping) else str(values)
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _sets(settings: Mapping[str, Any]) -> list[str]:
    """``--set NAME=VALUE`` for every setting; JSON's values are TOML's, but TOML has no null."""
    words = []
    for name, value in settings.items():
        if value is not None:
            words += ["--set", f"{name}={_toml(value)}"]
    return words


def _swept(values: Sequence[Any]) -> str:
    """Values of a sweep as ``--sweep`` takes them: numbers with commas, anything else as a TOML list."""
    return ",".join(map(repr, values)) if all(map(is_number, values)) else json.dumps(list(values))


def _toml(value: Any) -> str:
    # A bare word is read as a string, unless it is one of TOML's own.
    bare = isinstance(value, str) and value.isidentifier() and value not in ("true", "false", "inf", "nan")
    return value if bare else json.dumps(value)


def _join(words: Sequence[str]) -> str:
    """Quoted for a shell, one setting a line."""
    lines = [""]
    for word in words:
        if word == "--set":
            lines.append("    ")
        lines[-1] += shlex.quote(word) + " "
    return "\\\n".join(lines).rstrip()
