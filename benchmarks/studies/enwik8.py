"""enwik8, small: bits a byte on the test split after the same bytes of training, beside tables of byte counts.

Models have as many parameters as RMAAT, see windows of 4,096 bytes, and are trained on one core within half an hour
each. That is a thousandth of what the field's figures take, so none of these are comparable to those.
"""

import math
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from benchmarks.registry import Benchmark, Kept, require
from benchmarks.speed.step import laws
from rmaat.tasks import data_folder
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train

DATA = Path("data/enwik8")  # rmaat data enwik8 --source PATH --out data/enwik8
MODELS = ("rmaat", "rlt", "rmt", "retnet")
STEPS, BATCH = 1_000, 4
SETTINGS = {
    "width": 128, "depth": 2, "heads": 4, "feedforward": 384, "segment_length": 256, "memory_tokens": 8,
    "backward": "bptt",
    "batch": BATCH, "steps": STEPS, "learning_rate": 2e-3, "warmup": 100,
    "validate_every": 250, "validate_examples": 100, "device": "cpu",
}  # fmt: skip
AT_ONCE = ("segment_length", "memory_tokens", "backward")  # settings without effect on models without segments
ORDERS = (0, 1, 2)  # bytes of context of the tables


def run(model: str, data: Path) -> list[dict[str, Any]]:
    """Train and measure one model."""
    given = {name: value for name, value in SETTINGS.items() if model != "retnet" or name not in AT_ONCE}
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        record = train("enwik8", data, laws(), Path(folder) / "run", model, given)
        trained = perf_counter() - start
        result = evaluate(Path(folder) / "run")
    valid = {row["step"]: round(row["loss"] / math.log(2), 3) for row in record.metrics if row["split"] == "valid"}
    return [
        {
            "what": model,
            "parameters": record.run.parameters,
            "bytes seen": STEPS * BATCH * 4_096,
            "bits a byte": round(result["bits_per_token"], 3),
            "accuracy": round(result["accuracy"], 3),
            "minutes": round(trained / 60, 1),
            "valid": valid,
        }
    ]


def table(order: int, data: Path) -> list[dict[str, Any]]:
    """What counts of bytes after the ``order`` bytes before say, made on as many bytes as the models see."""
    opened = data_folder.load(data, "enwik8")
    seen = np.asarray(opened.splits["train"].tokens[: STEPS * BATCH * 4_096])
    test = np.asarray(opened.splits["test"].tokens)
    counts = np.bincount(_codes(seen, order), minlength=256 ** (order + 1)).reshape(-1, 256)
    # Half a count more of every byte (Krichevsky and Trofimov 1981), so that an unseen one is not impossible.
    chances = (counts + 0.5) / (counts.sum(1, keepdims=True) + 128.0)
    bits = -np.log2(chances.reshape(-1)[_codes(test, order)]).mean()
    row = {"what": f"table of {order} bytes before", "parameters": counts.size, "bytes seen": len(seen)}
    return [{**row, "bits a byte": round(float(bits), 3), "accuracy": None, "minutes": None, "valid": None}]


def _codes(symbols: NDArray[np.uint8], order: int) -> NDArray[np.int64]:
    """Each byte with those before it as one number."""
    code = np.zeros(len(symbols) - order, dtype=np.int64)
    for back in range(order, -1, -1):
        code = code * 256 + symbols[order - back : len(symbols) - back]
    return code


def check() -> None:
    """A table's numbers are bytes in their order."""
    codes = _codes(np.array([1, 2, 3], np.uint8), 1).tolist()
    require(codes == [258, 515], "a table counts something else than bytes after bytes")


def measure(kept: Kept) -> list[dict[str, Any]]:
    """A row a model and table."""
    if not DATA.is_dir():
        raise InputError(f"{DATA}: no such folder; expected what rmaat data enwik8 --source PATH --out {DATA} makes")
    torch.set_num_threads(1)
    rows = []
    for order in ORDERS:
        rows += kept(f"table {order}", partial(table, order, DATA))
    for model in MODELS:
        rows += kept(model, partial(run, model, DATA))
    return rows


BENCHMARK = Benchmark("enwik8: bits a byte on 5 million test bytes", check, measure, resumable=True)
