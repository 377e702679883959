"""What pages take from results/*.json, from the evidence of the bridge and from the schema of laws.json.

    python docs/tables.py            write them anew
    python docs/tables.py --check    say which differ, and write nothing

A table or a text stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; NAME is a function of this file.
"""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import analysis
from analysis import paper
from bridge import evidence
from bridge.schema import json_schema

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "results"
PAGES = (
    DOCS.parent / "README.md",
    *(DOCS / name for name in ("results.md", "laws_file.md", "bridge.md", "experiments/ltp.md")),
)
LEAST_SIZE = 0.01  # per cent; what moves the law by less is left out of the table of sensitivities
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


def percent(share: float | None) -> str:
    """A share in per cent."""
    return "-" if share is None else f"{100 * share:.1f}"


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def the_row(name: str, **wanted: Any) -> dict[str, Any]:
    """The one row of a results file that has these values."""
    (row,) = (row for row in rows(name) if all(row[key] == value for key, value in wanted.items()))
    return row


MODELS = {"transformer": "Transformer", "at": "AT", "rmt": "RMT", "rlt": "RLT", "rmaat": "RMAAT"}
# What the data of a task are.
DATA = {
    "listops": "generated with the official sizes",
    "text": "IMDB, half of the official test split",
    "retrieval": "pairs of halves of IMDB reviews stand in for the AAN papers",
    "image": "CIFAR-10 from JPEG files",
    "pathfinder": "generated, 32 x 32",
}


def finished() -> list[dict[str, Any]]:
    """Finished rows of the Long Range Arena table, by task, model and seed."""
    order = [*paper.TASKS], [*MODELS]
    done = [row for row in rows("lra") if row["state"] == "finished"]
    return sorted(done, key=lambda row: (order[0].index(row["task"]), order[1].index(row["name"]), row["seed"]))


def accuracies(task: str, model: str) -> list[float]:
    """Accuracies of a model's seeds."""
    return [row["accuracy"] for row in finished() if (row["task"], row["name"]) == (task, model)]


def recalled(rule: str, training: str = "from scratch", total: int = 16) -> list[float]:
    """Accuracies of recall, a seed each."""
    wanted = (training, rule, total)
    return [row["accuracy"] for row in rows("recall") if (row["training"], row["rule"], row["T"]) == wanted]


def findings() -> str:
    """What the README says, with its numbers."""
    segments, step = the_row("amrb-memory", segments=16), the_row("model", model="rmaat", backward="amrb")
    known = {rule: percent(mean(recalled(rule))) for rule in ("consolidate", "scale")}
    anywhere = {rule: percent(mean(recalled(rule, "anywhere"))) for rule in ("consolidate", "none")}
    listops = {name: percent(mean(accuracies("listops", name))) for name in ("rmaat", "transformer")}
    changed = {row["name"]: row for row in rows("ablations") if (row["task"], row["state"]) == ("listops", "finished")}
    law = {name: percent(changed[name]["accuracy"]) for name in ("rmaat", "flat law", "reversed law")}
    points = (
        "**Replay saves memory and changes nothing else.** AMRB gives the gradients of back-propagation through time "
        f"to the bit, with {segments['bptt/amrb']:.1f} times less memory at 16 segments and "
        f"{segments['amrb/bptt']:.2f} times the computing time. On 4,096 bytes, a training step of RMAAT is "
        f"{step['times faster than full attention']:.1f} times as fast as one of full attention.",
        "**A memory that follows the law learns to remember from scratch.** Asked for a value from 15 segments back, "
        f"it answers rightly in {known['consolidate']} % of cases with the rule `consolidate`. With the paper's rule "
        f"`scale` it stays at chance, {known['scale']} %. After a curriculum with the value in any segment, a memory "
        f"without any rule is better still: {anywhere['none']} % where `consolidate` has {anywhere['consolidate']} %.",
        "**That the biology helps on benchmarks is not shown.** On ListOps, RMAAT reaches "
        f"{listops['rmaat']} % and a Transformer {listops['transformer']} %, three seeds each: no difference is shown. "
        f"After shorter training, a flat law does as well as the simulated one ({law['flat law']} % and {law['rmaat']} "
        f"%), and only a law reversed in time is shown to cost accuracy ({law['reversed law']} %).",
    )
    text = ""
    for place, point in enumerate(points, 1):
        point = point.replace(" %", "\N{NO-BREAK SPACE}%")  # a line does not break there
        line = fill(f"{place}. {point}", 120, subsequent_indent="   ", break_on_hyphens=False, break_long_words=False)
        text += line + "\n"
    return text


