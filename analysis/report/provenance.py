"""Where everything comes from: settings, seeds, digests, versions, and the commands that make it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.collect import Dataset, Inputs, LawsFile
from analysis.report.parts import Code, Heading, Part, Table, Text, count, is_number
from astro_sim.common.files import versions
from astro_sim.dataset import grid_of, settings_of
from rmaat.records import RunRecord


def provenance(inputs: Inputs, paths: Sequence[str], out: str) -> list[Part]:
    """Provenance of every input, and of this page."""
    parts: list[Part] = []
    if simulated := [*inputs.datasets, *inputs.sweeps]:
        columns = ["path", "experiment", "model", "seed", "digest", "versions"]
        rows = list(map(_dataset, simulated))
        text = ["experiment", "model", "digest", "versions"]
        parts += [Heading("Datasets"), Table("Seeds, digests and versions of the datasets", columns, rows, text)]
        parts += [Code(f"{one.path}: every setting, as the command that makes it", simulate(one)) for one in simulated]
    if inputs.laws:
        columns = ["path", "digest", "fitted to (seed, digest, contents)", "versions"]
        rows = list(map(_laws, inputs.laws))
        parts += [Heading("Laws"), Table("Laws files and what they rest on", columns, rows, columns[1:])]
        parts += [Code(f"{one.path}: the command that makes it", fit(one, inputs)) for one in inputs.laws]
    for label, run in inputs.named_runs:
        table = Table("What was trained, on what, where", ["setting", "value"], _run(run), ["value"])
        code = Code(f"{label}: the commands that make it", train(run, inputs))
        parts += [Heading(f"Run {label}"), table, code]
    used = _pairs(versions("rmaat", "numpy", "xarray", "plotly", "jinja2"))
    told = "Drawn from the files above and nothing else; no clock is read, so the same files give the same page. "
    parts += [Heading("This page"), Text(f"{told}Versions: {used}")]
    if passed := ", ".join(map(str, inputs.passed_over)):
        parts.append(Text(f"Passed over, since other programs wrote them: {passed}.", note=True))
    return [*parts, Code("The command that makes this page", _join(["rmaat", "report", *paths, "--out", out]))]


def simulate(dataset: Dataset) -> str:
    """The command line that makes a dataset, every setting spelled out."""
    attributes = dataset.data.attrs
    # Of the reader's own, the file must be the one whose SHA-256 stands in the dataset (own_source).
    name = f"{dataset.experiment}.py" if "own_source" in attributes else dataset.experiment
    words = ["rmaat", "simulate", name, "--out", str(dataset.path)]
    words += ["--model", dataset.model, "--seed", str(int(attributes["seed"]))]
    for dim, values in grid_of(dataset.data).items():
        # Numbers with commas, anything else as a TOML list.
        written = ",".join(map(repr, values)) if all(map(is_number, values)) else json.dumps(list(values))
        words += ["--sweep", f"{dim.removeprefix('swept_')}={written}"]
    return _join([*words, *_sets(settings_of(dataset.data))])


def fit(file: LawsFile, inputs: Inputs) -> str:
    """The command line that makes a laws file; datasets by path where they were given, else by experiment."""
    names = [
        next((str(dataset.path) for dataset in inputs.datasets if dataset.is_source(source)), f"{source.experiment}.nc")
        for source in file.laws.document.sources
    ]
    perturbation = file.laws.document.perturbation
    if perturbation is None:
        return _join(["rmaat", "fit", *names, "--out", str(file.path)])
    changes = {"factor": perturbation.factor, "seed": perturbation.seed}
    told = "".join(f", {name}={value}" for name, value in changes.items() if value is not None)
    code = f"import bridge; bridge.Laws.load('fitted.json').perturbed('{perturbation.kind}'{told})"
    code += f".save({str(file.path)!r})"
    return f"{_join(['rmaat', 'fit', *names, '--out', 'fitted.json'])}\n{_join(['python', '-c', code])}"


def train(run: RunRecord, inputs: Inputs) -> str:
    """The command lines that make a run, every setting spelled out as it was built."""
    asked = run.run
    settings = {name: value for name, value in asked.built.items() if not name.startswith("laws.")}
    laws, changes = _laws_of(run, inputs)
    words = ["rmaat", "train", asked.task, *(["--laws", str(laws)] if laws is not None else [])]
    words += ["--data", asked.data.path, "--out", str(run.path), "--model", asked.model]
    words += ["--init-from", asked.init_from.path] if asked.init_from is not None else []
    settings |= {f"laws.{name}": value for name, value in changes.items()}
    return f"{_join([*words, *_sets(settings)])}\n{_join(['rmaat', 'evaluate', str(run.path)])}"


def _laws_of(run: RunRecord, inputs: Inputs) -> tuple[Path | None, dict[str, Any]]:
    """The laws to train with again, and the settings of the laws that go with them."""
    changes = run.run.laws.model_dump(mode="json")
    if run.laws is None:
        return None, changes
    given = {file.laws.digest: file.path for file in inputs.laws}
    perturbation = run.laws.document.perturbation
    if changes["perturbed"] and perturbation is not None:
        if perturbation.of in given:
            return given[perturbation.of], changes
        # The run keeps its laws as they were perturbed; they cannot be perturbed again.
        changes = {"trainable": changes["trainable"]}
    return given.get(run.laws.digest, run.path / "laws.json"), changes


def _dataset(dataset: Dataset) -> list[str]:
    attributes = dataset.data.attrs
    source = attributes.get("own_source")
    own = "" if source is None else f" (a file of one's own, SHA-256 {source[:12]}…)"
    digests = f"{dataset.digest}, of its contents {dataset.contents[:12]}…"  # in one cell, which wraps
    names = [str(dataset.path), dataset.experiment + own, dataset.model, str(int(attributes["seed"]))]
    return [*names, digests, _pairs(json.loads(attributes["versions"]))]


def _laws(file: LawsFile) -> list[str]:
    document = file.laws.document
    rests = "; ".join(
        f"{source.experiment} ({source.seed}, {source.digest[:12]}…, "
        f"{'not kept' if source.contents is None else f'{source.contents[:12]}…'})"
        for source in document.sources
    )
    return [str(file.path), file.laws.digest, rests, _pairs(document.versions)]


def _run(run: RunRecord) -> list[list[str]]:
    asked = run.run
    rows = {"folder": str(run.path), "task": asked.task, "model": asked.model}
    rows |= {name: count(getattr(asked, name)) for name in ("parameters", "position_parameters", "laws_digest")}
    rows["without_effect"] = ", ".join(asked.without_effect) or "none"
    data = asked.data.model_dump()
    rows |= {f"{split} examples": count(data[split]) for split in ("train", "valid", "test") if split in data}
    if asked.init_from is not None:
        rows |= {f"init_from.{name}": _shown(value) for name, value in asked.init_from.model_dump().items()}
    rows |= {f"data.{name}": data[name] for name in ("path", "digest", "content", "own_source") if name in data}
    for prefix, group in (("", asked.settings), ("", asked.config), ("laws.", asked.laws)):
        rows |= {f"{prefix}{name}": _shown(value) for name, value in group.model_dump(mode="json").items()}
    rows |= {"versions": _pairs(asked.versions), "machine": _pairs(asked.machine)}
    return [[name, value] for name, value in rows.items()]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _sets(settings: Mapping[str, Any]) -> list[str]:
    """``--set NAME=VALUE`` for every setting; JSON's values are TOML's, but TOML has no null."""
    words = []
    for name, value in settings.items():
        # A bare word is read as a string, unless it is one of TOML's own.
        bare = isinstance(value, str) and value.isidentifier() and value not in ("true", "false", "inf", "nan")
        if value is not None:
            words += ["--set", f"{name}={value if bare else json.dumps(value)}"]
    return words


def _join(words: Sequence[str]) -> str:
    """Quoted for a shell, one setting a line."""
    lines = [""]
    for word in words:
        if word == "--set":
            lines.append("    ")
        lines[-1] += shlex.quote(word) + " "
    return "\\\n".join(lines).rstrip()
