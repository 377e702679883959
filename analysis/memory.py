"""The section on the memory at work: what reaches the output, what the memory holds, what is left of the first."""

from analysis import memory_plots
from analysis.collect import Inputs
from analysis.memory_words import Look, left_out, look, memory_sentences
from analysis.parts import Bullets, Plot, Section, Table, Text, number
from analysis.runs import INSPECT, labels


def memory(inputs: Inputs) -> Section:
    """What `rmaat inspect` found in every finished run."""
    section = Section("memory", "The memory at work")
    if not inputs.runs:
        return section
    named = list(zip(labels(inputs.runs), inputs.runs, strict=True))
    looks = [found for index, each in enumerate(named) if (found := look(index, *each)) is not None]
    asked = [(label, run) for label, run in named if run.finished and run.diagnostics is None]
    for label, run in asked:
        text = f"{label}: not looked into (diagnostics.json is missing); make it with: {INSPECT} {run.path}"
        section.add(Text(text, note=True))
    if not looks:
        if not asked:
            section.add(Text("None of the runs is finished, so there is no memory to look into yet.", note=True))
        return section
    section.add(Bullets([memory_sentences(each) for each in looks]), _influence(looks))
    if having := [each for each in looks if each.norms]:
        section.add(_norms(having))
    if reaching := [each for each in looks if each.kept]:
        section.add(_kept(reaching), _table(reaching))
    return section


def _influence(looks: list[Look]) -> Plot:
    ends = [
        f"{each.label} from {number(each.influence[0], 2)} in segment 1 to {number(each.influence[-1], 2)} in segment "
        f"{len(each.influence)}"
        for each in looks
    ]
    zeros = left_out([(each.label, "segment", list(enumerate(each.influence, start=1))) for each in looks])
    return Plot(
        memory_plots.influence(looks),
        "Derivative of the output in each segment: " + "; ".join(ends) + ".",
        "Norm of the derivative of the output (logits; of a language model those of the last token) in the embedded "
        "tokens of each segment, root mean square over the examples that have it. It is a slope: what a small change "
        "would do, not what leaving a segment out would. The last segment of an example may hold few tokens. Scales of "
        f"embeddings and outputs differ between runs, so compare shapes, not heights. {_looked_at(looks)}{zeros}",
    )


def _norms(looks: list[Look]) -> Plot:
    ends = [f"{each.label} from {number(each.norms[0], 3)} to {number(each.norms[-1], 3)}" for each in looks]
    return Plot(
        memory_plots.norms(looks),
        "Norm of the memory after the first and after the last segment: " + "; ".join(ends) + ".",
        "Norm of the memory rows after each segment, root mean square over rows and over the examples that have it. "
        + _looked_at(looks),
        300,
    )


def _kept(looks: list[Look]) -> Plot:
    rows = [(each, max(each.kept, key=lambda row: row["T"])) for each in looks]
    ends = [
        f"{each.label} ({each.rule}) {number(row['measured'], 2)} at T = {row['T']}, by the rule alone "
        f"{number(row['direct'], 2)}"
        for each, row in rows
    ]
    zeros = left_out(
        [
            (f"{each.label}, {name}", "T =", [(row["T"], row[key]) for row in each.kept])
            for each in looks
            for key, name in (("measured", "measured"), ("direct", "by the rule alone"))
        ]
    )
    return Plot(
        memory_plots.kept(looks),
        "What the memory after T segments knows of segment 1, relative to T = 1: " + "; ".join(ends) + ".",
        "Measured (solid): norm of the derivative of the memory after T segments in the embedded tokens of segment 1, "
        "over that at T = 1, each T a sequence of its own; it takes every way through the model. By the rule alone "
        '(dashed): the product of the factors under "scale", RetentionFactor(1, T) under "consolidate", 1 under '
        f'"none". A run may keep more than its rule, by writing what it read, or less, by overwriting it.{zeros}',
        400,
    )


def _table(looks: list[Look]) -> Table:
    return Table(
        "What the memory after T segments knows of segment 1, relative to T = 1",
        ["run", "memory rule", "T", "measured", "by the rule alone", "measured over rule"],
        [
            [
                *(each.label, each.rule, str(row["T"])),
                *(number(row["measured"], 3), number(row["direct"], 3)),
                number(row["measured"] / row["direct"], 3) if row["direct"] else "–",
            ]
            for each in looks
            for row in each.kept
        ],
        ["memory rule"],
        sortable=True,
    )


def _looked_at(looks: list[Look]) -> str:
    """On what, as far as the files tell: once if it is the same for all."""
    told = {each.label: _examples(each) for each in looks}
    if len(set(told.values())) == 1:
        return f"Looked at: {next(iter(told.values()))}."
    return "Looked at: " + "; ".join(f"{label}, {what}" for label, what in told.items()) + "."


def _examples(each: Look) -> str:
    return f"{each.found.get('examples', '?')} examples of the {each.found.get('split', '?')} split"
