"""Models as folders, by the conventions of the Hugging Face Hub, without a pickle anywhere.

    FOLDER/config.json         which model, every setting, digest of its laws, type of its numbers, versions
           model.safetensors   weights, with the digest of the laws they were trained under
           laws.json           the laws, of a model that has them

>>> rmaat.save_pretrained(model, "FOLDER")
>>> model = rmaat.from_pretrained("FOLDER")  # or "owner/name" on the Hub
>>> rmaat.push_to_hub(model, "owner/name")
"""

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import torch
from huggingface_hub import HfApi, ModelCard, ModelCardData, snapshot_download
from huggingface_hub.errors import HFValidationError
from pydantic import ConfigDict, Field
from torch import Tensor

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import read_json, versions, whole_file, write_json
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.registry import build_model, get
from rmaat.models.weights import load_weights, save_weights
from rmaat.records import LAWS, WEIGHTS, Record

SCHEMA_VERSION = 1
MODEL_TYPE = "rmaat"
CONFIG = "config.json"
NO_LAWS = "none"  # stands where weights name their laws
DOWNLOAD = {"revision", "token", "cache_dir", "force_download", "local_files_only"}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

Dtype = Literal["float16", "bfloat16", "float32", "float64"]
DTYPES: dict[torch.dtype, Dtype] = {
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float32: "float32",
    torch.float64: "float64",
}


class Description(Record):
    """What stands in config.json."""

    model_config = ConfigDict(strict=True)

    model_type: Literal["rmaat"] = MODEL_TYPE
    schema_version: Literal[1] = SCHEMA_VERSION
    model: str = Field(description="name in the family")
    config: dict[str, Any] = Field(description="settings, rmaat.RMAATConfig")
    laws_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        description="of laws.json; null of a model without laws"
    )
    dtype: Dtype = Field(description="type of the weights")
    versions: dict[str, str] = Field(description="of the packages that wrote the folder")


CARD = """---
{{ card_data }}
---

# {{ model }}

A model of rmaat (arXiv 2601.00426): its memory and its attention are shaped by laws of astrocyte plasticity.

```python
import rmaat

model = rmaat.from_pretrained("{{ repo }}")
```
"""


def save_pretrained(model: Model, folder: str | Path) -> None:
    """Write config.json, model.safetensors and, of a model with laws, laws.json.

    Files of these names are replaced, others are left alone. All are complete before the first one takes its place, so
    that a disk that fills up leaves the folder as it was; config.json comes last, so that a folder in which the files
    of two models may have met has none.

    Parameters
    ----------
    model : Model
    folder : str or Path
        Made if it does not exist.

    Raises
    ------
    InputError
        A file is in the way, a model that is not of the family, weights of several types, weights that are not those
        of the model as it is described (`require_described`).
    """
    description, folder = _describe(model), Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: expected a folder, or a place for one; a file is in the way") from None
    config = folder / CONFIG
    with ExitStack() as places:  # which the files take in turn, the last entered first
        new_config = places.enter_context(whole_file(config))
        write_json(new_config, description.model_dump(mode="json"))
        if model.retention is not None:
            model.retention.laws.save(places.enter_context(whole_file(folder / LAWS)))
        new_weights = places.enter_context(whole_file(folder / WEIGHTS))
        save_weights(model, new_weights, description.laws_digest or NO_LAWS)
        config.unlink(missing_ok=True)
        if model.retention is None:
            (folder / LAWS).unlink(missing_ok=True)  # of the model that was here before


def push_to_hub(
    model: Model,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    branch: str | None = None,
    message: str = "Model of rmaat",
) -> str:
    """Upload what `save_pretrained` writes, and a model card where the repository has none.

    Parameters
    ----------
    model : Model
    repo_id : str
        ``"owner/name"``; made if it does not exist.
    private : bool, optional
        Of a repository that is made; by default as the owner's settings say.
    token, branch, message
        As everywhere in `huggingface_hub`.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    InputError
        What `save_pretrained` refuses.
    """
    api = HfApi(token=token, library_name="rmaat")
    with TemporaryDirectory() as temporary:
        save_pretrained(model, temporary)
        repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if not api.file_exists(repo, "README.md", revision=branch):
            data = ModelCardData(library_name="rmaat", tags=["rmaat", "astromorphic"])
            ModelCard.from_template(data, template_str=CARD, model=model.name, repo=repo).save(f"{temporary}/README.md")
        return str(api.upload_folder(repo_id=repo, folder_path=temporary, revision=branch, commit_message=message))


def from_pretrained(
    folder_or_repo_id: str | Path, *, map_location: str | torch.device = "cpu", **download: Any
) -> Model:
    """Build the model that a folder, or a repository on the Hub, holds.

    Parameters
    ----------
    folder_or_repo_id : str or Path
        A folder that `save_pretrained` wrote, or ``"owner/name"`` of a repository on the Hub.
    map_location : str or torch.device
        Where the model shall be.
    **download
        How to fetch from the Hub: ``revision``, ``token``, ``cache_dir``, ``force_download``, ``local_files_only``, as
        everywhere in `huggingface_hub`.

    Returns
    -------
    Model
        In evaluation mode; logits are those of the model that was saved.

    Raises
    ------
    InputError
        No such folder or repository; a file that is missing, broken, of another kind or a pickle; an unknown model
        or setting; laws or weights that do not belong together.
    """
    if unknown := sorted(download.keys() - DOWNLOAD):
        raise InputError(f"from_pretrained: unknown {', '.join(unknown)}; the model is as its {CONFIG} says")
    folder = Path(folder_or_repo_id)
    try:
        there = folder.exists()
    except OSError:  # a name that is too long for one
        there = False
    folder = folder if there else _download(folder_or_repo_id, download)
    if not folder.is_dir():
        raise InputError(f"{folder}: a file; expected the folder of a model")
    refuse_pickles(folder)
    description = _read_description(folder / CONFIG)
    laws = _read_laws(folder, description.laws_digest)
    try:
        model = build_model(description.model, RMAATConfig(**description.config), laws)
    except InputError as error:
        raise InputError(f"{folder / CONFIG}: {error}") from None
    if (laws is None) != (model.retention is None):
        raise InputError(f"{folder / CONFIG}: laws_digest: expected null, {description.model!r} has no memory")
    if description.dtype != "float32":  # which it has; asked for anew it would round constants in float64
        model.to(getattr(torch, description.dtype))
    load_weights(model, folder / WEIGHTS, NO_LAWS if laws is None else laws.digest)
    return model.to(map_location).eval()


