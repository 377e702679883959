"""RMAAT, the Recurrent Memory Augmented Astromorphic Transformer (arXiv 2601.00426).

>>> import rmaat, bridge
>>> config = rmaat.RMAATConfig(vocabulary=16, classes=10)
>>> model = rmaat.build_model("rmaat", config, bridge.Laws.load("laws.json"))
>>> logits = model(tokens, lengths)
>>> rmaat.save_pretrained(model, "FOLDER")
>>> model = rmaat.from_pretrained("FOLDER")

Names are loaded on first use: importing the package does not import torch.
"""

import os
import sys
from typing import TYPE_CHECKING

# `python -m rmaat` looks for modules in the working folder first, where a person may have an analysis.py. The rooms are
# beside this one, so it must not, unless that is where they are. While it looks for this package, argv begins with -m.
if sys.argv[:1] == ["-m"] and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from astro_sim.common.extras import lazily

if TYPE_CHECKING:
    from rmaat import amrb
    from rmaat.attention import AstromorphicAttention, RelativePosition, Rule
    from rmaat.config import RMAATConfig
    from rmaat.hub import from_pretrained, push_to_hub, save_pretrained
    from rmaat.models.registry import RMAAT, build_model
    from rmaat.models.streaming import Stream

_HOME = {
    "AstromorphicAttention": "rmaat.attention",
    "RMAAT": "rmaat.models.registry",
    "RMAATConfig": "rmaat.config",
    "RelativePosition": "rmaat.attention",
    "Rule": "rmaat.attention",
    "Stream": "rmaat.models.streaming",
    "amrb": "rmaat.amrb",
    "build_model": "rmaat.models.registry",
    "from_pretrained": "rmaat.hub",
    "push_to_hub": "rmaat.hub",
    "save_pretrained": "rmaat.hub",
}

__all__ = [
    "RMAAT",
    "AstromorphicAttention",
    "RMAATConfig",
    "RelativePosition",
    "Rule",
    "Stream",
    "amrb",
    "build_model",
    "from_pretrained",
    "push_to_hub",
    "save_pretrained",
]

__getattr__ = lazily(__name__, _HOME)
