"""laws.json: the same after a round trip, and what is refused beside the message it must give."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bridge
from astro_sim.common.errors import InputError
from astro_sim.common.files import digest
from bridge.laws import Laws
from bridge.schema import LawsDocument, json_schema

HERE = Path(__file__).parent / "laws"
SCHEMA = Path(bridge.__path__[0]) / "laws.schema.json"
VALID = sorted(HERE.glob("valid/*.json"))
BASE = json.loads((HERE / "valid" / "stretched.json").read_text())
DROP = object()
DOES_NOT_HOLD = "the digest does not hold; the file was changed after it was written"
STRETCHED = "retention law 'stretched_exponential': expected parameters ['b', 'tau'], got"
SIDEWAYS = {"kind": "sideways", "factor": None, "seed": None, "of": "1" * 64}
TAU = "retention.parameters.tau"
# Single faults of the stretched example: where, what stands there, the message, and what refuses it first, which is
# reading JSON, the JSON schema, or our reader alone. The digest is that of the faulty contents, so that nothing but the
# fault can be what is refused.
FAULTS = [
    ("schema_version", 1, "laws schema 1; this version reads 2", "schema"),
    ("schema_version", 3, "laws schema 3; this version reads 2", "schema"),
    ("schema_version", DROP, "laws schema None; this", "schema"),
    ("kind", "laws", "not a laws file (expected kind 'astromorphic-laws')", "schema"),
    ("kind", DROP, "not a laws file", "schema"),
    ("author", "me", "unknown setting 'author' of LawsDocument; known: ", "schema"),
    ("retention.taus", 1.0, "unknown setting 'retention.taus' of Laws", "schema"),
    ("retention", DROP, "retention: missing", "schema"),
    ("retention.amplitude.unit", DROP, "retention.amplitude.unit: mis", "schema"),
    ("spatial_decay", DROP, "spatial_decay: missing", "schema"),
    ("retention.tau_cycle", "10.0", "retention.tau_cycle: expected a valid number, got '10.0'", "schema"),
    ("retention.family", 1, "retention.family: expected a valid string, got 1", "schema"),
    ("retention.converged", 1, "retention.converged: expected a valid bool", "schema"),
    ("retention.start", True, "retention.start: expected a valid number", "schema"),
    ("retention.r_squared", None, "retention.r_squared: expected a valid number", "schema"),
    ("retention.tau_cycle", 0.0, "retention.tau_cycle: expected greater than 0", "schema"),
    ("retention.peak_cycle", 0, "retention.peak_cycle: expected greater than or", "schema"),
    ("retention.samples", [], "retention.samples: expected ", "schema"),
    ("retention.reached", 1.5, "retention.reached: expected less than or equal", "schema"),
    ("sources", [], "sources: expected ", "schema"),
    ("sources.0.digest", "abc", "sources.0.digest: expected ", "schema"),
    ("perturbation", SIDEWAYS, "perturbation.kind: expected 'flat', ", "schema"),
    (f"{TAU}.value", float("nan"), f"{TAU}.value: expected a fin", "json"),
    ("retention.samples.0", float("inf"), "retention.samples.0: expected a finite number", "json"),
    ("sources.0.settings.x", float("nan"), DOES_NOT_HOLD, "json"),
    (
        "retention.family",
        "strechted_exponential",
        "unknown law family 'strechted_exponential'; did you mean 'stretched_exponential'?",
        "reader",
    ),
    ("retention.parameters.b", DROP, f"{STRETCHED} ['tau']", "reader"),
    ("retention.parameters.c", BASE["retention"]["parameters"]["b"], f"{STRETCHED} ['b', 'c', 'tau']", "reader"),
    (f"{TAU}.value", -6.0, "stretched_exponential law: expected tau in 0.05 to 100000, got -6", "reader"),
    ("retention.parameters.b.value", 100.0, "stretched_exponential law: expected b in 0.05 to 10, got 100", "reader"),
    (f"{TAU}.unit", "s", "tau: expected the unit cycles, got 's'", "reader"),
    ("retention.unit", "1", "amplitude: expected the unit 1, got 'a.u.'", "reader"),
    ("spatial_decay.unit", "1/um", "spatial_decay: expected the unit 1/spacing, got '1/um'", "reader"),
    ("short_term.s.unit", "ms", "short_term.s: expected the unit s, got 'ms'", "reader"),
    (
        "retention.candidates.0.parameters.b",
        DROP,
        f"candidate {STRETCHED.removeprefix('retention law ')} ['tau']",
        "reader",
    ),
    ("retention.samples", [0.1] * 5, "retention.samples: expected 6, one a cycle, got 5", "reader"),
    ("retention.concave", False, "retention.concave: False contradicts the parameters", "reader"),
    (
        "retention.draws.values.b",
        DROP,
        "retention.draws: expected ['b', 'tau', 'amplitude'], all of one length",
        "reader",
    ),
    (
        "retention.family",
        "spline",
        "spline: expected knots at 0 and then whole cycles, ascending, got []",
        "reader",
    ),
    (
        "retention.knots",
        [0.0, 6.0],
        "retention.knots: expected none of the family 'stretched_exponential', got [0.0, 6.0]",
        "reader",
    ),
    (
        "retention.identifiable",
        False,
        "retention.identifiable: False contradicts converged and reached",
        "reader",
    ),
]
# Files that no digest could save: as they stand, the message, and what refuses them first.
RAW = [
    (json.dumps([BASE]), "not a laws file", "schema"),
    (json.dumps({name: value for name, value in BASE.items() if name != "digest"}), DOES_NOT_HOLD, "schema"),
    (json.dumps({**BASE, "versions": {}}), DOES_NOT_HOLD, "reader"),
    ('{"kind": "astromorphic-laws",\n', "not a laws file: Expecting property name", "json"),
    ("", "not a laws file: Expecting value: line 1 column 1", "json"),
]


def with_fault(place, value):
    """The stretched example as text, with the value at a dotted place changed or dropped."""
    contents = copy.deepcopy(BASE)
    del contents["digest"]
    inner = contents
    *parents, last = (int(part) if part.isdigit() else part for part in place.split("."))
    for name in parents:
        inner = inner[name]
    if value is DROP:
        del inner[last]
    else:
        inner[last] = value
    try:
        contents["digest"] = digest(contents)
    except ValueError:  # NaN has no digest
        contents["digest"] = "0" * 64
    return json.dumps(contents)


INVALID = [*((with_fault(place, value), *expected) for place, value, *expected in FAULTS), *RAW]


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


@pytest.mark.parametrize(("text", "message", "refused_by"), INVALID, ids=[f"{k}" for k in range(len(INVALID))])
def test_invalid_files_are_refused_with_their_message_by_the_json_schema_where_it_can(
    text, message, refused_by, tmp_path
):
    path = tmp_path / "laws.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Laws.load(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    if refused_by == "json":
        with pytest.raises(ValueError):
            strictly(text)
        return
    valid = jsonschema.Draft202012Validator(json_schema()).is_valid(strictly(text))
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
