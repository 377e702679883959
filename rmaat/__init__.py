"""RMAAT, the Recurrent Memory Augmented Astromorphic Transformer (arXiv 2601.00426).

>>> import rmaat, bridge
>>> config = rmaat.RMAATConfig(vocabulary=16, classes=10)
>>> model = rmaat.build_model("rmaat", config, bridge.Laws.load("laws.json"))
>>> logits = model(tokens, lengths)
>>> model.save_pretrained("FOLDER")
>>> model = rmaat.from_pretrained("FOLDER")

Names are loaded on first use: importing the package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmaat.attention import AstromorphicAttention, RelativePosition, Rule
    from rmaat.config import RMAATConfig
    from rmaat.family import RMAAT, build_model
    from rmaat.pretrained import from_pretrained

_HOME = {
    "AstromorphicAttention": "rmaat.attention",
    "RMAAT": "rmaat.family",
    "RMAATConfig": "rmaat.config",
    "RelativePosition": "rmaat.attention",
    "Rule": "rmaat.attention",
    "build_model": "rmaat.family",
    "from_pretrained": "rmaat.pretrained",
}

__all__ = [
    "RMAAT",
    "AstromorphicAttention",
    "RMAATConfig",
    "RelativePosition",
    "Rule",
    "build_model",
    "from_pretrained",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
