"""The progress line: on a terminal and for longer work only, on stderr."""

import io
import sys

import pytest

from astro_sim.common.progress import Progress, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


def use_terminal(monkeypatch):
    """Make stderr a terminal; called inside a test, as pytest puts its own stderr back after fixtures."""
    fake = Terminal()
    monkeypatch.setattr(sys, "stderr", fake)
    monkeypatch.setenv("TERM", "xterm")
    return fake


def test_nothing_is_shown_when_stderr_is_not_a_terminal(capfd):
    with Progress("simulate", 3, patience=0.0) as progress:
        progress.advance(3)
    assert capfd.readouterr() == ("", "")
    assert progress.done == 3


def test_nothing_is_shown_for_short_work(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with Progress("simulate", 2, patience=1e6) as progress:
        progress.advance()
        progress.advance()
    assert terminal.getvalue() == ""


def test_longer_work_shows_label_count_and_note(monkeypatch):
    terminal = use_terminal(monkeypatch)
    with Progress("simulate", 4, patience=-1.0) as progress:
        progress.advance(3, note="loss 0.5")
    shown = terminal.getvalue()
    assert "simulate" in shown
    assert "3/4" in shown
    assert "loss 0.5" in shown
    assert "left" in shown


def test_what_is_printed_meanwhile_stays_on_stdout(monkeypatch):
    terminal = use_terminal(monkeypatch)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    with Progress("simulate", 4, patience=-1.0) as progress:
        progress.advance()
        print("result")
    assert out.getvalue() == "result\n"
    assert "simulate" in terminal.getvalue()
    assert "result" not in terminal.getvalue()


def test_the_line_is_closed_when_the_work_fails(monkeypatch):
    terminal = use_terminal(monkeypatch)
    progress = Progress("simulate", 2, patience=-1.0)

    def work():
        with progress:
            progress.advance()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        work()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is shown again


def test_track_yields_every_item():
    assert list(track("abc", "simulate", 3)) == ["a", "b", "c"]
