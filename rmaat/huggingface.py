"""The classifiers of the family as models of `transformers` (the extra ``hf``).

Importing this module makes ``AutoConfig`` and ``AutoModelForSequenceClassification`` know the model type "rmaat":

>>> import rmaat.huggingface
>>> model = rmaat.huggingface.RMAATForSequenceClassification.wrap(rmaat.build_model("rmaat", config, laws))
>>> model.save_pretrained("FOLDER")
>>> model = transformers.AutoModelForSequenceClassification.from_pretrained("FOLDER")
>>> model.model  # the model itself, a `rmaat.models.classifier.SequenceClassifier`

Without `transformers`, `rmaat.save_pretrained` and `rmaat.from_pretrained` do the same with folders of their own.
"""

import os
import re
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from astro_sim.common.errors import InputError, brief
from astro_sim.common.extras import extras_named
from bridge.constants import Constants
from bridge.laws import Laws
from rmaat.attention.features import wide
from rmaat.config import RMAATConfig
from rmaat.hub import CONFIG, MODEL_TYPE, WEIGHTS, refuse_pickles, require_described
from rmaat.models.classifier import SequenceClassifier
from rmaat.models.registry import build_model
from rmaat.models.weights import order_metadata
from rmaat.training.processes import started_processes

with extras_named():
    from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

# Weights whole or in shards, and the list of the shards: those of an earlier save would be read in place of new ones.
STALE = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


class RMAATPreTrainedConfig(PreTrainedConfig):
    """What config.json of `transformers` holds.

    Attributes
    ----------
    model : str
        Name in the family.
    settings : dict
        Those of `RMAATConfig`.
    laws : dict, optional
        The contents of laws.json. They stand here rather than beside, for `transformers` fetches, copies and uploads
        config.json and the weights on its own, and would leave a file that it does not know behind.

    Raises
    ------
    InputError
        A folder that `rmaat.save_pretrained` wrote; another number of labels than the model has classes.
    """

    model_type: ClassVar[str] = MODEL_TYPE

    model: str = "rmaat"
    settings: dict[str, Any] | None = None
    laws: dict[str, Any] | None = None
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        if "schema_version" in kwargs:
            raise InputError(
                "config.json: written by rmaat.save_pretrained; expected rmaat.from_pretrained, and "
                "RMAATForSequenceClassification.wrap of what it gives"
            )
        classes = (self.settings or {}).get("classes")
        if classes is not None and self.id2label is None:
            kwargs.setdefault("num_labels", classes)
        super().__post_init__(**kwargs)
        if classes is not None and self.num_labels != classes:
            raise InputError(f"labels: expected {classes}, the classes of the model, got {self.num_labels}")

    def build(self) -> SequenceClassifier:
        """The model itself, with new weights.

        Raises
        ------
        InputError
            No settings or wrong ones, laws that are no laws, a model that does not classify.
        """
        laws = None if self.laws is None else Laws.from_json(self.laws, "config.json: laws")
        return _classifier(build_model(self.model, RMAATConfig(**self.settings or {}), laws))


