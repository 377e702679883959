"""The papers' own numbers, to set ours beside. Accuracies in percent."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rmaat.models import memory

TABLE = "RMAAT (arXiv 2601.00426, ICLR 2026), Long Range Arena table"
ABLATION = "RMAAT (arXiv 2601.00426, ICLR 2026), ablations"
SPLITS = "Long Range Arena, official release"

TASKS: dict[str, str] = {
    "listops": "ListOps 2K",
    "text": "Text 4K",
    "retrieval": "Retrieval 8K",
    "image": "Image 1K",
    "pathfinder": "Pathfinder 1K",
}


class Row(NamedTuple):
    """One model of the paper's table: accuracy a task (%), their average (%), peak memory (GB, a range)."""

    listops: float
    text: float
    retrieval: float
    image: float
    pathfinder: float
    average: float
    memory: tuple[float, float] | None


LRA: dict[str, Row] = {  # source: TABLE
    "Transformer": Row(36.4, 64.3, 57.5, 42.4, 71.4, 54.4, (4.7, 7.8)),
    "Linformer": Row(35.7, 53.9, 52.3, 38.6, 76.3, 51.4, None),
    "Linear Transformer": Row(16.1, 65.9, 53.1, 42.3, 75.3, 50.5, None),
    "Performer": Row(18.0, 65.4, 53.8, 42.8, 77.1, 51.4, None),
    "RMT": Row(37.4, 65.0, 79.3, 54.6, 81.5, 63.6, (12.7, 24.0)),
    "RLT": Row(18.4, 64.8, 78.4, 55.0, 74.9, 58.3, (12.1, 22.6)),
    "RMAAT": Row(38.9, 65.9, 83.2, 64.8, 87.1, 68.0, (3.4, 5.3)),
}


class Ablation(NamedTuple):
    """One comparison of the paper: what was changed, on which task, before and after, and the source."""

    change: str
    task: str
    quantity: str
    unit: str
    before: float
    after: float
    source: str


ABLATIONS: tuple[Ablation, ...] = (
    Ablation("no retention factor", "retrieval", "accuracy", "%", 83.2, 80.5, ABLATION),
    Ablation("no retention factor", "text", "accuracy", "%", 65.9, 64.9, ABLATION),
    Ablation("AMRB to BPTT", "retrieval", "peak memory", "GB", 3.4, 15.0, ABLATION),
    Ablation("AMRB to BPTT", "text", "peak memory", "GB", 5.1, 22.0, ABLATION),
    Ablation("RLT to RLT with AMRB", "retrieval", "accuracy", "%", 78.4, 79.2, ABLATION),
    Ablation("16 to 8 segments", "retrieval", "accuracy", "%", 83.2, 71.5, ABLATION),
    Ablation("16 to 4 segments", "retrieval", "accuracy", "%", 83.2, 65.3, ABLATION),
    Ablation("RMT to RMAAT", "retrieval", "throughput, relative", "1", 1.0, 1.73, ABLATION),
    Ablation("RMT to RMAAT", "listops", "throughput, relative", "1", 1.0, 1.5, ABLATION),
    Ablation("RMT to RMAAT", "text", "throughput, relative", "1", 1.0, 1.5, ABLATION),
    Ablation("RMT to RMAAT", "pathfinder", "throughput, relative", "1", 1.0, 0.95, ABLATION),
)

TRAINING_EXAMPLES: dict[str, int] = {  # source: SPLITS
    "listops": 96_000,
    "text": 25_000,
    "retrieval": 147_086,
    "image": 45_000,
    "pathfinder": 160_000,
}


# How data differ from the release that the papers used: words of a manifest's content -> the reason why not.
OTHER_DATA: dict[str, str] = {
    "pairs of halves of IMDB reviews": "another task: pairs of halves of reviews stand in for the AAN pairs",
    "Fashion-MNIST": "another task: Fashion-MNIST stands in for CIFAR-10",
}
TEST_REVIEWS = 25_000  # of Text; source: SPLITS


def why_not(task: str, model: str | None, data: Mapping[str, Any] | None, settings: Mapping[str, Any] | None) -> str:
    """Why a result of ours may not stand beside the paper's number; a reason a part, with semicolons.

    ``data`` as a run or a row of ``rmaat reproduce`` records them, ``settings`` by their flat names.
    """
    data, settings, reasons = data or {}, settings or {}, []
    content, whole = str(data.get("content", "")), TRAINING_EXAMPLES.get(task)
    if other := next((why for what, why in OTHER_DATA.items() if what in content), None):
        return other
    if data.get("origin") == "generated":
        reasons.append("data generated here, not the release")
    test, train = data.get("test"), data.get("train")
    if task == "text" and test is not None and test < TEST_REVIEWS:
        reasons.append(f"{test:,} of {TEST_REVIEWS:,} test reviews")
    if whole is not None and train is not None and train + (data.get("valid") or 0) < 0.9 * whole:
        reasons.append(f"{train:,} of {whole:,} training examples")
    if "jpeg" in content.lower():
        reasons.append("pictures from JPEG files")
    if model == "rmaat" and settings.get("memory_rule") not in (None, memory.PAPER):
        reasons.append(f"memory rule {settings['memory_rule']}, the paper's is {memory.PAPER}")
    sizes = ", ".join(f"{name} {settings[name]:,}" for name in ("width", "depth", "steps") if name in settings)
    return "; ".join([*reasons, f"small: {sizes}" if sizes else "settings unknown"])


def model_name(name: str) -> str | None:
    """The paper's spelling of one of our model names ("linear_transformer"); None if its table lacks it."""
    plain = name.lower().replace("_", " ").replace("-", " ")
    return next((known for known in LRA if known.lower() == plain), None)


def accuracy(task: str, model: str) -> float | None:
    """Accuracy in percent that the paper reports for ``model`` on ``task``; None where it reports none."""
    known = model_name(model)
    return getattr(LRA[known], task) if known is not None and task in TASKS else None
