"""How settings are made and told about: messages, copies, words of --set, TOML; each class: tests/test_settings.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import astro_sim
from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.settings import Settings, load_toml, parse_assignments, quantity, split_settings
from astro_sim.macro.parameters import MacroParameters


class Example(Settings):
    cycles: int = quantity(6, "1", "number of cycles", "test", ge=1)
    tau: float = quantity(2.0, "s", "time constant", "test", gt=0)
    rates: tuple[float, ...] = quantity((1.0,), "Hz", "rates", "test")


def test_replace_makes_a_validated_copy():
    p = Example(tau=3.0)
    assert p.replace(cycles=4) == Example(cycles=4, tau=3.0)
    assert p.cycles == 6
    with pytest.raises(InputError, match=r"^cycles: expected greater than or equal to 1, got 0$"):
        p.replace(cycles=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tua": 1.0}, "unknown setting 'tua' of Example; did you mean 'tau'?"),
        ({"zzz": 1.0}, "unknown setting 'zzz' of Example; known: cycles, rates, tau"),
        ({"tau": -1.0}, "tau: expected greater than 0 (s), got -1.0"),
        ({"tau": float("nan")}, "tau: expected a finite number (s), got nan"),
        ({"tau": float("-inf")}, "tau: expected a finite number (s), got -inf"),
        ({"tau": None}, "tau: expected a valid number (s), got None"),
        ({"tau": [1.0]}, "tau: expected a valid number (s), got [1.0]"),
        ({"cycles": "many"}, "cycles: expected a valid integer, got 'many'"),
        ({"cycles": 1.5}, "cycles: expected a valid integer, got a number with a fractional part, got 1.5"),
        ({"rates": 3.0}, "rates: expected a list, as in [3.0] (Hz), got 3.0"),
        ({"rates": None}, 'rates: expected a list, as in [1, 2] or ["a", "b"] (Hz), got None'),
        ({"rates": "1, 2.5"}, "rates: expected a list, as in [1, 2.5] (Hz), got '1, 2.5'"),
        ({"rates": "[a,b]"}, 'rates: expected a list, as in ["a", "b"] (Hz), got \'[a,b]\''),
        ({"rates": [1.0, float("inf")]}, "rates.1: expected a finite number, got inf"),
        ({"tau": 0.0, "cycles": 0}, "cycles: expected greater than or equal to 1, got 0; tau: expected greater than 0"),
    ],
)
def test_messages_say_field_expected_got_and_unit(values, message):
    with pytest.raises(InputError) as caught:
        Example(**values)
    assert str(caught.value).startswith(message)


def test_assignments_are_read_as_toml_and_bare_words_as_strings():
    words = ["cycles=24", "tau = 0.5", "layout=ring", "layouts=['ring', 'line']", "on=true", "name=a=b", "inf=inf"]
    assert parse_assignments(words) == {
        "cycles": 24,
        "tau": 0.5,
        "layout": "ring",
        "layouts": ["ring", "line"],
        "on": True,
        "name": "a=b",
        "inf": float("inf"),
    }
    assert parse_assignments([]) == {}


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.integers() | st.floats(allow_nan=False)))
def test_numbers_survive_assignment(values):
    fits = {name: value for name, value in values.items() if isinstance(value, float) or abs(value) < 2**63}
    assert parse_assignments([f"{name}={value!r}" for name, value in fits.items()]) == fits


@pytest.mark.parametrize("word", ["cycles", "cycles=", "=24", " = ", ""])
def test_an_assignment_needs_name_and_value(word):
    with pytest.raises(InputError, match=f"--set '{word}': expected NAME=VALUE"):
        parse_assignments([word])


def test_an_assignment_given_twice_is_refused():
    with pytest.raises(InputError, match="--set tau: given twice"):
        parse_assignments(["tau=1", "tau = 2"])


def test_flat_values_are_shared_out_by_name():
    assert split_settings({"beta": 1.0, "tau": 3.0, "n": 2}, Example, MacroParameters) == [
        {"tau": 3.0},
        {"beta": 1.0, "n": 2},
    ]
    with pytest.raises(InputError, match=r"unknown setting 'betta'; did you mean 'beta'\?"):
        split_settings({"betta": 1.0}, Example, MacroParameters)
    with pytest.raises(InputError, match=r"unknown setting 'seed'; did you mean 'laws.seed'\?"):
        split_settings({"seed": 1.0}, Example, elsewhere=["laws.seed"])


def test_toml_files_are_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('cycles = 3\nname = "x"\n')
    assert load_toml(path) == {"cycles": 3, "name": "x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such settings file"),
        (b"cycles = \n", "not a TOML file: Invalid value (at line 1, column 10)"),
        (b"\xff\xfe", "not a TOML file: "),
    ],
)
def test_unreadable_toml_files_are_named(tmp_path, content, message):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_toml(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_folder_is_no_settings_file(tmp_path):
    with pytest.raises(InputError, match="a folder; expected a settings file"):
        load_toml(tmp_path)


def test_the_nearest_name_or_all_names():
    assert did_you_mean("LTP", ["ltp", "stp"]) == "did you mean 'ltp'?"
    assert did_you_mean("sleep", ["stp", "ltp"]) == "known: ltp, stp"
    assert did_you_mean("sleep", []) == "known: none"
    assert did_you_mean("seed", ["laws.seed", "steps"]) == "did you mean 'laws.seed'?"
    assert did_you_mean("flat-0", ["rmt", "rmaat", "rmaat, width=8"]) == "known: 'rmaat'; 'rmaat, width=8'; 'rmt'"


@pytest.mark.parametrize(
    "text", ["8\nseed = 3", "8 # all of it", "8]#", "8\nvalue = 9", "1, 2", "9" * 4_301, "[" * 2_000]
)
def test_what_is_not_one_value_alone_is_a_word(text):
    """Else a further line or a comment would be lost, and with it what somebody has set."""
    assert parse_assignments([f"a={text}"]) == {"a": text}


def test_a_message_is_one_line_of_what_can_be_printed():
    told = str(InputError("unknown table [a\nb\x1b[31mc\udc84]; café"))
    assert told == "unknown table [a b\\x1b[31mc\\udc84]; café"


@pytest.mark.parametrize("given", [{"layout": "a\udc93b"}, {"a\udc93b": 1}, {"cycles": "8\udc93"}])
def test_bytes_in_another_encoding_are_told(given):
    """As Python hands over what is on a command line and is no UTF-8."""
    with pytest.raises(InputError) as caught:
        astro_sim.simulate("ltp", **given)
    assert "\\udc93" in str(caught.value)
