"""What all models have: a name, a configuration with nothing left open, an encoder, and what others ask of a model.

Training, evaluation, streams and diagnostics ask a model for what they need, whatever kind it is: the loss and the hits
of a batch, whether it recurs, a segment of a stream. `rmaat.models.registry` builds models by name.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from astro_sim.common.errors import InputError
from bridge.constants import restore_constants
from bridge.retention import Retention
from rmaat.amrb import Step
from rmaat.checks import kind_of, refuse_tracing
from rmaat.models.encoder import Link, SegmentEncoder, SequenceEncoder
from rmaat.models.segments import Segments, check_lengths


class Model(nn.Module):
    """Base of the models.

    Attributes
    ----------
    name : str
        In the registry.
    config : RMAATConfig
    encoder : SegmentEncoder or SequenceEncoder
    classifies : bool
        Whether it is asked for the class of an example, and not for each next token.
    carried : str
        What a stream of it carries beside the memory.
    """

    classifies: ClassVar[bool]
    carried: ClassVar[str]

    def __init__(self, name: str, encoder: SegmentEncoder | SequenceEncoder) -> None:
        super().__init__()
        self.name, self.config, self.encoder = name, encoder.config, encoder
        self._compiled: Step | None = None
        self._even = False

    # What kinds of models differ in

    def segment(self, *arguments: Any, **named: Any) -> tuple[Link, Tensor]:
        """One segment, of the form that `rmaat.amrb` carries a memory through: the link is its first argument."""
        raise NotImplementedError

    def loss_and_hits(self, tokens: Tensor, lengths: Tensor, labels: Tensor, call: Any = None) -> tuple[Tensor, int]:
        """Loss and right answers of a batch, summed, (2,), and over how many answers.

        ``call`` is what to call in place of the model where something is wrapped around it.
        """
        raise NotImplementedError

    def answers(self, lengths: Any) -> int:
        """How many answers are asked for in a batch of such ``lengths``: examples, or tokens."""
        raise NotImplementedError

    def merit(self, loss: float, accuracy: float) -> tuple[float, float]:
        """What the best validation is chosen by; more is better."""
        raise NotImplementedError

    def begin_carried(self, memory: Tensor) -> Tensor:
        """What a stream carries beside the memory (``carried``) before its first segment, (batch, n)."""
        raise NotImplementedError

    def advance(
        self, link: Link, carried: Tensor, tokens: Tensor, lengths: Tensor | None,
        real: Tensor | None, factor: Tensor, active: Tensor | None, shared: Tensor | None,
    ) -> tuple[Link, Tensor, Tensor | None]:  # fmt: skip
        """The next segment of a stream: the link to the one after, what is carried beside it, and an answer, if any.

        ``lengths`` are those of this segment; the others are as of `SegmentEncoder.forward`.
        """
        raise NotImplementedError

    def conclude(self, memory: Tensor, carried: Tensor, segments: Tensor) -> Tensor:
        """What a stream answers at its end, (batch, classes); raises `InputError` where it has answered all along."""
        raise NotImplementedError

    def carried_is_sound(self, carried: Tensor) -> tuple[Tensor, str]:
        """Where what is carried can be that of a stream, and what was expected."""
        raise NotImplementedError

    # What they have in common

    @property
    def recurs(self) -> bool:
        """Whether a memory links segments."""
        return isinstance(self.encoder, SegmentEncoder)

    @property
    def recurrent(self) -> SegmentEncoder:
        """The encoder, of a model that recurs over segments; others raise `InputError`."""
        if not isinstance(self.encoder, SegmentEncoder):
            raise InputError(f"the model {self.name!r} has no segments and no memory")
        return self.encoder

    @property
    def retention(self) -> Retention | None:
        """The laws that act on the memory, if there is one."""
        return self.encoder.retention if isinstance(self.encoder, SegmentEncoder) else None

    @property
    def trainable_law(self) -> Retention | None:
        """The same, if training moves them."""
        retention = self.retention
        return None if retention is None or retention.shift is None else retention

    def time_constants(self) -> list[list[float]] | None:
        """Of short-term plasticity, in tokens, as training has left them: a list a layer, a head each; None without."""
        layers = [block.attention.time_constants() for block in self.encoder.blocks]  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        return None if layers[0] is None else [layer.tolist() for layer in layers]

    def compile_segments(self, even: bool = False, **options: Any) -> Self:
        """Hand the step of a segment to `torch.compile`; it is compiled once for each shape. Returns the model.

        With ``even`` the last segment is padded to the length of the others, so that there is one shape whatever the
        length of a sequence. Of a model without segments the encoder is compiled, as torch does it.

        With torch's own ``dynamic=None``, code for any shape follows a second one, and the replay of a segment could
        meet other code than its forward pass did, which the checkpoint refuses.
        """
        if self.recurs:
            self._even = even
            self._compiled = torch.compile(type(self).segment, **{"dynamic": False, **options})
        else:
            self.encoder.compile(**options)
        return self

    @property
    def step(self) -> Step:
        """The step of a segment, compiled if `compile_segments` was called."""
        return self.segment if self._compiled is None else self._compiled_segment

    def _compiled_segment(self, *arguments: Any) -> tuple[Link, Tensor]:
        assert self._compiled is not None
        # Strides of a slice tell the length of the whole, and there would be code for each. Copied here, inside of
        # what is replayed, the copies are not held.
        return self._compiled(self, *tree_map_only(Tensor, Tensor.contiguous, arguments))

    def cut(self, tokens: Tensor, lengths: Tensor | None) -> Segments:
        """How a batch falls into segments."""
        return Segments(tokens, lengths, self.config.segment_length, self._even)

    def check_tokens(self, tokens: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Refuse ids out of range and lengths that do not fit; lengths where some are short, else None."""
        refuse_tracing()
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.dtype != torch.int64 or not tokens.numel():
            raise InputError(f"tokens: expected int64 of shape (batch, length), got {kind_of(tokens)}")
        table = self.encoder.embedding
        # A part that accelerate moves has its own hook, which moves the tokens, too.
        if tokens.device != table.weight.device and not hasattr(table, "_hf_hook"):
            raise InputError(f"tokens: are on {tokens.device}, expected {table.weight.device}, where the model is")
        low, high = (int(value) for value in tokens.aminmax())
        if low < 0 or high >= self.config.vocabulary:
            raise InputError(f"tokens: expected ids from 0 to {self.config.vocabulary - 1}, got {low} to {high}")
        if lengths is None:
            return None
        lengths = check_lengths(lengths, tokens, 1)
        return None if int(lengths.min()) == tokens.shape[1] else lengths

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; a model that was made on the meta device gets its constants, too, with ``assign``.

        Raises `InputError`, before anything is changed, for what `state_dict` gave of a model with other laws.
        """
        about = getattr(state_dict, "_metadata", {})
        for name, part in self.named_modules():
            if isinstance(part, Retention):
                part.require_own(about.get(name, {}))
        keys = super().load_state_dict(state_dict, strict, assign)
        restore_constants(self, self.encoder.embedding.weight.device)
        return keys

    def __getstate__(self) -> dict[str, Any]:
        """Without compiled code, which no copy and no other process can take over; there the model runs plainly."""
        return {**self.__dict__, "_compiled": None}

    def __dir__(self) -> list[str]:
        """What the model has, for those that look at all of it, as torch.jit does."""
        return [name for name in super().__dir__() if self.recurs or name != "recurrent"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and every part of it afterwards in the mode it was in."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
