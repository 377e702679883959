"""The adapter for transformers: same logits, same laws, through the Auto classes and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging

import rmaat
from astro_sim.common.errors import InputError
from rmaat.huggingface import RMAATForSequenceClassification, RMAATPreTrainedConfig, right_lengths
from rmaat.models.registry import RMAAT, build_model
from tests.rmaat.refusals import refuses

LABELS = torch.tensor([0, 4, 2])


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    yield
    if shown:
        logging.enable_progress_bar()


@pytest.fixture
def inputs(batch):
    tokens, lengths = batch
    return {"input_ids": tokens, "attention_mask": (torch.arange(tokens.shape[1]) < lengths[:, None]).long()}


@pytest.fixture
def folder(config, laws, tmp_path):
    RMAATForSequenceClassification.wrap(RMAAT(config, laws)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def load(folder, **options):
    return AutoModelForSequenceClassification.from_pretrained(folder, **options)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("rmaat", torch.float32),
        ("retnet", torch.float32),
        ("s4d", torch.float32),
        ("rmt", torch.float32),
        ("retnet", torch.float64),
        ("rmaat", torch.bfloat16),
    ],
)
def test_round_trip_through_the_auto_classes(config, laws, batch, inputs, tmp_path, name, dtype):
    model = build_model(name, config.replace(feedforward=90), laws).eval()
    model = model if dtype == torch.float32 else model.to(dtype)
    expected = model(*batch)
    RMAATForSequenceClassification.wrap(model).save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    loaded = load(tmp_path)
    assert type(loaded) is RMAATForSequenceClassification
    assert not loaded.training
    assert loaded.dtype == dtype
    assert loaded.config.num_labels == 5
    assert torch.equal(loaded(**inputs).logits, expected)
    for (name, value), (_, other) in zip(model.named_buffers(), loaded.model.named_buffers(), strict=True):
        assert value.dtype == other.dtype, name  # constants, which stand in no file
        assert torch.equal(value, other), name


def test_laws_that_were_trained_come_back(config, laws, inputs, tmp_path):
    model = RMAATForSequenceClassification.wrap(RMAAT(config.replace(trainable_laws=True), laws))
    with torch.no_grad():
        model.model.retention.shift.fill_(0.4)
    model.eval().save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.model.retention.laws.digest == laws.digest
    assert loaded.model.retention.trained().digest == model.model.retention.trained().digest
    assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)


def test_two_steps_of_training_and_a_second_round_trip(folder, inputs, tmp_path):
    model = load(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(2):
        output = model(**inputs, labels=LABELS, num_items_in_batch=3)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(output.loss.detach()))
    assert losses[1] < losses[0]
    model.eval().save_pretrained(tmp_path / "after")
    assert torch.equal(load(tmp_path / "after")(**inputs).logits, model(**inputs).logits)
    assert not torch.equal(load(folder)(**inputs).logits, model(**inputs).logits)


def test_forward(folder, inputs):
    model = load(folder)
    output = model(**inputs, labels=LABELS)
    expected = torch.nn.functional.cross_entropy(output.logits, LABELS)
    torch.testing.assert_close(output.loss, expected, rtol=0, atol=1e-6)
    assert model(**inputs).loss is None
    assert torch.equal(model(**inputs, return_dict=False)[0], output.logits)
    whole = {"input_ids": inputs["input_ids"][:1]}
    assert torch.equal(model(**whole).logits, model(**whole, attention_mask=torch.ones(1, 27)).logits)
    assert model.get_input_embeddings().weight.shape == (16, 8)


def test_pairs(config, laws, inputs, tmp_path):
    model = build_model("rmaat", config.replace(head="match"), laws).eval()
    pairs = {name: torch.stack([value, value.flip(0)], 1) for name, value in inputs.items()}
    RMAATForSequenceClassification.wrap(model).save_pretrained(tmp_path)
    lengths = pairs["attention_mask"].sum(-1)
    assert torch.equal(load(tmp_path)(**pairs).logits, model(pairs["input_ids"], lengths))


def test_a_model_from_a_configuration_alone(folder, inputs):
    config = AutoConfig.from_pretrained(folder)
    assert isinstance(config, RMAATPreTrainedConfig)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    assert model(**inputs).logits.shape == (3, 5)
    assert model.model.retention is not None
    # Its own initialisation, not the one of transformers: normal with 0.02
    assert model.model.encoder.embedding.weight.std() > 0.5


def test_the_random_state_decides_the_weights_as_without_transformers(config, laws):
    torch.manual_seed(3)
    plain = RMAAT(config, laws)
    torch.manual_seed(3)
    model = RMAATForSequenceClassification(RMAATForSequenceClassification.wrap(plain).config)
    weights = dict(plain.named_parameters())
    assert all(torch.equal(value, weights[name]) for name, value in model.model.named_parameters())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[0, 1, 1], [1, 1, 1]], "padding on the right alone"),
        ([[1, 0, 1], [1, 1, 1]], "padding on the right alone"),
        ([[1, 1, 1], [0, 0, 0]], "a row of padding"),
        ([[1, 1, 1]], r"expected the shape of input_ids, \[2, 3\], got \[1, 3\]"),
    ],
)
def test_masks_that_are_no_right_padding(mask, message):
    refuses(f"attention_mask: .*{message}", right_lengths, torch.ones(2, 3, dtype=torch.int64), torch.tensor(mask))


def test_lengths_of_a_mask():
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    for each in (mask, mask.bool(), mask.float()):
        assert right_lengths(torch.ones(2, 3, dtype=torch.int64), each).tolist() == [2, 1]


def test_folders_of_the_two_kinds_are_told_apart(folder, config, laws, tmp_path):
    refuses("written through transformers", rmaat.from_pretrained, folder)
    rmaat.save_pretrained(RMAAT(config, laws), tmp_path / "plain")
    refuses("written by rmaat.save_pretrained", load, tmp_path / "plain")


def test_only_classifiers(config, laws):
    model = build_model("rmaat", config.replace(head="language", classes=None), laws)
    refuses("LanguageModel: expected a model that classifies", RMAATForSequenceClassification.wrap, model)
    refuses("vocabulary: missing", RMAATPreTrainedConfig().build)


def test_a_configuration_that_was_changed(folder):
    path = folder / "config.json"
    written = path.read_text()
    raw = json.loads(written)
    raw["laws"]["retention"]["parameters"]["tau"]["value"] = 3.0
    path.write_text(json.dumps(raw))
    refuses("config.json: laws: ", load, folder)
    path.write_text(written)
    refuses("labels: expected 5, the classes of the model, got 3", load, folder, num_labels=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("model.encoder.memory"), "tensors missing: model.encoder.memory"),
        (lambda w: w.update(more=torch.zeros(1)), "tensors unknown to the model: more"),
        (lambda w: w.update({"model.encoder.memory": torch.zeros(2)}), "tensors of another shape: model.encoder.me"),
    ],
)
def test_weights_that_do_not_fit(folder, change, message):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refuses(message, load, folder)


def test_no_pickle_is_read(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    refuses("not readable, perhaps truncated", load, folder)
    path.write_bytes(whole)
    refuses("use_safetensors: False would read a pickle", load, folder, use_safetensors=False)
    path.rename(folder / "pytorch_model.bin")
    refuses("pytorch_model.bin: a pickle can run code", load, folder)


def test_a_file_in_the_way(config, laws, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: a file; expected a folder"):
        RMAATForSequenceClassification.wrap(RMAAT(config, laws)).save_pretrained(tmp_path / "file")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: parametrizations.weight_norm(m.model.head[1]), r"'rmaat' (has|lacks) 'model.head.1.param"),
        (
            lambda m: setattr(m.model.encoder.blocks[1], "norm_attention", m.model.encoder.blocks[0].norm_attention),
            "share memory; a folder would hold them as two: untie them",
        ),
        (lambda m: setattr(m, "extra", nn.Linear(2, 2)), "'rmaat' has 'extra.bias'"),
        (lambda m: setattr(m.model.encoder, "embedding", nn.Embedding(20, 8)), r"shape \[20, 8\], \[16, 8\] is desc"),
        (lambda m: m.config.settings.update(width=4), r"has the shape \[.*8\], \[.*4\] is described"),
    ],
)
def test_what_could_not_be_loaded_again_replaces_nothing(folder, change, message):
    model, before = load(folder), contents(folder)
    change(model)
    refuses(message, model.save_pretrained, folder)
    assert contents(folder) == before


def test_a_save_that_fails_leaves_the_older_model(folder, monkeypatch):
    model, before = load(folder), contents(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(folder)
    assert contents(folder) == before
    assert len(list(folder.iterdir())) == len(before)


def test_saving_over_another_model(folder, config, laws, inputs):
    """Plain on top of shards, shards on top of plain, and over what rmaat's own save_pretrained wrote."""
    model = load(folder)
    for options in ({"max_shard_size": "2KB"}, {}, {"max_shard_size": "2KB"}):
        with torch.no_grad():
            model.model.encoder.memory.add_(1.0)
        model.save_pretrained(folder, **options)
        assert (folder / "model.safetensors").exists() == (not options)
        assert (folder / "model.safetensors.index.json").exists() == bool(options)
        assert torch.equal(load(folder)(**inputs).logits, model(**inputs).logits)
    rmaat.save_pretrained(RMAAT(config, laws), folder.with_name("plain"))
    model.save_pretrained(folder.with_name("plain"))
    assert torch.equal(load(folder.with_name("plain"))(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize("tokens", [30, 10])
def test_a_vocabulary_can_grow_and_shrink(folder, inputs, tmp_path, tokens):
    model = load(folder)
    inputs = {**inputs, "input_ids": inputs["input_ids"].clamp(max=9)}
    before = model(**inputs).logits
    model.resize_token_embeddings(tokens)
    assert torch.equal(model(**inputs).logits, before)
    last = torch.full((1, 3), tokens - 1)
    expected = model(last).logits
    refuses(f"tokens: expected ids from 0 to {tokens - 1}", model, last + 1)
    model.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path)(last).logits, expected)
    assert load(tmp_path).config.settings["vocabulary"] == tokens
    model.resize_token_embeddings(pad_to_multiple_of=8)
    assert model.model.config.vocabulary == -(-tokens // 8) * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "tokens: expected a whole number from 2, got 0"),
        ((2.5,), "tokens: expected a whole number from 2, got 2.5"),
        ((True,), "tokens: expected a whole number from 2, got True"),
        ((20, 0), "pad_to_multiple_of: expected a whole number from 1, got 0"),
    ],
)
def test_no_vocabulary(folder, arguments, message):
    model = load(folder)
    before = model.model.encoder.embedding
    refuses(message, model.resize_token_embeddings, *arguments)
    for table in (nn.Embedding(20, 4), nn.Linear(8, 8)):
        refuses("embeddings: expected nn.Embedding of 8 features, got", model.set_input_embeddings, table)
    assert model.model.encoder.embedding is before
    assert model.model.config.vocabulary == 16
