"""Every class of settings in the project: documented field by field, and clear about whatever it refuses."""

import importlib
import math
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest

import analysis
import astro_sim
import bridge
import rmaat
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings

ROOMS = (astro_sim, bridge, rmaat, analysis)
APART = {"rmaat.__main__", "rmaat.huggingface"}  # has a life of its own; needs an extra
# Bound -> its attribute, how messages call it, and what to add to its limit for a value that breaks it.
BOUNDS = {
    annotated_types.Ge: ("ge", "greater than or equal to", -1),
    annotated_types.Gt: ("gt", "greater than", 0),
    annotated_types.Le: ("le", "less than or equal to", 1),
    annotated_types.Lt: ("lt", "less than", 0),
}


def settings_classes() -> list[type[Settings]]:
    """Every subclass of Settings in the rooms; what tests make up is none."""
    for room in ROOMS:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if module.name not in APART:
                importlib.import_module(module.name)
    rooms, found, queue = {room.__name__ for room in ROOMS}, set(), [Settings]
    while queue:
        subclasses = queue.pop().__subclasses__()
        queue += subclasses
        found |= {each for each in subclasses if each.__module__.split(".")[0] in rooms}
    return sorted(found, key=lambda each: f"{each.__module__}.{each.__name__}")


CLASSES = settings_classes()


def required(model: type[Settings]) -> dict[str, Any]:
    """Values of what a task decides; a classifier's classes have a default, since a language model has none."""
    return {name: 16 for name, field in model.model_fields.items() if field.is_required() or name == "classes"}


def kinds(annotation: Any) -> Iterator[Any]:
    """The alternatives of a field's type, without None."""
    for kind in get_args(annotation) if get_origin(annotation) not in (None, Literal, tuple) else (annotation,):
        if kind is not type(None):
            yield kind


def refused(field: Any) -> Iterator[tuple[Any, str]]:
    """Values that a field must refuse, each with what the message must say was expected."""
    alternatives = [*kinds(field.annotation)]
    for bound in field.metadata:
        if type(bound) in BOUNDS:
            name, words, beyond = BOUNDS[type(bound)]
            limit = getattr(bound, name)
            yield limit + beyond, f"{words} {int(limit) if limit == int(limit) else limit}"
    for kind in alternatives:
        if get_origin(kind) is Literal:
            yield "nonsense", ", ".join(map(repr, get_args(kind)[:-1])) or repr(get_args(kind)[0])
        elif kind is float:
            yield math.nan, "a finite number"
            yield math.inf, "a finite number"
        elif kind is int:
            yield 1.5, "a valid integer"
        elif kind is bool:
            yield "perhaps", "a valid boolean"
        elif kind is str:
            yield 3, "a valid string"
        elif get_origin(kind) is tuple:
            yield 3.5, "a list, as in [3.5]"
    if float in alternatives or int in alternatives:
        yield "many", "a valid "
        yield [1], "a valid "


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_a_wrong_value_is_refused_with_field_expectation_unit_and_value(model):
    for name, field in model.model_fields.items():
        for value, expected in refused(field):
            with pytest.raises(InputError) as caught:
                model(**{**required(model), name: value})
            told, unit = str(caught.value), model.unit(name)
            assert told.startswith(f"{name}: expected "), told
            assert expected in told, told
            assert told.endswith(f"got {value!r}"), told
            assert unit == "1" or f"({unit})" in told, told
            assert "\n" not in told


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_an_unknown_name_is_refused_with_a_known_one_and_a_known_one_cannot_be_changed(model):
    for name in model.model_fields:
        with pytest.raises(InputError, match=rf"^unknown setting '{name}_' of {model.__name__}; ") as caught:
            model(**required(model), **{f"{name}_": 1})
        nearest = re.findall(r"did you mean '(\w+)'\?$", str(caught.value))
        assert set(nearest) <= set(model.model_fields)
        assert nearest or ("; known: " in str(caught.value) and len(name) < 6)  # too short a name to be near another
        with pytest.raises(ValueError, match="frozen"):
            setattr(model(**required(model)), name, 1)


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_every_field_carries_unit_meaning_and_source_and_its_default_is_valid(model):
    for name, field in model.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["source"], name
        assert field.json_schema_extra["unit"] == model.unit(name) != "", name
        assert not name.startswith("tau_") or model.unit(name) in ("s", "ms", "1"), name
    made = model(**required(model))
    assert made == model(**made.model_dump())
    lines = [f"{name} = {value!r}" for name, value in made.model_dump().items() if type(value) in (int, float)]
    assert model(**tomllib.loads("\n".join(lines))) == made


def test_the_classes_of_all_rooms_are_among_them():
    known = {"MacroParameters", "ProcessParameters", "LtpSettings", "TrainSettings", "LawSettings", "RMAATConfig"}
    assert known <= {model.__name__ for model in CLASSES}
