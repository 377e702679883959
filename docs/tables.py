"""The tables of README.md, docs/results.md and docs/laws_file.md, from results/*.json and the schema of laws.json.

    python docs/tables.py            write them anew
    python docs/tables.py --check    say which differ, and write nothing

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; NAME is a function of this file.
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import analysis
from analysis import paper
from bridge.schema import json_schema

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "results"
PAGES = (DOCS.parent / "README.md", DOCS / "results.md", DOCS / "laws_file.md")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def rows(name: str) -> list[dict[str, Any]]:
    """Rows of a results file."""
    return json.loads((RESULTS / f"{name}.json").read_text())["rows"]


def markdown(head: Sequence[str], body: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:{form}}"


def mean_and_range(values: Sequence[float]) -> str:
    """Mean, and the least and largest where they differ."""
    low, high = min(values), max(values)
    middle = f"{sum(values) / len(values):.2f}"
    return middle if f"{low:.2f}" == f"{high:.2f}" else f"{middle} ({low:.2f} to {high:.2f})"


MODELS = {"transformer": "Transformer", "at": "AT", "rmt": "RMT", "rlt": "RLT", "rmaat": "RMAAT"}
# What the data of a task are, and how much of it there is to learn from a glance; of the README.
DATA = {
    "listops": "generated, official sizes; a table of the first symbol has {first_symbol}",
    "text": "IMDB, half of the official test split",
    "retrieval": "a stand-in, pairs of halves of IMDB reviews, where shared words alone tell {shared_words} %",
    "image": "CIFAR-10 from JPEG files",
    "pathfinder": "generated, 32 x 32: not learned",
}


def finished() -> list[dict[str, Any]]:
    """Finished rows of the Long Range Arena table, by task, model and seed."""
    order = [*paper.TASKS], [*MODELS]
    done = [row for row in rows("lra") if row["state"] == "finished"]
    return sorted(done, key=lambda row: (order[0].index(row["task"]), order[1].index(row["name"]), row["seed"]))


def shared_words() -> str:
    """What the words that two documents share tell of the stand-in for Retrieval, in per cent."""
    return f"{100 * max(row['accuracy'] for row in rows('retrieval-words')):.0f}"


def shallow() -> str:
    """What little knowledge of a tree, and of a pair of documents, tells."""
    body = [
        (task, row["known"], f"{100 * row['accuracy']:.1f}")
        for task, name in (("ListOps", "listops-tables"), ("Retrieval, the stand-in", "retrieval-words"))
        for row in rows(name)
    ]
    return markdown(("task", "known", "accuracy, %"), body)


def lra_overview() -> str:
    """A line a task, a column a model: ours (the mean over seeds, and the range), the paper's in brackets."""
    body = []
    for task, name in paper.TASKS.items():
        found = [row for row in finished() if row["task"] == task]
        one = next(row for row in found if row["name"] == "rmaat")
        cells = []
        for model in MODELS:
            ours = [100 * row["accuracy"] for row in found if row["name"] == model]
            theirs = paper.accuracy(task, model)
            told = f"{sum(ours) / len(ours):.1f}" if ours else "-"
            told += f", {min(ours):.1f} to {max(ours):.1f}" if len(ours) > 1 else ""
            cells.append(told if theirs is None else f"{told} ({theirs:.1f})")
        words = DATA[task].format(first_symbol=f"{100 * (one['first_symbol'] or 0):.1f}", shared_words=shared_words())
        body.append((name.split()[0], *cells, f"{100 * one['majority']:.1f}", f"{words}; {one['steps']:,} steps"))
    return markdown(("task", *MODELS.values(), "most frequent answer", "data, training"), body)


def lra() -> str:
    """Every finished row of the Long Range Arena table."""
    body = []
    for row in finished():
        theirs = paper.accuracy(row["task"], row["model"])
        body.append(
            (
                paper.TASKS[row["task"]],
                row["name"],
                row["seed"],
                f"{100 * row['accuracy']:.1f}",
                f"{100 * row['majority']:.1f}",
                "-" if row.get("first_symbol") is None else f"{100 * row['first_symbol']:.1f}",
                number(theirs, ".1f"),
                f"no: {paper.why_not(row)}",
            )
        )
    head = ("task", "model", "seed", "accuracy, %", "most frequent answer, %", "first symbol's table, %", "paper, %")
    return markdown((*head, "comparable?"), body)


