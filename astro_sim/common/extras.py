"""Packages that come with an extra: where one is missing, a line says which extra brings it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from astro_sim.common.errors import InputError

# Package -> extra. What stands in none comes with every installation.
EXTRAS = {
    **dict.fromkeys(("brian2", "distributed", "dask", "SALib"), "sim"),
    **dict.fromkeys(("torch", "safetensors", "huggingface_hub", "accelerate", "filelock"), "torch"),
    **dict.fromkeys(("matplotlib", "plotly", "jinja2", "PIL"), "report"),
    "tensorboard": "tensorboard",
    "transformers": "hf",
}


@contextmanager
def extras_named() -> Iterator[None]:
    """Raise `InputError` that names the extra in place of ``ModuleNotFoundError`` for a package of `EXTRAS`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise InputError(f"{package} is not installed; expected: pip install 'rmaat[{EXTRAS[package]}]'") from None


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package whose names are imported, each from its module, when they are first used."""

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with extras_named():
            module = import_module(homes[name])
        return module if homes[name] == f"{package}.{name}" else getattr(module, name)

    return load
