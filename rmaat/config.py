"""What a model is made of. Needs no torch, so that a wrong setting is refused before anything heavy is loaded."""

from typing import Annotated, Literal, Self

from pydantic import Field

from astro_sim.common.settings import Settings, quantity
from bridge.laws import PAPER_EXPONENT, Laws

PAPER = "RMAAT (arXiv 2601.00426)"
CHOSEN = "chosen"
DEFAULT_DECAY = 1.0  # 1/token; chosen for laws without a `spatial` dataset: the paper gives no value


class RMAATConfig(Settings):
    """Settings of RMAAT; `rmaat.build_model` fills from the laws what is left open here."""

    vocabulary: int = quantity(..., "1", "token ids run from 0 (padding) to vocabulary - 1", "the task", ge=2)
    classes: int = quantity(..., "1", "number of classes", "the task", ge=2)

    width: int = quantity(64, "1", "features of a row (d)", CHOSEN, ge=1, le=2**14)
    depth: int = quantity(2, "1", "blocks", CHOSEN, ge=1, le=2**10)
    heads: int = quantity(4, "1", "attention heads", CHOSEN, ge=1, le=2**10)
    feedforward: int = quantity(128, "1", "features inside the feed-forward part", CHOSEN, ge=1, le=2**18)
    dropout: float = quantity(0.0, "1", "dropout on embeddings and on both parts of a block", CHOSEN, ge=0, lt=1)

    segment_length: int = quantity(128, "tokens", "tokens of a segment", CHOSEN, ge=1, le=2**20)
    memory_tokens: int = quantity(8, "1", "memory rows beside each segment (M)", CHOSEN, ge=1, le=2**16)
    memory_rule: Literal["scale", "consolidate", "none"] = quantity(
        "scale", "1", "how the retention law acts on the memory", "scale: " + PAPER + "; consolidate: ours"
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
    kept_segments: int = quantity(
        1, "1", "amrb: most recent segments kept instead of replayed (k)", "ours", ge=0, le=2**20
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
    sigmoid: bool = quantity(False, "1", "squash H with a sigmoid, as AT does", "AT (arXiv 2312.10925)")

    def model_post_init(self, _: object) -> None:
        if self.width % self.heads:
            raise ValueError(f"width: expected a multiple of heads = {self.heads}, got {self.width}")
        if self.trainable_laws and self.memory_rule == "none":
            raise ValueError("trainable laws: expected the memory_rule scale or consolidate; none uses no laws")

    @property
    def rows(self) -> int:
        """Memory rows and tokens of a full segment together (N_max)."""
        return self.memory_tokens + self.segment_length

    def with_laws(self, laws: Laws | None) -> Self:
        """Fill exponent and decay where they are open: from the laws, else the paper's 0.25 and the chosen 1.0."""

        def first(*values: float | None) -> float | None:
            return next((value for value in values if value is not None), None)

        decay = laws and laws.spatial_decay
        exponent = PAPER_EXPONENT if self.presynaptic_exponent == "paper" else self.presynaptic_exponent
        return self.replace(
            presynaptic_exponent=first(exponent, laws and laws.presynaptic_exponent, PAPER_EXPONENT),
            spatial_decay=first(self.spatial_decay, decay and decay / self.tokens_per_spacing, DEFAULT_DECAY),
        )