def lra_runs() -> str:
    """What each of those rows cost."""
    body = [
        (
            paper.TASKS[row["task"]],
            row["name"],
            row["seed"],
            f"{row['parameters']:,}",
            row["settings"]["memory_rule"] if row["settings"]["memory_rule"] else "-",
            f"{row['tokens'] / 1e6:.1f}",
            f"{row['memory_mb']:,.0f}",
            row["data"]["content"],
        )
        for row in finished()
    ]
    head = ("task", "model", "seed", "parameters", "rule", "million tokens", "peak resident MB", "data")
    return markdown(head, body)


def paper_lra() -> str:
    """The paper's own table."""
    body = [
        (name, *(f"{value:.1f}" for value in row[:6]), "-" if row.memory is None else "{} to {}".format(*row.memory))
        for name, row in paper.LRA.items()
    ]
    return markdown(("model", *paper.TASKS.values(), "average", "peak GB"), body)


def paper_ablations() -> str:
    """The paper's ablations."""
    body = [
        (each.change, paper.TASKS[each.task], f"{each.quantity} ({each.unit})", each.before, each.after)
        for each in paper.ABLATIONS
    ]
    return markdown(("change", "task", "quantity", "before", "after"), body)


def ablations() -> str:
    """Our ablations, where there are some: accuracy, and the difference from the whole model with its interval."""
    path = RESULTS / "ablations.json"
    done = [row for row in rows("ablations") if row["state"] == "finished"] if path.is_file() else []
    if not done:
        return "Not run yet.\n"
    tasks = [task for task in paper.TASKS if any(row["task"] == task for row in done)]
    told: dict[tuple[str, str], str] = {}
    for task in tasks:
        if len({row["name"] for row in done if row["task"] == task and not row.get("same_as")}) > 1:
            for each in analysis.compare([path], baseline="rmaat", task=task).differences:
                low, high = (
                    each.estimate.value if end is None else end for end in (each.estimate.low, each.estimate.high)
                )
                told[task, each.arm] = f"{100 * each.estimate.value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    body = []
    for name in dict.fromkeys(row["name"] for row in done):
        cells = [name]
        for task in tasks:
            found = [row for row in done if (row["task"], row["name"]) == (task, name)]
            same = next((row["same_as"] for row in found if row.get("same_as")), None)
            cells += [
                f"{100 * sum(row['accuracy'] for row in found) / len(found):.1f}" if found else "-",
                "the same run" if same else told.get((task, name), "-"),
                f"{max(row['memory_mb'] for row in found):,.0f}" if found else "-",
            ]
        body.append(cells)
    head = [column for task in tasks for column in (f"{paper.TASKS[task]}, %", "less RMAAT's, points", "peak MB")]
    return markdown(("what", *head), body)


def recall() -> str:
    """Accuracy over seeds by rule, kind of training and T."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in rows("recall"):
        found.setdefault((row["training"], row["rule"]), {}).setdefault(row["T"], []).append(row["accuracy"])
    totals = (2, 4, 8, 16)
    body = [
        (training, rule, *(mean_and_range(by[total]) if total in by else "-" for total in totals))
        for training in ("from scratch", "curriculum", "anywhere", "no memory")
        for (kind, rule), by in found.items()
        if kind == training
    ]
    return markdown(("training", "rule", *(f"T = {total}" for total in totals)), body)


def recall_longer() -> str:
    """Models trained at T = 8 by a curriculum, asked at longer lengths without training."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows("recall"):
        if row["training"] == "curriculum" and row["T"] == 8:
            found.setdefault(row["rule"], []).append(row)
    body = [
        (rule, *(mean_and_range([row[key] for row in group]) for key in ("accuracy", "at 2 T", "at 4 T")))
        for rule, group in found.items()
    ]
    return markdown(("rule", "T = 8", "T = 16", "T = 32"), body)


def memory_rules() -> str:
    """ListOps as in the demo, by rule."""
    found: dict[str, list[float]] = {}
    for row in rows("memory-rules"):
        found.setdefault(row["rule"], []).append(row["accuracy"])
    one = rows("memory-rules")[0]
    body: list[tuple[str, ...]] = [
        (f"`{rule}`", str(len(values)), f"{min(values):.3f} to {max(values):.3f}") for rule, values in found.items()
    ]
    body.append(("a table that knows the first symbol", "-", f"{one['first symbol']:.3f}"))
    body.append(("the most frequent answer", "-", f"{one['majority']:.3f}"))
    return markdown(("rule", "seeds", "accuracy"), body)


def enwik8() -> str:
    """Bits a byte."""
    body = [
        (row["what"], f"{row['parameters']:,}", f"{row['bits a byte']:.3f}", number(row["minutes"], ".1f"))
        for row in rows("enwik8")
    ]
    return markdown(("model", "parameters", "bits a byte", "minutes"), body)


