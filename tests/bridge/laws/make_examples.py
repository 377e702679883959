"""Write valid/*.json, invalid/*.json and messages.toml. Run by hand when the schema changes; read the diff.

schema_1/ holds files of the first schema, as they were written then.

Every invalid file is a valid one with a single fault. Where it allows one, the digest is that of the faulty
contents, so that nothing but the fault can be what is refused.
"""

import copy
import json
from pathlib import Path

import numpy as np

from astro_sim.common.files import digest
from bridge import families
from bridge.laws import readable

HERE = Path(__file__).parent


def number(value, unit, spread=None):
    known = {"stderr": None, "low": None, "high": None}
    if spread:
        known = {"stderr": spread, "low": value - 2 * spread, "high": value + 2 * spread}
    return {"value": value, **known, "unit": unit, "origin": "written by hand for a test"}


SAMPLES = [0.15, 0.28, 0.39, 0.49, 0.57, 0.63]
UNKNOWN = {
    "family": "other",
    "parameters": {"k": 1.0},
    "knots": [],
    "r_squared": 0.9,
    "aicc": None,
    "bic": None,
    "held_out": None,
    "converged": False,
}


def law(family, parameters, amplitude, knots=(), draws=None):
    values = {name: each["value"] for name, each in parameters.items()}
    made = families.get(family, knots)
    left = np.array(SAMPLES) - amplitude["value"] * made.level(np.arange(1, 7), values)
    reached = float(made.level(6.0, values))
    return {
        "family": family,
        "parameters": parameters,
        "knots": list(knots),
        "amplitude": amplitude,
        "tau_cycle": 10.0,
        "unit": "a.u.",
        "start": 0.0,
        "samples": SAMPLES,
        "averaged": {"post": 3, "pre": 3},
        "spread": [0.004] * 6 if draws else None,
        "noise": "levels",
        "noise_origin": "written by hand for a test",
        "residuals": [float(each) for each in left],
        "deviation": float(np.sqrt(left @ left / (6 - len(values) - 1))),
        "autocorrelation": float(left[1:] @ left[:-1] / (left @ left)),
        "r_squared": 0.999,
        "converged": True,
        "reached": reached,
        "identifiable": reached >= 0.6,
        "concave": bool(made.concave(values)),
        "fitted_cycles": 6,
        "peak_cycle": made.peak_cycle(values, 600),
        "candidates": [
            {**UNKNOWN, "family": family, "parameters": values, "knots": list(knots), "aicc": -60.5, "converged": True},
            UNKNOWN,
        ],
        "draws": draws,
    }


def document(retention, **optional):
    return {
        "kind": "astromorphic-laws",
        "schema_version": 2,
        "retention": retention,
        "spatial_decay": optional.get("spatial_decay"),
        "presynaptic_exponent": optional.get("presynaptic_exponent"),
        "short_term": optional.get("short_term", {}),
        "perturbation": optional.get("perturbation"),
        "sources": [
            {"experiment": "ltp", "model": "macro", "seed": 0, "digest": "0" * 64, "settings": {"cycles": 6}},
        ],
        "versions": {"rmaat": "0.1.0", "numpy": "2.3.5"},
    }


TAU = number(6.0, "cycles", 0.1)
DRAWS = {
    "method": "written by hand for a test",
    "seed": 0,
    "values": {"tau": [5.5, 6.0, 6.5, 7.0], "b": [0.7, 0.75, 0.8, 0.85], "amplitude": [0.9, 1.0, 1.1, 1.2]},
}
EXPONENTIAL = law("exponential", {"tau": number(6.0, "cycles")}, number(1.0, "a.u."))
VALID = {
    "exponential": document(EXPONENTIAL),
    "stretched": document(
        law(
            "stretched_exponential",
            {"tau": TAU, "b": number(0.75, "1", 0.05)},
            number(1.0, "a.u.", 0.02),
            draws=DRAWS,
        ),
        spatial_decay=number(0.875, "1/spacing", 0.01),
        presynaptic_exponent=number(0.25, "1", 0.03),
        short_term={"s": number(0.5, "s"), "p_s": number(2.0, "s")},
    ),
    "spline": document(
        law(
            "spline",
            {"h0": number(0.2, "1/cycle"), "h1": number(0.15, "1/cycle"), "h2": number(0.15, "1/cycle")},
            number(1.0, "a.u."),
            knots=(0.0, 2.0, 6.0),
        )
    ),
    "reversed": document(EXPONENTIAL, perturbation={"kind": "reversed", "factor": None, "seed": None, "of": "1" * 64}),
}


