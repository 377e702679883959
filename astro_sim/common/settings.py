"""Frozen, validated settings whose every field carries its unit, meaning and source."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from astro_sim.common.errors import InputError, brief, did_you_mean, quoted
from astro_sim.common.units import carries_unit, number_in


def quantity(default: Any, unit: str, meaning: str, source: str, **bounds: Any) -> Any:
    """Declare a field of `Settings`: its value, unit ("1" if it has none), meaning and source, on one line.

    ``bounds`` are pydantic's (``gt``, ``ge``, ``lt``, ``le``, ...). Infinities and NaN are refused everywhere.
    """
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "source": source}, **bounds)


class Settings(BaseModel):
    """Base of every settings class: frozen, closed, validated once at construction.

    Raises
    ------
    InputError
        Field, what was expected and what was given; for an unknown field the nearest name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(explain(error, type(self))) from None
        except UnicodeEncodeError as error:  # pydantic's, of bytes in another encoding as Python has them
            wrong = quoted(error.object)
            raise InputError(f"{type(self).__name__}: expected text in UTF-8, got {wrong}") from None

    @model_validator(mode="before")
    @classmethod
    def _strip_units(cls, values: Any) -> Any:
        """Numbers with a unit ("20 ms", or a quantity of Brian2) become numbers in the field's own unit."""
        if not isinstance(values, dict):
            return values
        plain, wrong = dict(values), []
        for name, value in values.items():
            field = cls.model_fields.get(name)
            if field is None or not _takes_numbers(field.annotation):
                continue
            try:
                plain[name] = _plain(value, cls.unit(name))
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return plain

    def replace(self, **changes: Any) -> Self:
        """Copy with ``changes``, validated like a new one."""
        return type(self)(**{**self.model_dump(), **changes})

    @classmethod
    def unit(cls, name: str) -> str:
        """Unit of field ``name``; "1" for a pure number."""
        extra = cls.model_fields[name].json_schema_extra
        return str(extra.get("unit", "1")) if isinstance(extra, dict) else "1"


def _takes_numbers(annotation: Any) -> bool:
    """Whether a text such as "20 ms" is meant as a number there; elsewhere it may be a name."""
    return annotation in (int, float) or any(map(_takes_numbers, get_args(annotation)))


def _plain(value: Any, unit: str) -> Any:
    if carries_unit(value):
        return number_in(value, unit)
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, unit) for item in value)
    return value


def describe(*models: type[Settings]) -> list[tuple[str, Any, str, str]]:
    """Every field of settings classes: name, default, unit, meaning (with the choices, where there are some)."""
    rows = []
    for model in models:
        for name, field in model.model_fields.items():
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            listed = f" ({', '.join(map(str, choices))})" if choices else ""
            default = "(decided by the task)" if field.is_required() else field.default
            rows.append((name, default, model.unit(name), (field.description or "") + listed))
    return rows


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Turn pydantic's errors into one line: field, expected, got."""
    parts = []
    expectations: dict[str, tuple[list[str], str]] = {}  # name -> what it may be, ending
    for item in error.errors(include_url=False):
        name = _path(item["loc"], model)
        if item["type"] == "extra_forbidden":
            nearest = did_you_mean(name, model.model_fields)
            parts.append(f"unknown setting {quoted(name)} of {model.__name__}; {nearest}")
        elif item["type"] == "missing":
            parts.append(f"{name}: missing")
        elif item["type"] == "value_error":
            parts.append(str(item["ctx"]["error"]) if "ctx" in item else item["msg"])
        else:
            expected = item["msg"].removeprefix("Input should be ").removeprefix("Tuple should have ")
            expected = expected.partition(", unable to parse")[0].replace(" after validation", "")
            expected = expected.replace("a valid tuple", f"a list, as in {_as_list(item['input'])}")
            unit = model.unit(name) if issubclass(model, Settings) and name in model.model_fields else "1"
            ending = f"{'' if unit == '1' else f' ({unit})'}, got {quoted(item['input'])}"
            expectations.setdefault(name, ([], ending))[0].append(expected)
    parts += [f"{name}: expected {' or '.join(either)}{end}" for name, (either, end) in expectations.items()]
    return "; ".join(parts)


def _as_list(value: Any) -> str:
    """What was given in place of a list, as the list that was meant, or an example of one."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return '[1, 2] or ["a", "b"]'
    words = [word.strip() for word in str(value).strip("[]").split(",")]  # a shell takes quotes off: ["a"] is [a]
    return f"[{brief(', '.join(word if _is_number(word) else json.dumps(word) for word in words))}]"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _path(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Dotted path of a field. Settings are flat: behind the name, a word is the tag of a union, left out."""
    if issubclass(model, Settings):
        loc = loc[:1] + tuple(part for part in loc[1:] if isinstance(part, int))
    return ".".join(str(part) for part in loc) or model.__name__


def parse_assignments(pairs: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` words (``--set``): values as in TOML, a bare word as a string.

    Examples
    --------
    >>> parse_assignments(["cycles=24", "layout=ring", "layouts=['ring', 'line']"])
    {'cycles': 24, 'layout': 'ring', 'layouts': ['ring', 'line']}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name, text = name.strip(), text.strip()
        if not (equals and name and text):
            raise InputError(f"--set {quoted(pair)}: expected NAME=VALUE")
        if name in values:
            raise InputError(f"--set {brief(name)}: given twice")
        try:
            parsed, listed = tomllib.loads(f"value = {text}"), tomllib.loads(f"value = [{text}]")
            # A further line or a comment would be lost without a word; in brackets neither can stand.
            alone = parsed.keys() == {"value"} and repr(listed) == repr({"value": [parsed["value"]]})
            values[name] = parsed["value"] if alone else text
        except (ValueError, RecursionError):  # no TOML; or endless digits or brackets, which no setting takes
            values[name] = text
    return values


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Settings as the words that `parse_assignments` reads back; None, which TOML has not, is left out.

    Examples
    --------
    >>> assignments({"cycles": 24, "layout": "ring", "layouts": ["ring", "line"], "sweep": None})
    ['--set', 'cycles=24', '--set', 'layout=ring', '--set', 'layouts=["ring", "line"]']
    """
    words = []
    for name, value in values.items():
        if value is not None:
            bare = isinstance(value, str) and value.isidentifier() and value not in ("true", "false", "inf", "nan")
            words += ["--set", f"{name}={value if bare else json.dumps(value)}"]
    return words


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML settings file, or raise `InputError` naming file and line."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError:
        raise InputError(f"{path}: no such settings file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; expected a settings file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a TOML file: not text in UTF-8 (byte {error.start + 1})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a TOML file: {brief(error)}") from None


def split_settings(
    values: Mapping[str, Any], *models: type[Settings], elsewhere: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Share out flat ``values`` among settings classes whose field names do not overlap.

    ``elsewhere`` are names that are settings too, for the message.

    Raises
    ------
    InputError
        A name that none of ``models`` has, with the nearest that one has.
    """
    known = [name for model in models for name in model.model_fields]
    for name in values:
        if name not in known:
            raise InputError(f"unknown setting {quoted(name)}; {did_you_mean(name, [*known, *elsewhere])}")
    return [{name: value for name, value in values.items() if name in model.model_fields} for model in models]