def measured() -> str:
    """Speed, memory and accuracy in single numbers, with the commands that measure them."""
    demo = json.loads((RESULTS / "demo.json").read_text())
    eager, compiled = (the_row("model", model="rmaat", backward=back) for back in ("amrb", "amrb, compiled"))
    full, rmt = "times faster than full attention", "times faster than rmt, same backward"
    segments = the_row("amrb-memory", segments=16)
    solvers = {row["solver"]: row for row in rows("simulate")}
    nest, by_scipy, by_numpy = (
        next(row for name, row in solvers.items() if name.startswith(peer)) for peer in ("NEST", "scipy", "NumPy")
    )
    overhead = solvers["astro_sim.simulate"]["seconds"] / solvers["Brian2 script by hand"]["seconds"] - 1
    fits = {row["what"]: row["seconds"] for row in rows("fit-speed")}
    both = fits["the same, noise in samples or dynamics"]
    bits = {row["what"]: row["bits a byte"] for row in rows("enwik8")}
    speed = {(row["model"], row["setting"]): row["tokens/s"] for row in rows("throughput")}
    chosen = {
        (cycles, noise): mean([row[row["truth"]] for row in evidence.selection("levels", cycles, noise)])
        for cycles, noise in ((12, 0.01), (24, 0.01), (24, 0.002))
    }
    body = [
        ("The demo, without its installation", f"{demo['seconds']['in all']:.0f} s", "demo"),
        ("Accuracy of the demo's model on 1,000 ListOps trees", number(demo["evaluation"]["accuracy"]), "demo"),
        ("Accuracy there of a table that knows the first symbol", number(demo["evaluation"]["first_symbol"]), "demo"),
        ("Accuracy there of the most frequent answer", number(demo["evaluation"]["majority"]), "demo"),
        ("Memory of a step, BPTT over AMRB, 16 segments", f"{segments['bptt/amrb']:.1f} times", "amrb-memory"),
        ("CPU time of a step, AMRB over BPTT, 16 segments", f"{segments['amrb/bptt']:.2f} times", "amrb-memory"),
        (
            "Memory of a step with AMRB, 128 segments over 16",
            f"{the_row('amrb-memory', segments=128)['amrb growth from 16']:.2f} times",
            "amrb-memory",
        ),
        ("Speed of a step, RMAAT with AMRB over full attention", f"{eager[full]:.1f} times", "model"),
        ("the same, with compiled segments", f"{compiled[full]:.1f} times", "model"),
        ("Speed of a step, RMAAT over RMT, both with AMRB", f"{eager[rmt]:.2f} times", "model"),
        ("the same, both compiled", f"{compiled[rmt]:.2f} times", "model"),
        (
            "CPU time a token of a step, 65,536 tokens over 4,096",
            f"{the_row('length', what='training step, 65,536 tokens')['over 4,096']:.2f} times",
            "length",
        ),
        *(
            (f"Recall of a value 15 segments back, from scratch, `{rule}`", f"{mean(recalled(rule)):.2f}", "recall")
            for rule in ("consolidate", "scale", "none")
        ),
        *(
            (f"enwik8, bits a byte, {what}", f"{bits[name]:.2f}", "enwik8")
            for name, what in (("retnet", "RetNet"), ("rmt", "RMT"), ("rlt", "RLT"), ("rmaat", "RMAAT"),
                               ("table of 2 bytes before", "counts of three bytes"))
        ),
        (
            "Training on Text, RMAAT, real tokens a second",
            f"{speed['rmaat', 'all segments kept (the preset)']:,}",
            "throughput",
        ),
        ("Training on Text, RMT, real tokens a second", f"{speed['rmt', 'BPTT']:,}", "throughput"),
        ("1,000 macro models, 100,000 Euler steps each", f"{solvers['astro_sim, Euler']['seconds']:.1f} s", "simulate"),
        ("the same in NumPy, against ours", f"{by_numpy['times ours']:.1f} times as long", "simulate"),
        ("`astro_sim.simulate` over a Brian2 script by hand", f"{100 * overhead:.0f} % more time", "simulate"),
        ("100 Li-Rinzel astrocytes in NEST 3.10, against ours", f"{nest['times ours']:.1f} times as long", "simulate"),
        ("the same in scipy's RK45, against ours", f"{by_scipy['times ours']:.2f} times as long", "simulate"),
        (
            "Compiled macro solver over scipy's `solve_ivp`",
            f"{max(row['times as fast'] for row in rows('macro-solver')):.0f} times as fast",
            "macro-solver",
        ),
        ("Fit of six families, either kind of noise", f"{both:.2f} s", "fit-speed"),
        ("1,000 laws from simulated curves", f"{fits['1,000 laws from simulated curves']:.1f} s", "fit-speed"),
        *(
            (f"Right family, {cycles} cycles, {100 * noise:.1f} % noise", f"{right:.0f} of 100", "family-selection")
            for (cycles, noise), right in chosen.items()
        ),
    ]  # fmt: skip
    commands = {"demo": "`rmaat demo`"}
    table = [(what, value, commands.get(name, f"`rmaat bench {name}`")) for what, value, name in body]
    return markdown(("what", "figure", "command"), table)