def models() -> str:
    """A training step of each of our models."""
    body = [
        (
            row["model"],
            row["backward"],
            f"{row['parameters']:,}",
            f"{row['cpu_s']:.2f}",
            number(row["times faster than full attention"], ".2f"),
            number(row["times faster than rmt, same backward"], ".2f"),
            f"{row['extra_mb']:.0f}",
        )
        for row in rows("model")
        if " " not in row["model"] and "." not in row["model"]
    ]
    head = ("model", "backward", "parameters", "CPU s", "over full attention", "over RMT, same backward", "extra MB")
    return markdown(head, body)


def peers() -> str:
    """The same step by other packages."""
    body = [
        (row["model"], row["backward"], f"{row['parameters']:,}", f"{row['cpu_s']:.2f}", f"{row['extra_mb']:.0f}")
        for row in rows("model")
        if " " in row["model"] or "." in row["model"]
    ]
    return markdown(("package", "backward", "parameters", "CPU s", "extra MB"), body)


def throughput() -> str:
    """Real tokens a second while training."""
    body = [(row["model"], row["setting"], f"{row['tokens/s']:,}") for row in rows("throughput")]
    return markdown(("model", "setting", "tokens a second"), body)


def amrb() -> str:
    """Peak extra memory and time of AMRB against BPTT."""
    body = [
        (
            row["segments"],
            number(row["bptt_mb"], ".1f"),
            number(row["amrb_mb"], ".1f"),
            number(row["bptt/amrb"], ".1f"),
            number(row["amrb/bptt"], ".2f"),
        )
        for row in rows("amrb-memory")
    ]
    return markdown(("segments", "BPTT, MB", "AMRB, MB", "memory, BPTT/AMRB", "CPU time, AMRB/BPTT"), body)


def length() -> str:
    """Time and memory against length."""
    body = [
        (row["what"], f"{row['cpu_us_per_token']:.1f}", f"{row['extra_mb']:.1f}", number(row["over 4,096"], ".3f"))
        for row in rows("length")
    ]
    return markdown(("what", "CPU us a token", "extra MB", "time over 4,096 tokens"), body)


def schema() -> str:
    """Every field of laws.json, from its JSON schema; a heading an object."""
    whole = json_schema()
    parts = [("the file", whole), *((name, whole["$defs"][name]) for name in sorted(whole["$defs"]))]
    text = ""
    for name, part in parts:
        meaning = part.get("description", "")
        text += f"### {name}\n\n{meaning}\n\n"
        body = [
            (f"`{field}`", _kind(about), _bounds(about), about.get("description", ""))
            for field, about in part["properties"].items()
        ]
        text += markdown(("field", "holds", "bounds", "meaning"), body) + "\n"
    return text.rstrip("\n") + "\n"


def _kind(about: dict[str, Any]) -> str:
    if "$ref" in about:
        return f"[{about['$ref'].rsplit('/', 1)[1]}](#{about['$ref'].rsplit('/', 1)[1].lower()})"
    if "anyOf" in about:
        return " or ".join(_kind(each) for each in about["anyOf"])
    if "const" in about:
        return f"`{json.dumps(about['const'])}`"
    if "enum" in about:
        return " or ".join(f"`{json.dumps(each)}`" for each in about["enum"])
    if about.get("type") == "array":
        return f"list of {_kind(about['items'])}"
    if about.get("type") == "object":
        inner = about.get("additionalProperties")
        return f"name to {_kind(inner)}" if isinstance(inner, dict) else "object"
    return str(about.get("type", "anything"))


def _bounds(about: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "minItems": "entries from"}
    found = [f"{word} {about[key]:g}" for key, word in words.items() if key in about]
    return ", ".join([*found, *(["64 hexadecimal digits"] if "pattern" in about else [])])


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (lra_overview, lra, lra_runs, shallow, paper_lra, paper_ablations, ablations, recall, recall_longer,
                 memory_rules, enwik8, models, peers, throughput, amrb, length, schema)
}  # fmt: skip


def renewed(text: str) -> str:
    """A page with its tables as they should be."""
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", text)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    differ = 0
    for path in asked.pages:
        text = path.read_text()
        if (new := renewed(text)) != text:
            differ += 1
            if asked.check:
                sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), new.splitlines(True), "page", "new"))
            else:
                path.write_text(new)
    return differ if asked.check else 0


if __name__ == "__main__":
    sys.exit(main())