def changed(*path, to=None, drop=False):
    """The stretched example with the value at ``path`` changed or dropped."""
    value = copy.deepcopy(VALID["stretched"])
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return value


DOES_NOT_HOLD = "the digest does not hold; the file was changed after it was written"

# name -> (contents, message, what refuses it first: "json", "schema" or only our "reader")
R, P = "retention", "parameters"
INVALID = {
    "schema_version_1": (changed("schema_version", to=1), "laws schema 1; rmaat laws convert ", "schema"),
    "schema_version_3": (changed("schema_version", to=3), "laws schema 3; this version reads 2", "schema"),
    "schema_version_missing": (changed("schema_version", drop=True), "laws schema None; this", "schema"),
    "kind_other": (
        changed("kind", to="laws"),
        "not a laws file (expected kind 'astromorphic-laws')",
        "schema",
    ),
    "kind_missing": (changed("kind", drop=True), "not a laws file", "schema"),
    "list": ([VALID["stretched"]], "not a laws file", "schema"),
    "extra_field": (
        changed("author", to="me"),
        "unknown setting 'author' of LawsDocument; known: ",
        "schema",
    ),
    "extra_field_inside": (changed(R, "taus", to=1.0), "unknown setting 'retention.taus' of Laws", "schema"),
    "missing_field": (changed(R, drop=True), "retention: missing", "schema"),
    "missing_field_inside": (
        changed(R, "amplitude", "unit", drop=True),
        "retention.amplitude.unit: mis",
        "schema",
    ),
    "missing_optional": (changed("spatial_decay", drop=True), "spatial_decay: missing", "schema"),
    "type_text_for_number": (
        changed(R, "tau_cycle", to="10.0"),
        "retention.tau_cycle: expected a valid number, got '10.0'",
        "schema",
    ),
    "type_number_for_text": (
        changed(R, "family", to=1),
        "retention.family: expected a valid string, got 1",
        "schema",
    ),
    "type_number_for_truth": (
        changed(R, "converged", to=1),
        "retention.converged: expected a valid bool",
        "schema",
    ),
    "type_truth_for_number": (
        changed(R, "start", to=True),
        "retention.start: expected a valid number",
        "schema",
    ),
    "type_null": (changed(R, "r_squared", to=None), "retention.r_squared: expected a valid number", "schema"),
    "tau_cycle_zero": (
        changed(R, "tau_cycle", to=0.0),
        "retention.tau_cycle: expected greater than 0",
        "schema",
    ),
    "peak_cycle_zero": (
        changed(R, "peak_cycle", to=0),
        "retention.peak_cycle: expected greater than or",
        "schema",
    ),
    "no_samples": (changed(R, "samples", to=[]), "retention.samples: expected ", "schema"),
    "no_sources": (changed("sources", to=[]), "sources: expected ", "schema"),
    "source_digest": (changed("sources", 0, "digest", to="abc"), "sources.0.digest: expected ", "schema"),
    "nan": (
        changed(R, P, "tau", "value", to=float("nan")),
        "retention.parameters.tau.value: expected a fin",
        "json",
    ),
    "infinity": (
        changed(R, "samples", 0, to=float("inf")),
        "retention.samples.0: expected a finite number",
        "json",
    ),
    "nan_in_settings": (changed("sources", 0, "settings", "x", to=float("nan")), DOES_NOT_HOLD, "json"),
    "unknown_family": (
        changed(R, "family", to="strechted_exponential"),
        "unknown law family 'strechted_exponential'; did you mean 'stretched_exponential'?",
        "reader",
    ),
    "parameter_missing": (
        changed(R, P, "b", drop=True),
        "retention law 'stretched_exponential': expected parameters ['b', 'tau'], got ['tau']",
        "reader",
    ),
    "parameter_extra": (
        changed(R, P, "c", to=number(1.0, "1")),
        "retention law 'stretched_exponential': expected parameters ['b', 'tau'], got ['b', 'c', 'tau']",
        "reader",
    ),
    "parameter_negative": (
        changed(R, P, "tau", "value", to=-6.0),
        "stretched_exponential law: expected tau in 0.05 to 100000, got -6",
        "reader",
    ),
    "parameter_out_of_bounds": (
        changed(R, P, "b", "value", to=100.0),
        "stretched_exponential law: expected b in 0.05 to 10, got 100",
        "reader",
    ),
    "parameter_unit": (changed(R, P, "tau", "unit", to="s"), "tau: expected the unit cycles, got 's'", "reader"),
    "amplitude_unit": (changed(R, "unit", to="1"), "amplitude: expected the unit 1, got 'a.u.'", "reader"),
    "decay_unit": (
        changed("spatial_decay", "unit", to="1/um"),
        "spatial_decay: expected the unit 1/spacing, got '1/um'",
        "reader",
    ),
    "time_constant_unit": (
        changed("short_term", "s", "unit", to="ms"),
        "short_term.s: expected the unit s, got 'ms'",
        "reader",
    ),
    "too_few_samples": (
        changed(R, "samples", to=SAMPLES[:5]),
        "retention.samples: expected 6, one a cycle, got 5",
        "reader",
    ),
    "concave_contradicted": (
        changed(R, "concave", to=False),
        "retention.concave: False contradicts the parameters",
        "reader",
    ),
    "draws_of_another_family": (
        changed(R, "draws", "values", "b", drop=True),
        "retention.draws: expected ['b', 'tau', 'amplitude'], all of one length",
        "reader",
    ),
    "knots_missing": (
        changed(R, "family", to="spline"),
        "spline: expected knots at 0 and then whole cycles, ascending, got []",
        "reader",
    ),
    "knots_of_another_family": (
        changed(R, "knots", to=[0.0, 6.0]),
        "retention.knots: expected none of the family 'stretched_exponential', got [0.0, 6.0]",
        "reader",
    ),
    "identifiable_contradicted": (
        changed(R, "identifiable", to=False),
        "retention.identifiable: False contradicts converged and reached",
        "reader",
    ),
    "perturbation_unknown": (
        changed("perturbation", to={"kind": "sideways", "factor": None, "seed": None, "of": "1" * 64}),
        "perturbation.kind: expected 'flat', ",
        "schema",
    ),
    "reached_above_one": (changed(R, "reached", to=1.5), "retention.reached: expected less than or equal", "schema"),
}
RAW = {
    "broken": ('{"kind": "astromorphic-laws",\n', "not a laws file: Expecting property name", "json"),
    "empty": ("", "not a laws file: Expecting value: line 1 column 1", "json"),
}


def signed(contents):
    try:
        return {**contents, "digest": digest(contents)}
    except (ValueError, TypeError):  # NaN has no digest, a list no place for one
        return contents if isinstance(contents, list) else {**contents, "digest": "0" * 64}


def main():
    for name, contents in VALID.items():
        write("valid", name, readable(signed(contents)))
    messages = []
    made = {name: (json.dumps(signed(contents), indent=2) + "\n", *rest) for name, (contents, *rest) in INVALID.items()}
    edited = signed(VALID["stretched"])
    edited["retention"] = changed(R, P, "tau", "value", to=7.0)["retention"]
    unsigned = VALID["stretched"]
    made["edited_by_hand"] = (json.dumps(edited, indent=2) + "\n", DOES_NOT_HOLD, "reader")
    made["digest_missing"] = (json.dumps(unsigned, indent=2) + "\n", DOES_NOT_HOLD, "schema")
    for name, (text, message, refused_by) in {**made, **RAW}.items():
        write("invalid", name, text)
        messages.append(f'[{name}]\nmessage = {json.dumps(message)}\nrefused_by = "{refused_by}"\n')
    (HERE / "invalid" / "messages.toml").write_text("\n".join(messages))


def write(folder, name, text):
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