def shallow() -> str:
    """What little knowledge of a tree, and of a pair of documents, tells."""
    body = [
        (task, row["known"], percent(row["accuracy"]))
        for task, name in (("ListOps", "listops-tables"), ("Retrieval, the stand-in", "retrieval-words"))
        for row in rows(name)
    ]
    return markdown(("task", "known", "accuracy, %"), body)


def lra_overview() -> str:
    """A line a task: mean accuracy over seeds of the models that were run."""
    body = []
    for task, name in paper.TASKS.items():
        guess = next(row["majority"] for row in finished() if row["task"] == task)
        ours = [percent(mean(values)) if (values := accuracies(task, model)) else "-" for model in MODELS]
        body.append((name.split()[0], *ours, percent(guess)))
    return markdown(("task", *MODELS.values(), "most frequent answer"), body)


def lra() -> str:
    """A line a task and model: mean and range over seeds, and the paper's figure."""
    body = []
    for task, name in paper.TASKS.items():
        for model in MODELS:
            if values := accuracies(task, model):
                theirs = number(paper.accuracy(task, model), ".1f")
                ours = (percent(mean(values)), percent(min(values)), percent(max(values)))
                body.append((name, MODELS[model], len(values), *ours, theirs))
    head = ("task", "model", "seeds", "mean accuracy, %", "lowest, %", "highest, %", "the paper's, %")
    return markdown(head, body)


def lra_tasks() -> str:
    """A line a task: its data, its training, and what little knowledge gives."""
    body = []
    for task, name in paper.TASKS.items():
        row = next(row for row in finished() if row["task"] == task)
        guess = percent(row["majority"]), percent(row.get("first_symbol"))
        body.append((name, DATA[task], f"{row['steps']:,}", *guess))
    return markdown(("task", "data", "training steps", "most frequent answer, %", "first symbol's table, %"), body)


def lra_runs() -> str:
    """Every run, and what it cost."""
    body = [
        (
            paper.TASKS[row["task"]],
            MODELS[row["name"]],
            row["seed"],
            percent(row["accuracy"]),
            f"{row['parameters']:,}",
            row["settings"]["memory_rule"] or "-",
            f"{row['tokens'] / 1e6:.1f}",
            f"{row['memory_mb']:,.0f}",
        )
        for row in finished()
    ]
    head = ("task", "model", "seed", "accuracy, %", "parameters", "rule", "million tokens", "peak resident MB")
    return markdown(head, body)