class RMAATForSequenceClassification(PreTrainedModel):
    """A classifier of the family, whose inputs, outputs and files are those of `transformers`.

    Parameters
    ----------
    config : RMAATPreTrainedConfig
    model : SequenceClassifier, optional
        Built by ``config``; by default it is built here.
    """

    config_class = RMAATPreTrainedConfig
    config: RMAATPreTrainedConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    # The loss is the mean over a batch: a trainer that adds up several batches divides by their number.
    accepts_loss_kwargs = False

    def __init__(self, config: RMAATPreTrainedConfig, model: SequenceClassifier | None = None) -> None:
        super().__init__(config)
        self.model = config.build() if model is None else model
        self.post_init()

    @classmethod
    def wrap(cls, model: nn.Module) -> Self:
        """Take a model of the family as it is, weights and laws included.

        Raises
        ------
        InputError
            It is not a `SequenceClassifier`.
        """
        model = _classifier(model)
        laws = None if model.retention is None else model.retention.laws
        config = RMAATPreTrainedConfig(
            model=model.name,
            settings=model.config.model_dump(mode="json"),
            laws=None if laws is None else {**laws.document.model_dump(mode="json"), "digest": laws.digest},
        )
        return cls(config, model)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Classify.

        Parameters
        ----------
        input_ids : Tensor of int64, (batch, length); for pairs (batch, 2, length)
            0 is padding.
        attention_mask : Tensor, of the shape of ``input_ids``, optional
            1 on tokens, 0 on the padding that follows them; by default all are tokens.
        labels : Tensor of int64, (batch,), optional
        return_dict : bool, optional
            False: a tuple; by default as the configuration says.

        Returns
        -------
        SequenceClassifierOutput
            ``logits``, (batch, classes), and with labels ``loss``, their mean cross-entropy in nats.

        Raises
        ------
        InputError
            Padding on the left or between tokens, a row without tokens, a mask of another shape, ids out of range.
        """
        logits = self.model(input_ids, None if attention_mask is None else right_lengths(input_ids, attention_mask))
        loss = None if labels is None else cross_entropy(wide(logits), labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits)  # pyright: ignore[reportArgumentType]
        wanted = self.config.return_dict if return_dict is None else return_dict
        return output if wanted else output.to_tuple()

    def get_input_embeddings(self) -> nn.Module:
        """The table of tokens."""
        return self.model.encoder.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Take another table of tokens, and with it another vocabulary.

        Raises
        ------
        InputError
            It is no table of the model's width, or of fewer than 2 tokens.
        """
        model = self.model
        if not isinstance(value, nn.Embedding) or value.embedding_dim != model.config.width:
            raise InputError(f"embeddings: expected nn.Embedding of {model.config.width} features, got {brief(value)}")
        config = model.config.replace(vocabulary=value.num_embeddings)
        model.encoder.embedding = value
        model.config = model.encoder.config = config
        self.config.settings = config.model_dump(mode="json")

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Grow or shrink the vocabulary, as in `transformers`; the configuration goes with it.

        Raises
        ------
        InputError
            Before anything is changed: no whole number of tokens from 2, or of a multiple from 1.
        """
        for name, value, least in (("tokens", new_num_tokens, 2), ("pad_to_multiple_of", pad_to_multiple_of, 1)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(f"{name}: expected a whole number from {least}, got {brief(value)}")
        embedding = super().resize_token_embeddings(new_num_tokens, pad_to_multiple_of, mean_resizing)
        assert isinstance(embedding, nn.Embedding)
        return embedding

    def _init_weights(self, module: nn.Module) -> None:
        """Constants alone: the loader leaves empty tensors in place of what no file holds. Weights are all loaded, or
        the model has initialised itself, by other rules than those of `transformers`.
        """
        if isinstance(module, Constants):
            module.restore(next(module.buffers(recurse=False)).device)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: str | PathLike[str] | None, *model_args: Any, **kwargs: Any
    ) -> Any:
        """Load, as in `transformers`, but from safetensors alone and only what is complete.

        Raises
        ------
        InputError
            A pickle, or ``use_safetensors=False``, which asks for one; weights that are truncated; tensors of another
            shape, missing, or unknown to the model; what the configuration and `RMAATPreTrainedConfig.build` refuse.
        """
        where = pretrained_model_name_or_path
        if kwargs.pop("use_safetensors", None) is False:
            raise InputError("use_safetensors: False would read a pickle; only safetensors are read")
        if where is not None and Path(where).is_dir():
            refuse_pickles(Path(where))
        with_info = kwargs.pop("output_loading_info", False)
        # Other shapes are let through there to be refused here, in one line.
        kwargs.update(use_safetensors=True, ignore_mismatched_sizes=True, output_loading_info=True)
        try:
            loaded: Any = super().from_pretrained(where, *model_args, **kwargs)
        except SafetensorError as error:
            raise InputError(f"{where}: weights that are not readable, perhaps truncated ({brief(error)})") from None
        model, info = loaded
        for key, what in (
            ("mismatched_keys", "of another shape"),
            ("missing_keys", "missing"),
            ("unexpected_keys", "unknown to the model"),
        ):
            if tensors := info.get(key):
                names = sorted(tensor if isinstance(tensor, str) else tensor[0] for tensor in tensors)
                raise InputError(f"{where}: tensors {what}: {', '.join(names)}")
        return (model, info) if with_info else model

    def save_pretrained(self, save_directory: str | PathLike[str], *arguments: Any, **named: Any) -> None:
        """Write config.json and model.safetensors, as in `transformers`.

        All files are complete before the first one takes its place. (Not so where several processes write one folder
        together.)

        Raises
        ------
        InputError
            The folder's place is taken by a file; weights that are not those of the model as its configuration
            describes it (`rmaat.hub.require_described`).
        """
        folder = Path(save_directory)
        if not folder.is_dir() and any(path.is_file() for path in (folder, *folder.parents)):
            raise InputError(f"{folder}: a file; expected a folder, or a place for one")  # of which others only log
        if not getattr(self, "_hf_peft_config_loaded", False):  # then the adapter alone is saved
            with torch.device("meta"):
                described = RMAATForSequenceClassification(self.config)
            require_described(self.state_dict(), described.state_dict(), self.config.model)
        if started_processes() > 1:
            super().save_pretrained(save_directory, *arguments, **named)
            return
        folder.mkdir(parents=True, exist_ok=True)
        if named.get("push_to_hub"):
            named.setdefault("repo_id", folder.resolve().name)
        with TemporaryDirectory(prefix=f".{WEIGHTS}.", dir=folder) as temporary:
            super().save_pretrained(temporary, *arguments, **named)
            _move_in(Path(temporary), folder)


def _move_in(new: Path, folder: Path) -> None:
    """Let a model's files take their places, config.json last, and the weights of the one before go."""
    files = sorted(new.iterdir(), key=lambda path: path.name == CONFIG)
    for path in files:
        if path.suffix == ".safetensors":
            order_metadata(path)
        if (place := folder / path.name).exists() and not place.is_file():
            raise InputError(f"{place}: exists and is not a regular file")
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    (folder / CONFIG).unlink(missing_ok=True)  # until the new one is there, the folder is of no model
    names = {path.name for path in files}
    for old in folder.glob("model*.safetensors*"):
        if old.name not in names and STALE.fullmatch(old.name):
            old.unlink()
    for path in files:
        path.replace(folder / path.name)


def right_lengths(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Real tokens of every row, of a mask that has its zeros on the right.

    Raises
    ------
    InputError
        Another shape, zeros before a one, a row of zeros.
    """
    if attention_mask.shape != input_ids.shape:
        wanted, got = [*input_ids.shape], [*attention_mask.shape]
        raise InputError(f"attention_mask: expected the shape of input_ids, {wanted}, got {got}")
    real = attention_mask.bool()
    lengths = real.sum(-1)
    places = torch.arange(real.shape[-1], device=real.device)
    if not torch.equal(real, places < lengths[..., None]):
        raise InputError("attention_mask: expected padding on the right alone, got some before or between tokens")
    if int(lengths.min()) < 1:
        raise InputError("attention_mask: expected a token in every row, got a row of padding")
    return lengths


def _classifier(model: Any) -> SequenceClassifier:
    if not getattr(model, "classifies", False):
        raise InputError(f"{type(model).__name__}: expected a model that classifies (head classify or match)")
    return model


AutoConfig.register(MODEL_TYPE, RMAATPreTrainedConfig, exist_ok=True)
AutoModelForSequenceClassification.register(RMAATPreTrainedConfig, RMAATForSequenceClassification, exist_ok=True)