def _describe(model: Model) -> Description:
    """What config.json will say; raises `InputError` for a model that could not be loaded from it again."""
    get(model.name)
    state = model.state_dict()
    types = {value.dtype for value in state.values()}
    dtype = DTYPES.get(next(iter(types)))
    if len(types) > 1 or dtype is None:
        given = ", ".join(sorted(map(str, types)))
        raise InputError(f"weights: expected one type out of {', '.join(DTYPES.values())}, got {given}")
    laws = None if model.retention is None else model.retention.laws
    with torch.device("meta"):
        described = build_model(model.name, model.config, laws)
    require_described(state, described.state_dict(), model.name)
    return Description(
        model=model.name,
        config=model.config.model_dump(mode="json"),
        laws_digest=None if laws is None else laws.digest,
        dtype=dtype,
        versions=versions("rmaat", "torch", "safetensors"),
    )


def require_described(state: Mapping[str, Tensor], described: Mapping[str, Tensor], name: str) -> None:
    """Refuse to save weights that could not be loaded again as what they are.

    Parameters
    ----------
    state : mapping
        Of the model as it is.
    described : mapping
        State of a model that is made anew as config.json will say, on whatever device.
    name : str
        Of the model.

    Raises
    ------
    InputError
        Tensors that are missing, one too many (of a parametrisation or an adapter), of another shape, without values
        (on the meta device), or that share memory (tied weights).
    """
    mend = "expected the model as its configuration describes it, without parametrisations, adapters or resized parts"
    if names := sorted(state.keys() ^ described.keys()):
        here = "has" if names[0] in state else "lacks"
        raise InputError(f"weights: {name!r} {here} {brief(names[0])!r}; {mend}")
    for key, value in state.items():
        if value.shape != described[key].shape:
            got, wanted = [*value.shape], [*described[key].shape]
            raise InputError(f"weights: {key!r} has the shape {got}, {wanted} is described; {mend}")
        if value.is_meta:
            raise InputError(f"weights: {key!r} is on the meta device and has no values")
    # A shard of a weight has memory of its own.
    spans = sorted((v.data_ptr(), v.data_ptr() + v.nbytes, key) for key, v in state.items() if type(v) is Tensor)
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end:
            raise InputError(
                f"weights: {one!r} and {other!r} share memory; a folder would hold them as two: untie them"
            )


def _download(model_id: str | Path, options: dict[str, Any]) -> Path:
    """The three files of a repository, all of one commit."""
    if isinstance(model_id, Path):
        raise InputError(f"{brief(model_id)}: no such folder")
    try:
        return Path(snapshot_download(model_id, allow_patterns=[CONFIG, WEIGHTS, LAWS], **options))
    except HFValidationError:
        raise InputError(f"{brief(model_id)}: no such folder, and not a name on the Hub (owner/name)") from None
    except Exception as error:  # the Hub's errors, and those of its HTTP client, have no base in common
        raise InputError(
            f"{brief(model_id)}: no such folder, and nothing to be had from the Hub ({brief(error)})"
        ) from None


def refuse_pickles(folder: Path) -> None:
    """Say what is wrong where a pickle stands for the weights, under its own name or under theirs."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        pickles = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICKLES)
        if pickles:
            raise InputError(f"{pickles[0]}: a pickle can run code when it is read; only safetensors are read")
        return
    with weights.open("rb") as stream:
        head = stream.read(9)
    # A pickle begins with \x80, what torch.save writes with a zip header; safetensors have "{" behind eight bytes.
    if head[8:] != b"{" and head.startswith((b"\x80", b"PK")):
        raise InputError(f"{weights}: a pickle under another name; only safetensors are read")


def _read_description(path: Path) -> Description:
    raw = read_json(path, "model configuration")
    if not isinstance(raw, dict) or raw.get("model_type") != MODEL_TYPE:
        type_ = raw.get("model_type") if isinstance(raw, dict) else raw
        raise InputError(f"{path}: not the configuration of a model of {MODEL_TYPE} (model_type {brief(type_)!r})")
    if "transformers_version" in raw:
        raise InputError(
            f"{path}: written through transformers; expected AutoModelForSequenceClassification.from_pretrained, after "
            "import rmaat.huggingface"
        )
    if (version := raw.get("schema_version")) != SCHEMA_VERSION:
        raise InputError(f"{path}: model schema {brief(version)}; this version reads {SCHEMA_VERSION}")
    return Description.parse(raw, str(path))


def _read_laws(folder: Path, digest: str | None) -> Laws | None:
    if digest is None:
        return None
    laws = Laws.load(folder / LAWS)
    if laws.digest != digest:
        raise InputError(f"{folder / LAWS}: other laws (digest {laws.digest[:12]}, {CONFIG} names {digest[:12]})")
    return laws