def paper_lra() -> str:
    """The paper's own table."""
    body = [
        (name, *(f"{value:.1f}" for value in row[:6]), *(("-", "-") if row.memory is None else row.memory))
        for name, row in paper.LRA.items()
    ]
    return markdown(("model", *paper.TASKS.values(), "average", "least peak GB", "largest peak GB"), body)


def paper_ablations() -> str:
    """The paper's ablations."""
    body = [
        (row.change, paper.TASKS[row.task], f"{row.quantity} ({row.unit})", row.before, row.after)
        for row in paper.ABLATIONS
    ]
    return markdown(("change", "task", "quantity", "before", "after"), body)


def ablations() -> str:
    """Our ablations, a table a task: accuracy, and the difference from the whole model with its interval."""
    path, text = RESULTS / "ablations.json", ""
    done = [row for row in rows("ablations") if row["state"] == "finished"]
    for task, title in paper.TASKS.items():
        runs = {row["name"]: row for row in done if row["task"] == task}  # one seed each
        if not runs:
            continue
        compared = analysis.compare([path], baseline="rmaat", task=task).differences
        estimates = {difference.arm: difference.estimate for difference in compared}
        body = []
        for name, row in runs.items():
            cells = ("-", "-", "-")
            if name in estimates:
                estimate = estimates[name]
                ends = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
                cells = tuple(f"{100 * points:+.1f}" for points in (estimate.value, *ends))
            what = f"{name}: the same run" if row.get("same_as") else name
            body.append((what, percent(row["accuracy"]), *cells, f"{row['memory_mb']:,.0f}"))
        head = ("what", "accuracy, %", "less RMAAT's, points", "from", "to", "peak MB")
        text += f"{title}:\n\n{markdown(head, body)}\n"
    return text.rstrip("\n") + "\n"


TOTALS = (2, 4, 8, 16)


def recall() -> str:
    """Mean accuracy over seeds, and the lowest, by kind of training, rule and T."""
    body = []
    for training in ("from scratch", "curriculum", "anywhere", "no memory"):
        for rule in ("scale", "consolidate", "none"):
            by = {total: recalled(rule, training, total) for total in TOTALS}
            if any(by.values()):
                pairs = ((mean(values), min(values)) if values else (None, None) for values in by.values())
                cells = [number(value, ".2f") for pair in pairs for value in pair]
                body.append((training, rule, *cells))
    return markdown(("training", "rule", *(cell for total in TOTALS for cell in (f"T = {total}", "lowest"))), body)


def recall_longer() -> str:
    """Models trained at T = 8 by a curriculum, asked at longer lengths without training."""
    body = []
    for rule in ("scale", "consolidate", "none"):
        runs = [row for row in rows("recall") if (row["training"], row["rule"], row["T"]) == ("curriculum", rule, 8)]
        values = [[row[key] for row in runs] for key in ("accuracy", "at 2 T", "at 4 T")]
        body.append((rule, *(f"{how(seeds):.2f}" for seeds in values for how in (mean, min))))
    return markdown(("rule", "T = 8", "lowest", "T = 16", "lowest", "T = 32", "lowest"), body)


def memory_rules() -> str:
    """ListOps with a curriculum, by rule."""
    body: list[tuple[str, ...]] = []
    for rule in dict.fromkeys(row["rule"] for row in rows("memory-rules")):
        values = [row["accuracy"] for row in rows("memory-rules") if row["rule"] == rule]
        body.append((f"`{rule}`", str(len(values)), number(min(values)), number(max(values))))
    one = rows("memory-rules")[0]
    for what, key in (("a table of the first symbol", "first symbol"), ("the most frequent answer", "majority")):
        body.append((what, "-", number(one[key]), number(one[key])))
    return markdown(("rule", "seeds", "lowest accuracy", "highest"), body)


