"""Words of commands that more than one test file needs."""

from pathlib import Path

TREES = [word for n in ("train=48", "valid=8", "test=8", "min_length=10", "max_length=60") for word in ("--set", n)]
MODEL = ["width=8", "heads=2", "depth=1", "feedforward=8", "segment_length=16", "memory_tokens=2", "batch=8"]
STEPS = ["steps=4", "checkpoint_every=2", "log_every=1", "device=cpu"]
TRAINING = [word for setting in (*MODEL, *STEPS) for word in ("--set", setting)]


def train(line: Path, **changes: str) -> list[str]:
    options = {"laws": str(line / "laws.json"), "data": str(line / "listops"), "out": "x", **changes}
    return ["train", "listops", *TRAINING, *(word for name, value in options.items() for word in (f"--{name}", value))]
