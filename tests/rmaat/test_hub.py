"""Folders of models: what is saved is what comes back, and whatever else lies there is refused in one line."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations

import rmaat
from astro_sim.common.errors import InputError
from rmaat.models import weights
from rmaat.models.classifier import SequenceClassifier
from rmaat.models.registry import MEMBERS, RMAAT, build_model
from tests.rmaat.refusals import refuses

FILES = ["config.json", "laws.json", "model.safetensors"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(one, other, batch) -> bool:
    one.eval()
    with torch.no_grad():
        return torch.equal(one(*batch), other(*batch))


@pytest.fixture
def folder(config, laws, tmp_path) -> Path:
    """RMAAT with laws, saved."""
    rmaat.save_pretrained(RMAAT(config, laws), tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- what comes back


@pytest.mark.parametrize(
    ("name", "changes", "dtype"),
    [
        *((name, {"feedforward": 90}, torch.float32) for name in MEMBERS),
        *((name, {}, dtype) for name in ("rmaat", "retnet") for dtype in (torch.float64, torch.bfloat16)),
        *((name, {"head": "language", "classes": None}, torch.float32) for name in ("rmaat", "retnet")),
        *((name, {"head": "match"}, torch.float32) for name in ("rmaat", "retnet")),
    ],
)
def test_every_model_comes_back(config, laws, batch, tmp_path, name, changes, dtype):
    """With its head and the type of its numbers; constants, some of them in float64, as they were."""
    model = build_model(name, config.replace(**changes), laws).to(dtype)
    rmaat.save_pretrained(model, tmp_path / "new" / "model")
    loaded = rmaat.from_pretrained(tmp_path / "new" / "model")
    assert type(loaded) is type(model)
    assert (loaded.name, loaded.config, loaded.training) == (name, model.config, False)
    assert names(tmp_path / "new" / "model") == (FILES if model.retention else [FILES[0], FILES[2]])
    tokens, lengths = batch
    if changes.get("head") == "match":
        tokens, lengths = torch.stack([tokens, tokens.flip(0)], 1), torch.stack([lengths, lengths.flip(0)], 1)
    assert same(model, loaded, (tokens, lengths))
    for (buffer, value), (_, other) in zip(model.named_buffers(), loaded.named_buffers(), strict=True):
        assert value.dtype == other.dtype, buffer
        assert torch.equal(value, other), buffer


@pytest.mark.parametrize("rule", ["scale", "consolidate"])
def test_laws_that_were_trained_come_back(config, laws, batch, tmp_path, rule):
    model = RMAAT(config.replace(trainable_laws=True, memory_rule=rule), laws)
    with torch.no_grad():
        model.retention.shift.fill_(0.4)
    rmaat.save_pretrained(model, tmp_path)
    loaded = rmaat.from_pretrained(tmp_path)
    assert loaded.retention.trained().digest == model.retention.trained().digest != laws.digest
    assert loaded.retention.laws.digest == laws.digest  # where training began
    assert same(model, loaded, batch)


@pytest.mark.parametrize("kind", ["random", "reversed", "slower"])
def test_perturbed_laws_come_back(config, laws, batch, tmp_path, kind):
    model = RMAAT(config, laws.perturbed(kind))
    rmaat.save_pretrained(model, tmp_path)
    assert same(model, rmaat.from_pretrained(tmp_path), batch)


def test_it_can_be_saved_again_and_copied(folder, batch, tmp_path):
    loaded = rmaat.from_pretrained(str(folder))
    rmaat.save_pretrained(loaded, tmp_path / "again")
    for name in FILES[:2]:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    once, again = (load_file(each / FILES[2]) for each in (folder, tmp_path / "again"))
    assert once.keys() == again.keys()
    assert all(torch.equal(once[name], again[name]) for name in once)
    copied = copy.deepcopy(loaded)
    assert same(loaded, copied, batch)
    with torch.no_grad():
        copied.encoder.memory.zero_()
    assert not same(loaded, copied, batch)


def test_what_stands_in_the_folder(folder, config, laws):
    described = json.loads((folder / "config.json").read_text())
    assert set(described.pop("config")) == set(type(config).model_fields)
    assert set(described.pop("versions")) == {"rmaat", "torch", "safetensors"}
    assert described.items() >= {
        "model_type": "rmaat", "model": "rmaat", "schema_version": 1, "laws_digest": laws.digest, "dtype": "float32",
    }.items()  # fmt: skip
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert set(file.metadata()) == {"laws_digest", "format", weights.TENSORS}


def test_saving_replaces_another_model_and_leaves_other_files(folder, config, batch):
    (folder / "notes.txt").write_text("mine")
    model = build_model("transformer", config)
    rmaat.save_pretrained(model, folder)
    assert names(folder) == ["config.json", "model.safetensors", "notes.txt"]
    assert same(model, rmaat.from_pretrained(folder), batch)


# --- the hub


def test_pushing_uploads_what_is_saved(config, laws, batch, tmp_path, monkeypatch):
    """And a card, where there is none."""
    created, uploaded, there = [], [], []

    class Url:
        repo_id = "owner/model"

    def create(self, repo_id, **options):
        created.append((repo_id, options["private"]))
        return Url

    def upload(self, *, folder_path, **options):
        uploaded.append(names(Path(folder_path)))
        shutil.copytree(folder_path, tmp_path / f"copy {len(uploaded)}")
        return "address"

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "file_exists", lambda *_, **__: bool(there))
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    model = RMAAT(config, laws)
    assert rmaat.push_to_hub(model, "owner/model", private=True) == "address"
    there.append("README.md")
    assert rmaat.push_to_hub(model, "model") == "address"
    assert created == [("owner/model", True), ("model", None)]
    assert uploaded == [sorted(["README.md", *FILES]), FILES]
    card = (tmp_path / "copy 1" / "README.md").read_text()
    assert "library_name: rmaat" in card
    assert 'rmaat.from_pretrained("owner/model")' in card
    assert same(model, rmaat.from_pretrained(tmp_path / "copy 2"), batch)


def test_a_repository_that_was_fetched_before_is_read_offline(folder, config, laws, batch, tmp_path):
    commit = "0123456789" * 4
    repository = tmp_path / "cache" / "models--owner--model"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    options = {"cache_dir": tmp_path / "cache", "local_files_only": True}
    loaded = rmaat.from_pretrained("owner/model", **options)
    assert same(rmaat.from_pretrained(folder), loaded, batch)
    with pytest.raises(InputError, match="owner/model: no such folder, and nothing to be had from the Hub"):
        rmaat.from_pretrained("owner/model", revision="other", **options)
    with pytest.raises(InputError, match="owner/nothing: no such folder, and nothing to be had from the Hub"):
        rmaat.from_pretrained("owner/nothing", **options)


def test_only_the_three_files_are_fetched(folder, batch, monkeypatch):
    asked = []

    def download(repo_id, **options):
        asked.append((repo_id, options["allow_patterns"], options["revision"]))
        return str(folder)

    monkeypatch.setattr("rmaat.hub.snapshot_download", download)
    assert same(rmaat.from_pretrained("owner/model", revision="v1"), rmaat.from_pretrained(folder), batch)
    assert asked == [("owner/model", ["config.json", "model.safetensors", "laws.json"], "v1")]


def test_no_network_is_one_line(monkeypatch):
    def download(repo_id, **options):
        raise ConnectionError("no route to the Hub\nand a long story")

    monkeypatch.setattr("rmaat.hub.snapshot_download", download)
    refuses(r"^runs/best: no such folder, and .* \(no route to the Hub\)$", rmaat.from_pretrained, "runs/best")


# --- what is refused


def test_a_folder_that_is_none(tmp_path):
    refuses("missing: no such folder$", rmaat.from_pretrained, tmp_path / "missing")
    refuses("missing: no such folder, and not a name on the Hub", rmaat.from_pretrained, str(tmp_path / "missing"))
    assert len(refuses(r"xxx \.\.\. \(10,000 characters\): no such folder", rmaat.from_pretrained, "x" * 10_000)) < 300
    (tmp_path / "file").write_text("")
    refuses("file: a file; expected the folder of a model", rmaat.from_pretrained, tmp_path / "file")


def test_an_option_that_loading_has_not(folder):
    refuses("unknown strict; the model is as its config.json says", rmaat.from_pretrained, folder, strict=False)


def test_a_place_that_is_taken(config, laws, tmp_path):
    (tmp_path / "file").write_text("mine")
    model = RMAAT(config, laws)
    for target in ("file", "file/inside"):
        with pytest.raises(InputError, match="expected a folder, or a place for one; a file is in the way"):
            rmaat.save_pretrained(model, tmp_path / target)
    assert (tmp_path / "file").read_text() == "mine"


def test_models_that_could_not_be_loaded_again_are_not_saved(config, laws, tmp_path):
    model = RMAAT(config, laws)
    refuses("unknown model 'mine'", rmaat.save_pretrained, SequenceClassifier("mine", model.encoder), tmp_path)
    model.head.double()
    refuses("weights: expected one type .* got torch.float32, torch.float64", rmaat.save_pretrained, model, tmp_path)
    assert names(tmp_path) == []


def described(**changes):
    return lambda folder: edit(folder, **changes)


def configured(**changes):
    """A change of the model's own settings."""

    def change(folder):
        edit(folder, config={**json.loads((folder / "config.json").read_text())["config"], **changes})

    return change


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def removed(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def cut(share):
    """The first part of the weights."""

    def change(folder):
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: int(share * len(whole))])

    return change


