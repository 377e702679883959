"""The front door: one verb a room, each loaded only when it is called, so that ``rmaat --help`` answers at once.

Exit status: 0 on success, 2 on wrong use or bad input (one line on stderr, nothing written), 130 when interrupted, 143
when terminated.
"""

import os

# Threads of torch that wait give way to whoever has work, in place of spinning; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import signal
import sys
import warnings
from contextlib import suppress
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.extras import extras_named
from astro_sim.common.signals import handled
from rmaat.cli import demo, laws, reproduce, simulate, train, view
from rmaat.cli.terminal import require_streams

# Typer carries a copy of click or imports it, depending on its version; this is the base of its errors in both.
UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="rmaat",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    simulate.simulate, laws.fit, train.data, train.train, train.models, train.evaluate, train.inspect,
    view.report, view.compare, view.figure, view.bench, demo.demo,
):  # fmt: skip
    app.command()(verb)
app.add_typer(laws.app)
app.add_typer(reproduce.app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"rmaat {version('rmaat')}")
        raise typer.Exit


@app.callback()
def _front(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Simulate an astrocyte, distil its laws, train a transformer with them, and look."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    require_streams()
    warnings.showwarning = _show_warning
    came: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        """Let `kill` end what runs as Ctrl-C does, so that what is half written goes."""
        came.append(number)
        raise KeyboardInterrupt

    with handled(end, [signal.SIGTERM]):
        status = _run(sys.argv[1:] if arguments is None else arguments)
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # who read it has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter would try again at its end
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            status = _refuse(f"standard output: {error.strerror}")
    return 128 + came[0] if came else status


def _run(arguments: list[str]) -> int:
    try:
        command = typer.main.get_command(app)
        with extras_named():
            status = command.main(args=arguments or ["--help"], prog_name="rmaat", standalone_mode=False)
        return status if isinstance(status, int) else 0  # typer hands back 130 for an interrupt
    except InputError as error:
        return _refuse(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "rmaat"
        return _refuse(f"{error.format_message().rstrip('.')}; see {command} --help")
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        told = error.strerror or str(error)
        return _refuse(f"{error.filename}: {told}" if error.filename else told)
    except MemoryError as error:
        return _refuse(f"not enough memory for these settings ({error})")
    except RuntimeError as error:
        # How torch says it: on a GPU by a type of its own, otherwise in words.
        if type(error).__name__ != "OutOfMemoryError" and "allocate memory" not in str(error):
            raise
        return _refuse("not enough memory for these settings; accumulate, or a smaller batch, needs less")


def _refuse(message: str) -> int:
    with suppress(OSError):  # a full disk behind stderr changes no exit status
        print("rmaat: " + " ".join(str(InputError(message)).split()), file=sys.stderr, flush=True)
    return 2


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print("rmaat: warning: " + " ".join(str(InputError(message)).split()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
