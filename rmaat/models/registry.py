"""The family: RMAAT and its relatives under one roof, same embedding, width, depth, head and training for all.

    transformer, rmt            softmax attention, over the whole sequence and over segments that a memory links
    linear-transformer, rlt     linear attention, in the same two ways
    at, rmaat                   astromorphic attention, in the same two ways
    retnet, s4d                 today's rivals, over the whole sequence: retention and a diagonal state space

Models that recur take any memory rule and any backward setting; without one of their own RMAAT takes
`rmaat.models.memory.DEFAULT` and the others none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from astro_sim.common.errors import InputError, require_known
from bridge.laws import Laws
from rmaat.attention import (
    AstromorphicAttention,
    DiagonalStateSpace,
    LinearAttention,
    Mixer,
    RelativePosition,
    RetNetAttention,
    Rule,
    ShortTerm,
    SoftmaxAttention,
)
from rmaat.config import RMAATConfig
from rmaat.models import memory
from rmaat.models.base import Model
from rmaat.models.classifier import SequenceClassifier
from rmaat.models.encoder import SegmentEncoder, SequenceEncoder
from rmaat.models.language import LanguageModel

CLOSE = 0.01  # share by which numbers of parameters may differ before the feed-forward width is changed

MakeMixer = Callable[[RMAATConfig], Mixer]


def _plain(kind: type[Mixer]) -> MakeMixer:
    return lambda c: kind(c.width, c.heads, c.causal)


def _astromorphic(c: RMAATConfig) -> Mixer:
    assert isinstance(c.presynaptic_exponent, float)  # `resolve` filled it
    m_scale = c.m_scale if c.normalisation == "paper" else None
    rule = Rule(c.presynaptic_exponent, m_scale, bool(c.sigmoid), c.feedback)
    fading = None
    if c.fades:
        assert c.time_constants is not None  # likewise
        fading = ShortTerm(c.time_constants, c.short_term, c.rotation)  # pyright: ignore[reportArgumentType]
    return AstromorphicAttention(c.width, c.heads, c.causal, rule, fading, c.output_gate, c.convolution)


def _state_space(c: RMAATConfig) -> Mixer:
    return DiagonalStateSpace(c.width, c.heads, c.causal, c.states)


ASTROMORPHIC = frozenset(
    ("presynaptic_exponent", "spatial_decay", "tokens_per_spacing", "relative_position", "normalisation", "m_scale",
     "sigmoid", "feedback", "short_term", "time_constants", "carry_traces", "rotation", "output_gate", "convolution")
)  # fmt: skip
RECURRENT = frozenset(
    ("memory_tokens", "memory_rule", "backward", "kept_segments", "replay_mb", "truncate_after", "trainable_laws")
)
AT_ONCE = frozenset(("max_length",))


@dataclass(frozen=True)
class Member:
    """A model of the family.

    Attributes
    ----------
    source : str
    mixer : str
        What it is, for tables.
    make : callable
    recurrent : bool
    own : frozenset of str
        Settings that this mixer has and others have not.
    sigmoid : bool
        Whether astromorphic attention squashes H, where the configuration leaves it open.
    ignored : frozenset of str
        Settings of all others that this mixer does not have.
    """

    source: str
    mixer: str
    make: MakeMixer
    recurrent: bool
    own: frozenset[str] = frozenset()
    sigmoid: bool = False
    ignored: frozenset[str] = frozenset()

    @property
    def unused(self) -> frozenset[str]:
        """Settings without effect on this model."""
        others = ASTROMORPHIC | {"states"} | RECURRENT | AT_ONCE
        return others - self.own - (RECURRENT if self.recurrent else AT_ONCE) | self.ignored


MEMBERS = {
    "transformer": Member("Vaswani et al. 2017", "softmax", _plain(SoftmaxAttention), False),
    "linear-transformer": Member("Katharopoulos et al. 2020", "linear", _plain(LinearAttention), False),
    "at": Member(
        "AT (arXiv 2312.10925)", "astromorphic", _astromorphic, False, ASTROMORPHIC, True, frozenset(("carry_traces",))
    ),
    "retnet": Member("Sun et al. 2023", "retention", _plain(RetNetAttention), False),
    "s4d": Member(
        "Gu et al. 2022", "state space", _state_space, False, frozenset(("states",)), ignored=frozenset(("heads",))
    ),
    "rmt": Member("Bulatov et al. 2022", "softmax", _plain(SoftmaxAttention), True),
    "rlt": Member("RMAAT (arXiv 2601.00426)", "linear", _plain(LinearAttention), True),
    "rmaat": Member("RMAAT (arXiv 2601.00426)", "astromorphic", _astromorphic, True, ASTROMORPHIC),
}


def get(name: str) -> Member:
    """Look a model up by name; an unknown one raises `InputError` with the nearest name."""
    require_known("model", name, MEMBERS)
    return MEMBERS[name]


def without_effect(name: str, config: RMAATConfig) -> list[str]:
    """Settings that differ from their defaults though this model, or another setting, leaves no use for them."""
    fields = RMAATConfig.model_fields
    idle = set(get(name).unused)
    idle |= {"readout"} if config.head == "language" else set()
    idle |= {"kept_segments", "replay_mb"} if config.backward != "amrb" else set()
    idle |= {"truncate_after"} if config.backward != "truncated" else set()
    idle |= {"m_scale"} if config.normalisation != "paper" else set()
    idle |= {"rotation", "time_constants"} if not config.fades else set()
    idle |= {"spatial_decay", "tokens_per_spacing"} if not config.relative_position else set()
    return sorted(each for each in idle if getattr(config, each) != fields[each].default)


def resolve(name: str, config: RMAATConfig, laws: Laws | None = None) -> RMAATConfig:
    """The configuration with nothing left open: rule, exponent, decay, sigmoid, and the feed-forward width.

    Raises
    ------
    InputError
        An unknown name; no feed-forward width that matches the number of parameters.
    """
    member = get(name)
    changes: dict[str, object] = {}
    if config.memory_rule is None:
        changes["memory_rule"] = memory.DEFAULT if name == "rmaat" else memory.NONE
    if config.sigmoid is None:
        changes["sigmoid"] = member.sigmoid and not config.causal
    if config.short_term is None or "short_term" in member.unused:
        changes["short_term"] = "none"
    filled = config.replace(**changes).with_laws(laws)
    return _matched(name, filled) if config.match_parameters else filled


def make_encoder(name: str, config: RMAATConfig, laws: Laws | None = None) -> SegmentEncoder | SequenceEncoder:
    """The encoder of a model."""
    config = resolve(name, config, laws)
    make = partial(get(name).make, config)
    return SegmentEncoder(config, make, laws) if get(name).recurrent else SequenceEncoder(config, make)


class RMAAT(SequenceClassifier):
    """Recurrent Memory Augmented Astromorphic Transformer.

    Parameters
    ----------
    config : RMAATConfig
    laws : Laws, optional
        Give the retention factors and, where the config leaves them open, exponent and decay. Memory rules that use
        laws need them.

    Raises
    ------
    InputError
        A memory rule that needs laws, without laws; the head "language" (`rmaat.build_model` makes those).

    Source: RMAAT (arXiv 2601.00426).
    """

    def __init__(self, config: RMAATConfig, laws: Laws | None = None) -> None:
        if config.head == "language":
            raise InputError("head: RMAAT classifies; rmaat.build_model makes the language model")
        super().__init__("rmaat", make_encoder("rmaat", config, laws))


def build_model(name: str, config: RMAATConfig, laws: Laws | None = None) -> Model:
    """Build a model of the family.

    Parameters
    ----------
    name : str
        One of `MEMBERS`.
    config : RMAATConfig
        ``head`` says what the model is for: "classify" and "match" give a `SequenceClassifier`, "language" a
        `LanguageModel`.
    laws : Laws, optional

    Returns
    -------
    Model
        Its ``config`` has nothing left open.

    Raises
    ------
    InputError
        An unknown name (the nearest is told), a memory rule that needs laws without laws, a readout or a switch that
        the model cannot have.
    """
    if config.head == "language":
        return LanguageModel(name, make_encoder(name, config, laws))
    if name == "rmaat":
        return RMAAT(config, laws)
    return SequenceClassifier(name, make_encoder(name, config, laws))


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable numbers of a model: all but those of relative position, and those."""
    position = sum(
        p.numel() for part in model.modules() if isinstance(part, RelativePosition) for p in part.parameters()
    )
    return sum(p.numel() for p in model.parameters() if p.requires_grad) - position, position