def sensitivity() -> str:
    """By how many per cent the first factor of 16 follows 1 % more of each parameter, where that is seen."""
    found = [row for row in rows("law-sensitivity") if row["output"] == "first" and row["mean elasticity"] is not None]
    found.sort(key=lambda row: (row["curve"] != "macro, bounded", -row["mean size"]))
    body = [
        (row["curve"], f"`{row['parameter']}`", f"{row['mean elasticity']:+.3f}", number(row["spread"]))
        for row in found
        if row["mean size"] >= LEAST_SIZE
    ]
    return markdown(("curve", "parameter", "per cent for 1 % more", "spread over the ranges"), body)


def family_selection() -> str:
    """How often AICc recognises a family, and what a wrong choice costs; noise in the samples."""
    body = []
    for cycles, noise in ((6, 0.01), (12, 0.01), (24, 0.01), (24, 0.002)):
        found = evidence.selection("levels", cycles, noise)
        distances = [row["95th of distances"] for row in found]
        right, shape = mean([row[row["truth"]] for row in found]), mean([row["shape right"] for row in found])
        body.append((cycles, f"{100 * noise:.1f}", f"{right:.0f}", f"{shape:.1f}", min(distances), max(distances)))
    head = (
        "cycles",
        "noise, %",
        "right family, of 100",
        "right first or later peak, of 100",
        "least distance",
        "largest",
    )
    return markdown(head, body)


def ltp_curves() -> str:
    """LTP of both models: how far it rises, and its time constant."""
    body = [
        (
            row["curve"],
            *(number(row[key]) for key in ("p_6", "sd_6", "p_24", "sd_24")),
            *(f"{row[key]:.2f}" for key in ("tau (cycles)", "tau at twice the activity")),
        )
        for row in rows("ltp-curves")
    ]
    head = ("curve", "p^l after 6 cycles", "sd", "after 24", "sd", "tau in cycles", "tau at twice the activity")
    return markdown(head, body)


def ltp_laws() -> str:
    """What those curves are to a model: the first factor of 16, and the distance to the linear macro law."""
    body = [
        (
            row["curve"],
            number(row["RetentionFactor(1, 16)"]),
            *(number(row[f"distance to macro, linear, T = {total}"]) for total in (4, 8, 16)),
        )
        for row in rows("ltp-curves")
    ]
    return markdown(("curve", "RetentionFactor(1, 16)", "distance, T = 4", "T = 8", "T = 16"), body)


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
    head = ("model", "backward", "parameters", "CPU s", "times faster than full", "times faster than RMT", "extra MB")
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
    document = json_schema()
    parts = [("the file", document), *((name, document["$defs"][name]) for name in sorted(document["$defs"]))]
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
        return " or ".join(_kind(kind) for kind in about["anyOf"])
    if "const" in about:
        return f"`{json.dumps(about['const'])}`"
    if "enum" in about:
        return " or ".join(f"`{json.dumps(value)}`" for value in about["enum"])
    if about.get("type") == "array":
        return f"list of {_kind(about['items'])}"
    if about.get("type") == "object":
        inner = about.get("additionalProperties")
        return f"name to {_kind(inner)}" if isinstance(inner, dict) else "object"
    return str(about.get("type", "anything"))


def _bounds(about: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "minItems": "entries from"}
    limits = [f"{word} {about[key]:g}" for key, word in words.items() if key in about]
    return ", ".join([*limits, *(["64 hexadecimal digits"] if "pattern" in about else [])])


TABLES: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        findings, measured, lra_overview, lra, lra_tasks, lra_runs, shallow, paper_lra, paper_ablations, ablations,
        recall, recall_longer, memory_rules, sensitivity, family_selection, ltp_curves, ltp_laws, enwik8, models, peers,
        throughput, amrb, length, schema,
    )
}  # fmt: skip


def renewed(text: str) -> str:
    """A page with its tables as they should be."""
    return MARKED.sub(lambda mark: f"{mark[1]}\n{TABLES[mark[2]]()}\n{mark[3]}", text)


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
