"""laws.json: the same after a round trip, and what is refused beside the message it must give.

The files in laws/ are written by laws/make_examples.py.
"""

import copy
import json
import math
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bridge
from astro_sim.common.errors import InputError
from bridge.convert import convert
from bridge.laws import Laws
from bridge.schema import LawsDocument, json_schema

HERE = Path(__file__).parent / "laws"
SCHEMA = Path(bridge.__path__[0]) / "laws.schema.json"
VALID = sorted(HERE.glob("valid/*.json"))
INVALID = sorted(HERE.glob("invalid/*.json"))
MESSAGES = tomllib.loads((HERE / "invalid" / "messages.toml").read_text())


def stem(path):
    return path.stem


def strictly(text):
    """Parse as JSON is defined: without NaN."""

    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_schema_file_is_the_generated_one():
    assert SCHEMA.read_text() == json.dumps(json_schema(), indent=2) + "\n"
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("path", VALID, ids=stem)
def test_valid_files_are_read_and_written_back_byte_for_byte(path, tmp_path):
    laws = Laws.load(path)
    laws.save(tmp_path / "laws.json")
    assert (tmp_path / "laws.json").read_bytes() == path.read_bytes()
    assert Laws.load(tmp_path / "laws.json").digest == laws.digest == json.loads(path.read_text())["digest"]
    jsonschema.validate(json.loads(path.read_text()), json_schema())


def test_fitted_laws_survive_the_file(simulated, tmp_path):
    laws = bridge.fit_laws(list(simulated.values()), draws=2)
    laws.save(tmp_path / "new" / "laws.json")
    again = Laws.load(tmp_path / "new" / "laws.json")
    assert again.document == laws.document
    assert again.digest == laws.digest
    assert again.retention(16).tolist() == laws.retention(16).tolist()
    jsonschema.validate(strictly((tmp_path / "new" / "laws.json").read_text()), json_schema())


def test_every_invalid_file_has_its_message_and_every_message_its_file():
    assert {path.stem for path in INVALID} == set(MESSAGES)


@pytest.mark.parametrize("path", INVALID, ids=stem)
def test_invalid_files_are_refused_with_their_message(path):
    with pytest.raises(InputError) as caught:
        Laws.load(path)
    assert str(caught.value).startswith(f"{path}: {MESSAGES[path.stem]['message']}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", INVALID, ids=stem)
def test_the_json_schema_refuses_what_it_can(path):
    refused_by = MESSAGES[path.stem]["refused_by"]
    if refused_by == "json":
        with pytest.raises(ValueError):
            strictly(path.read_text())
        return
    value = strictly(path.read_text())
    valid = jsonschema.Draft202012Validator(json_schema()).is_valid(value)
    assert valid == (refused_by == "reader")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        Laws.load(tmp_path / "laws.json")
    assert str(caught.value) == f"{tmp_path / 'laws.json'}: no such laws file"


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from places(each, (*path, name))


BASE = json.loads((HERE / "valid" / "stretched.json").read_text())
OTHER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just([1]),
)


@settings(max_examples=300)
@given(place=st.sampled_from([p for p in places(BASE) if p]), other=OTHER, drop=st.booleans())
def test_no_change_of_a_file_goes_unnoticed_or_ends_in_another_error(place, other, drop):
    value = copy.deepcopy(BASE)
    inner = value
    for name in place[:-1]:
        inner = inner[name]
    if drop:
        del inner[place[-1]]
    elif type(inner[place[-1]]) in (int, float) and inner[place[-1]] == other:
        return  # 6 for 6.0 is no change
    else:
        inner[place[-1]] = other
    if value == BASE:
        return
    with pytest.raises(InputError):
        Laws.from_json(value)


@pytest.mark.parametrize("change", ["value", "origin", "seed", "versions"])
def test_the_digest_covers_everything(document, change):
    before = Laws.from_json(document).digest
    if change == "seed":
        document["sources"][0]["seed"] = 1
    elif change == "versions":
        document["versions"]["numpy"] = "1.0"
    else:
        number = document["presynaptic_exponent"]
        number[change] = 0.26 if change == "value" else "other"
    with pytest.raises(InputError, match="laws: the digest does not hold"):
        Laws.from_json(document)
    del document["digest"]
    assert Laws(LawsDocument.model_validate(document)).digest != before


@pytest.mark.parametrize("name", ["exponential", "stretched"])
def test_files_of_the_first_schema_are_converted(name):
    raw = json.loads((HERE / "schema_1" / f"{name}.json").read_text())
    with pytest.raises(InputError, match="^old.json: laws schema 1; rmaat laws convert old.json --out NEW.json makes"):
        Laws.from_json(raw, "old.json")
    laws = convert(raw)
    was, now = raw["retention"], laws.document.retention.model_dump(mode="json")
    assert {key: now[key] for key in was if key != "candidates"} == {k: v for k, v in was.items() if k != "candidates"}
    assert now["reached"] == pytest.approx(1 - math.exp(-1), rel=1e-12)  # six cycles of a time constant of six
    assert now["identifiable"]
    residuals = was["residuals"]
    freedom = 6 - len(was["parameters"]) - 1
    assert now["deviation"] == pytest.approx(math.sqrt(sum(r * r for r in residuals) / freedom), rel=1e-12)
    assert (now["draws"], now["spread"], now["noise"]) == (None, None, "levels")
    assert Laws.from_json({**laws.document.model_dump(mode="json"), "digest": laws.digest}).digest == laws.digest


def test_conversion_leaves_this_schema_alone_and_refuses_what_was_edited():
    raw = json.loads((HERE / "valid" / "stretched.json").read_text())
    assert convert(raw).digest == raw["digest"]
    old = json.loads((HERE / "schema_1" / "stretched.json").read_text())
    old["retention"]["start"] = 1.0
    with pytest.raises(InputError, match="^old.json: the digest does not hold"):
        convert(old, "old.json")
    with pytest.raises(InputError, match="^laws: not a laws file"):
        convert([])