def flip_a_bit(folder):
    """The format has no checksum of its own: the bit would be a weight like any other."""
    raw = bytearray((folder / "model.safetensors").read_bytes())
    raw[-3] ^= 1
    (folder / "model.safetensors").write_bytes(raw)


def leave_out_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.memory"]
    digest = json.loads((folder / "config.json").read_text())["laws_digest"]
    save_file(tensors, folder / "model.safetensors", {"laws_digest": digest})


def pickled(name, *beside, zipped=True):
    """The weights as a pickle of this name, and without the files of others."""

    def change(folder):
        state = load_file(folder / "model.safetensors")
        removed("model.safetensors", *beside)(folder)
        torch.save(state, folder / name, _use_new_zipfile_serialization=zipped)

    return change


NO_CONFIG = r"config.json: not (a model configuration|the configuration of a model)"
TRUNCATED = "model.safetensors: not a readable safetensors file, perhaps truncated"
PICKLE = "a pickle can run code when it is read; only safetensors are read"
BROKEN = [
    (described(model_type="bert"), "not the configuration of a model of rmaat .model_type 'bert'"),
    (described(schema_version=2), "model schema 2; this version reads 1"),
    (described(transformers_version="5"), "written through transformers; expected AutoModelForSequenceClassification"),
    (described(modle=1), "unknown setting 'modle' of Description; did you mean 'model'"),
    (described(model="rmat"), "unknown model 'rmat'; did you mean"),
    (described(dtype="int8"), "dtype: expected"),
    (described(laws_digest="abc"), "laws_digest: "),
    (described(laws_digest=None), "'consolidate'"),
    (described(laws_digest=64 * "0"), r"laws.json: other laws \(digest \w+, config.json names 000000000000"),
    (described(model="transformer"), "laws_digest: expected null, 'transformer' has no memory"),
    (configured(widht=8), "unknown setting 'widht' of RMAATConfig; did you mean 'width'"),
    (configured(width="wide"), "width: expected a valid integer"),
    (configured(width=16), r"model.safetensors: '.*' has the shape \[.*8\], expected \[.*16\]"),
    (configured(depth=3), r"model.safetensors: the tensor '.*blocks\.2.*' is missing"),
    (configured(depth=1), "model.safetensors: tensors that the model does not have: .*blocks"),
    *((written("config.json", raw), NO_CONFIG) for raw in (b"{", b"[1, 2]", b'"rmaat"', b"null", b"\0\1")),
    (removed("config.json"), "config.json: no such model configuration"),
    (removed("laws.json"), "laws.json: no such laws file"),
    (removed("model.safetensors"), "model.safetensors: no such weights"),
    (leave_out_a_tensor, "the tensor 'encoder.memory' is missing"),
    (flip_a_bit, "model.safetensors: its tensors were damaged or changed"),
    *((cut(share), TRUNCATED) for share in (0.0, 0.01, 0.5, 0.99)),
    *((pickled(name), f"{name}: {PICKLE}") for name in ("pytorch_model.bin", "best.pt", "best.pth", "last.CKPT")),
    (pickled("model.pkl", "config.json"), f"model.pkl: {PICKLE}"),
    (pickled("model.safetensors"), "model.safetensors: a pickle under another name; only safetensors are read"),
    (pickled("model.safetensors", zipped=False), "model.safetensors: a pickle under another name; only safetensors"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_broken_folder_is_refused(folder, change, message):
    change(folder)
    assert str(folder) in refuses(message, rmaat.from_pretrained, folder)


def test_other_laws(folder, config, laws, other_laws, tmp_path):
    other_laws.save(folder / "laws.json")
    refuses("laws.json: other laws", rmaat.from_pretrained, folder)
    edit(folder, laws_digest=other_laws.digest)  # now only the weights remember
    refuses("model.safetensors: made with other laws", rmaat.from_pretrained, folder)


# --- what was there stays whole


def tied(model):
    model.encoder.blocks[1].feedforward[0].weight = model.encoder.blocks[0].feedforward[0].weight


def views(model):
    """Two weights that are the two halves, overlapping in a row, of one tensor."""
    flat = torch.zeros(3 * 8)
    norms = [block.norm_attention for block in model.encoder.blocks]
    norms[0].weight, norms[1].weight = nn.Parameter(flat[:8]), nn.Parameter(flat[4:12])


CHANGED = [
    (tied, "'encoder.blocks.[01].feedforward.0.weight' and 'encoder.blocks.[01].feedforward.0.weight' share memory"),
    (views, "'encoder.blocks.0.norm_attention.weight' and 'encoder.blocks.1.norm_attention.weight' share memory"),
    (lambda m: parametrizations.weight_norm(m.head[1]), r"'rmaat' (has|lacks) 'head.1.param"),
    (lambda m: parametrizations.spectral_norm(m.head[1]), r"'rmaat' (has|lacks) 'head.1.param"),
    (lambda m: m.add_module("adapter", nn.Linear(2, 2)), "'rmaat' has 'adapter.bias'"),
    (lambda m: setattr(m, "head", nn.Identity()), "'rmaat' lacks 'head.0.bias'"),
    (lambda m: setattr(m.encoder, "embedding", nn.Embedding(30, 8)), r"embedding.weight' has the shape \[30, 8\]"),
    (lambda m: m.to("meta"), "is on the meta device and has no values"),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("change", "message"), CHANGED)
def test_weights_that_could_not_be_loaded_again_replace_nothing(folder, config, laws, change, message):
    model, before = RMAAT(config, laws), contents(folder)
    change(model)
    refuses(message, rmaat.save_pretrained, model, folder)
    assert contents(folder) == before
    refuses(message, rmaat.save_pretrained, model, folder.with_name("new"))
    assert not folder.with_name("new").exists()


@pytest.mark.parametrize("fails", ["laws", "weights"])
def test_a_disk_that_fills_up_leaves_the_older_model(folder, config, laws, monkeypatch, fails):
    before = contents(folder)

    def full(*arguments, **named):
        raise OSError(28, "No space left on device", "somewhere")

    at = {"laws": "bridge.laws.write_text", "weights": "rmaat.models.weights.save_file"}[fails]
    monkeypatch.setattr(at, full)
    with pytest.raises(OSError, match="No space left"):
        rmaat.save_pretrained(RMAAT(config, laws), folder)
    assert contents(folder) == before


def test_a_folder_in_the_place_of_a_file(folder, config, laws):
    (folder / "laws.json").unlink()
    (folder / "laws.json").mkdir()
    before = (folder / "config.json").read_bytes()
    refuses("laws.json: exists and is not a regular file", rmaat.save_pretrained, RMAAT(config, laws), folder)
    assert (folder / "config.json").read_bytes() == before
    assert names(folder) == FILES


def test_files_of_two_models_never_stand_under_one_description(folder, config, laws, monkeypatch):
    """A process that is killed between two renames: what is left is no model, and says so."""
    replaced, replace = [], os.replace

    def killed(source, target):
        if Path(target).name not in FILES:
            return replace(source, target)
        replaced.append(Path(target).name)
        raise KeyboardInterrupt

    monkeypatch.setattr("astro_sim.common.files.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        rmaat.save_pretrained(RMAAT(config.replace(readout="last"), laws), folder)
    assert replaced == ["model.safetensors"]
    refuses("config.json: no such model configuration", rmaat.from_pretrained, folder)


def test_equal_weights_are_equal_bytes(tmp_path):
    """safetensors writes metadata in an order that differs from time to time: 6 orders of 3, so 30 files tell."""
    tensors, found = {"b": torch.ones(3), "a": torch.zeros(2, 5), "é": torch.ones(1)}, set()
    for number in range(30):
        path = tmp_path / f"{number}.safetensors"
        weights.write_weights(tensors, path, "d", 7)
        found.add(path.read_bytes())
    assert len(found) == 1
    with safe_open(path, "pt") as file:
        assert file.metadata().items() > {"format": "pt", "laws_digest": "d", "step": "7"}.items()
        assert all(torch.equal(file.get_tensor(name), value) for name, value in tensors.items())
