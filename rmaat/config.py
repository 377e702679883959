"""What a model is made of. Needs no torch, so that a wrong setting is refused before anything heavy is loaded."""

from typing import Annotated, Literal, Self

from pydantic import Field

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from bridge.laws import PAPER_EXPONENT, Laws
from rmaat.models.memory import RULES

PAPER = "RMAAT (arXiv 2601.00426)"
CHOSEN = "chosen"
MODELS = ("transformer", "linear-transformer", "at", "retnet", "s4d", "rmt", "rlt", "rmaat")  # of rmaat.models.registry
DEFAULT_DECAY = 1.0  # 1/token; chosen for laws without a `spatial` dataset: the paper gives no value


class RMAATConfig(Settings):
    """Settings of every model of the family; `rmaat.build_model` fills in what is left open here.

    `rmaat.models.registry` says which of them a model has no use for.
    """

    vocabulary: int = quantity(..., "1", "token ids run from 0 (padding) to vocabulary - 1", "the task", ge=2)
    head: Literal["classify", "match", "language"] = quantity(
        "classify",
        "1",
        "what is asked: the class of a sequence, of a pair of sequences, or each next token",
        "the task",
    )
    classes: int | None = quantity(None, "1", "number of classes; none for the head language", "the task", ge=2)

    width: int = quantity(64, "1", "features of a row (d)", CHOSEN, ge=1, le=2**14)
    depth: int = quantity(2, "1", "blocks", CHOSEN, ge=1, le=2**10)
    heads: int = quantity(4, "1", "attention heads", CHOSEN, ge=1, le=2**10)
    feedforward: int = quantity(128, "1", "features inside the feed-forward part", CHOSEN, ge=1, le=2**18)
    dropout: float = quantity(0.0, "1", "dropout on embeddings and on both parts of a block", CHOSEN, ge=0, lt=1)

    match_parameters: bool = quantity(
        True, "1", "change feedforward so that the model has as many parameters as RMAAT", "ours: a fair comparison"
    )

    segment_length: int = quantity(128, "tokens", "tokens of a segment", CHOSEN, ge=1, le=2**20)
    max_length: int = quantity(
        4096, "tokens", "longest sequence of a model without segments", "the task, where there is one", ge=1, le=2**24
    )
    memory_tokens: int = quantity(8, "1", "memory rows beside each segment (M)", CHOSEN, ge=1, le=2**16)
    memory_rule: Literal["scale", "consolidate", "none"] | None = quantity(
        None,
        "1",
        "how the retention law acts on the memory; by default consolidate for rmaat and none for the others",
        "scale: " + PAPER + "; consolidate: ours",
    )
    readout: Literal["memory", "last", "mean"] = quantity(
        "mean",
        "1",
        "the head reads the memory after the last segment, that segment's tokens, or the mean over segments' tokens",
        CHOSEN,
    )

    backward: Literal["amrb", "bptt", "truncated"] = quantity(
        "amrb", "1", "replay segments from the stored memory, keep everything, or cut between segments", PAPER
    )
    kept_segments: int | None = quantity(
        None, "1", "amrb: most recent segments kept instead of replayed (k); by default 1", "ours", ge=0, le=2**20
    )
    replay_mb: float | None = quantity(
        None, "MB", "amrb: keep as many segments as fit into so much memory beside what a step needs", "ours", gt=0
    )
    truncate_after: int = quantity(
        1, "segments", "truncated: the gradient is cut each time so many have passed", CHOSEN, ge=1, le=2**20
    )

    trainable_laws: bool = quantity(False, "1", "training may move the parameters of the retention law", "ours")
    presynaptic_exponent: Annotated[float, Field(gt=0, le=4)] | Literal["paper"] | None = quantity(
        None,
        "1",
        'exponent alpha of the presynaptic state; by default the laws\', "paper": 0.25',
        "AT and RMAAT tables: 0.25",
    )
    spatial_decay: float | None = quantity(
        None,
        "1/token",
        "decay of the relative-position kernel; by default the laws' over tokens_per_spacing",
        CHOSEN,
        gt=0,
    )
    tokens_per_spacing: float = quantity(
        1.0, "tokens", "tokens from one process of the astrocyte to the next, for the laws' decay", CHOSEN, gt=0
    )
    relative_position: bool = quantity(True, "1", "the astrocyte's part of the write, H_astro", PAPER)
    normalisation: Literal["mean", "paper"] = quantity(
        "mean",
        "1",
        "H divided by the rows (and n^alpha), or by m_scale",
        "mean: ours, bounded in length; paper: " + PAPER,
    )
    m_scale: float = quantity(500.0, "1", "divisor m of the paper's normalisation", "AT tables: 500 d", gt=0)
    sigmoid: bool | None = quantity(
        None, "1", "squash H with a sigmoid; by default as the model does: AT, not RMAAT", "AT (arXiv 2312.10925)"
    )
    feedback: bool = quantity(True, "1", "the calcium's feedback P = 1 / C on what is read", PAPER)
    short_term: Literal["laws", "trainable", "adaptive", "none"] | None = quantity(
        None,
        "1",
        "how what tokens write fades: at the laws' rates, at rates that training moves, or that each token changes, "
        "too; by default none",
        "ours",
    )
    time_constants: tuple[Annotated[float, Field(gt=0, le=1e9)], ...] | None = quantity(
        None, "tokens", "of short_term, one a head; by default the laws', spread over the heads", "ours"
    )
    carry_traces: bool = quantity(
        True,
        "1",
        "what has not faded at the end of a segment is there in the next, as are a convolution's rows",
        "ours",
    )
    rotation: bool = quantity(
        False, "1", "with short_term: turn phi(q) and what tokens write by their places", "arXiv 2104.09864"
    )
    output_gate: bool = quantity(
        False, "1", "normalise what each head read, and let the row gate it", "RetNet (arXiv 2307.08621)"
    )
    convolution: int = quantity(
        0, "tokens", "taps of a convolution of tokens before the projections; 0 for none", "Mamba: 4", ge=0, le=64
    )
    states: int = quantity(
        16, "1", "complex states of a feature, of the state space", "S4D: 32 (N = 64 in conjugate pairs)", ge=1
    )

    def model_post_init(self, _: object) -> None:
        if self.width % self.heads:
            raise ValueError(f"width: expected a multiple of heads = {self.heads}, got {self.width}")
        if self.trainable_laws and self.memory_rule is not None and not RULES[self.memory_rule].uses_laws:
            using = " or ".join(name for name, rule in RULES.items() if rule.uses_laws)
            raise ValueError(f"trainable laws: expected the memory_rule {using}; {self.memory_rule} uses no laws")
        if self.kept_segments is not None and self.replay_mb is not None:
            raise ValueError("replay_mb: chooses kept_segments, which is given; expected one of the two")
        if self.head != "language" and self.classes is None:
            raise ValueError("classes: missing")
        if self.sigmoid and (self.causal or self.fades):
            where = "the head language" if self.causal else f"short_term {self.short_term!r}"
            raise ValueError(f"sigmoid: not with {where}, where every row has its own H")
        if self.time_constants is not None and len(self.time_constants) != self.heads:
            raise ValueError(f"time_constants: expected {self.heads}, one a head, got {len(self.time_constants)}")
        if self.rotation and self.width // self.heads % 2:
            features = self.width // self.heads
            raise ValueError(f"rotation: expected an even number of features a head, got {features}")

    @property
    def causal(self) -> bool:
        """Whether a row sees only rows up to itself."""
        return self.head == "language"

    @property
    def fades(self) -> bool:
        """Whether short-term plasticity acts on what tokens write."""
        return self.short_term not in (None, "none")

    def with_laws(self, laws: Laws | None) -> Self:
        """Fill exponent, decay and time constants where they are open.

        They come from the laws; without fitted values exponent and decay are the paper's 0.25 and the chosen 1.0.
        Raises `InputError` where time constants are needed and the laws have none.
        """

        def first(*values: float | None) -> float | None:
            return next((value for value in values if value is not None), None)

        decay = laws and laws.spatial_decay
        exponent = PAPER_EXPONENT if self.presynaptic_exponent == "paper" else self.presynaptic_exponent
        times = self.time_constants
        if self.fades and times is None:
            if laws is None:
                raise InputError("short_term: needs laws, or time_constants in tokens")
            times = laws.time_constants(self.heads, self.segment_length, within=not self.carry_traces)
        return self.replace(
            time_constants=times if self.fades else None,
            presynaptic_exponent=first(exponent, laws and laws.presynaptic_exponent, PAPER_EXPONENT),
            spatial_decay=first(self.spatial_decay, decay and decay / self.tokens_per_spacing, DEFAULT_DECAY),
        )