def list_models(config: RMAATConfig) -> list[tuple[str, str, str, str, str, str, int, str]]:
    """What each model is and how many parameters it has under these settings; a row a model, for a table."""
    config = config.replace(memory_rule=memory.NONE, trainable_laws=False)  # so that no laws are needed
    goal, rows = count_parameters(build_model("rmaat", config))[0], []
    for name, member in MEMBERS.items():
        fits = config if member.recurrent or config.readout != "memory" else config.replace(readout="mean")
        built = build_model(name, fits)
        found, position = count_parameters(built)
        how = "segments" if member.recurrent else "at once"
        share = f"{found / goal:.3f}"
        rows.append(
            (name, member.mixer, how, f"{found:,}", share, f"{position:,}", built.config.feedforward, member.source)
        )
    return rows


def _matched(name: str, config: RMAATConfig) -> RMAATConfig:
    """``feedforward`` such that the model has as many parameters as RMAAT; within a hundredth it is left as it is."""
    plain = config.replace(match_parameters=False)
    bare = plain.replace(
        memory_rule=memory.NONE, trainable_laws=False, readout="mean",
        time_constants=(1.0,) * config.heads if config.fades else None,
    )  # fmt: skip  # needs no laws, fits every model
    with torch.device("meta"):
        goal, own = (count_parameters(build_model(each, bare))[0] for each in ("rmaat", name))
    if abs(own - goal) <= CLOSE * goal:
        return plain
    # A feature inside a feed-forward part has a row, a column and a bias.
    features = config.feedforward + round((goal - own) / (config.depth * (2 * config.width + 1)))
    if features < 1:
        raise InputError(
            f"match_parameters: {name!r} has more parameters than rmaat even without a feed-forward part; "
            "expected a larger feedforward, or match_parameters = false"
        )
    return plain.replace(feedforward=features)
