"""Surroundings other than ours: preferences, machines, file systems and streams change no number and end no run."""

import _signal
import errno
import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import filelock
import matplotlib
import numba.core.caching
import numpy as np
import pytest
import xarray as xr

import astro_sim
from analysis import figures
from astro_sim.common import brian, compiled, files, machine
from astro_sim.common.errors import InputError
from astro_sim.common.progress import Progress, on_terminal
from astro_sim.common.settings import load_toml
from astro_sim.common.signals import handled, handlers_refused, interrupts_heard
from astro_sim.dataset import content_digest
from astro_sim.sweeps import pool
from bridge.laws import Laws
from rmaat.__main__ import main

brian.load_brian2()
import brian2  # noqa: E402

ROOT = Path(__file__).parents[1]
LAWS = ROOT / "results" / "laws.json"
CALCIUM = {"experiment": "calcium", "duration": 0.5, "target": "numpy"}
# An experiment of a user's own on Brian2, which is imported as users do; a run that was cut short has fewer steps.
RUN = """
from brian2 import Network, NeuronGroup, StateMonitor, prefs, second
import numpy as np, xarray as xr

def run(settings, parameters, generator):
    prefs.codegen.target = "numpy"
    group = NeuronGroup(1, "dx/dt = -x / second : 1", method="euler", dt=1e-3 * second)
    group.x = 1.0
    monitor = StateMonitor(group, "x", record=True, when="start")
    Network(group, monitor).run(settings.steps * 1e-3 * second)
    x = np.asarray(monitor.x[0])
    return xr.Dataset({"x": ("step", x.astype(float))}, {"step": np.arange(len(x))})
"""
OWN = """
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant

class Steps(Settings):
    steps: int = quantity(200, "1", "steps", "ours", ge=1)

class Leak(Settings):
    tau: float = quantity(1.0, "s", "time constant", "ours", gt=0)

PROMISED = {"leak": {"x": ("step",)}}
MEANINGS = {"leak": {"step": ("1", "step"), "x": ("1", "what is left")}}
EXPERIMENT = Experiment("own", {"leak": Variant(Steps, Leak, run)})
"""


def python(code, *words, cwd, **environment):
    """Run Python; its exit status, output and complaints."""
    done = subprocess.run(
        [sys.executable, *words, "-c", code], capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


# --- preferences of the user


@pytest.mark.biology
def test_preferences_of_the_program_change_no_number_and_are_put_back():
    usual = astro_sim.simulate(**CALCIUM)
    before = dict(brian2.prefs)
    changed = {"core.default_float_dtype": np.float32, "core.default_integer_dtype": np.int64}
    try:
        for name, value in changed.items():
            brian2.prefs[name] = value
        xr.testing.assert_identical(astro_sim.simulate(**CALCIUM), usual)
        assert {name: brian2.prefs[name] for name in changed} == changed
    finally:
        for name in changed:
            brian2.prefs[name] = before[name]
    assert dict(brian2.prefs) == before


@pytest.mark.slow
def test_preferences_in_the_working_folder_change_no_number(tmp_path):
    (tmp_path / "brian_preferences").write_text("core.default_float_dtype = float32\n")
    (tmp_path / "leak.py").write_text(RUN + OWN)
    code = (
        "import astro_sim, sys; from astro_sim.dataset import content_digest;"
        f"print(content_digest(astro_sim.simulate(**{CALCIUM})));"
        "print(content_digest(astro_sim.simulate('leak.py')))"
    )
    found = python(code, cwd=tmp_path)
    (tmp_path / "brian_preferences").unlink()
    assert found == python(code, cwd=tmp_path)
    assert found[1].split()[0] == content_digest(astro_sim.simulate(**CALCIUM))


def test_every_preference_that_brian2_has_is_known_to_change_numbers_or_not_to():
    """A new version may bring more; each must then be judged."""
    harmless = {
        "GSL.directory", "codegen.cpp.compiler", "codegen.cpp.extra_link_args", "codegen.cpp.include_dirs",
        "codegen.cpp.libraries", "codegen.cpp.library_dirs", "codegen.cpp.msvc_architecture",
        "codegen.cpp.msvc_vars_location", "codegen.cpp.runtime_library_dirs", "codegen.generators.cpp.restrict_keyword",
        "codegen.max_cache_dir_size", "codegen.runtime.cython.cache_dir", "codegen.runtime.cython.delete_source_files",
        "codegen.runtime.cython.multiprocess_safe", "codegen.target", "core.outdated_dependency_error",
        "core.stop_on_keyboard_interrupt", "devices.cpp_standalone.extra_make_args_unix",
        "devices.cpp_standalone.extra_make_args_windows", "devices.cpp_standalone.make_cmd_unix",
        "devices.cpp_standalone.openmp_threads", "devices.cpp_standalone.run_cmd_unix",
        "devices.cpp_standalone.run_environment_variables",
    }  # fmt: skip
    known = {name for name in brian2.prefs if not name.startswith("logging.")}
    assert known == harmless | {*brian.NUMERICAL, "codegen.cpp.extra_compile_args_gcc"}


def test_a_style_of_the_users_changes_no_figure(tmp_path):
    laws = Laws.load(LAWS)
    figures.save(figures.retention(laws), tmp_path / "usual.png")
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30.0, "axes.grid": True, "figure.dpi": 300.0}):
        figures.save(figures.retention(laws), tmp_path / "other.png")
    assert (tmp_path / "other.png").read_bytes() == (tmp_path / "usual.png").read_bytes()


@pytest.mark.slow
def test_an_environment_without_compiling_or_with_a_foreign_backend_is_overruled(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    code = (
        "from rmaat.__main__ import main; import sys;"
        "sys.exit(main(['simulate', 'ltp', '--out', 'ltp.nc', '--set', 'cycles=1'])"
        f" or main(['figure', 'retention', {str(LAWS)!r}, '--out', 'f.pdf']))"
    )
    cold = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}  # a kernel from a cache is not compiled, so would tell nothing
    assert python(code, cwd=tmp_path, NUMBA_DISABLE_JIT="1", MPLBACKEND="nonsense", **cold)[::2] == (0, "")
    assert astro_sim.read(tmp_path / "ltp.nc").identical(astro_sim.simulate("ltp", cycles=1))
    assert (tmp_path / "f.pdf").is_file()


# --- interrupts


def test_an_interrupt_that_a_handler_swallows_still_ends_the_block():
    def swallow(*_):
        heard.append("handler")

    heard, before = [], signal.signal(signal.SIGINT, swallow)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_heard():  # noqa: PT012 - that the rest runs is the matter
            signal.raise_signal(signal.SIGINT)
            heard.append("went on")
        assert heard == ["handler", "went on"]
        assert signal.getsignal(signal.SIGINT) is swallow
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_is_in_force_in_its_block_alone_and_in_the_main_thread_alone():
    before, heard = signal.getsignal(signal.SIGINT), []
    with handled(lambda number, _: heard.append(number)) as replaced:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGINT, signal.SIGTERM]
    assert replaced[signal.SIGINT] is before is signal.getsignal(signal.SIGINT)

    def elsewhere():
        with handled(print) as replaced:
            heard.append(replaced)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard[-1] == {}


def test_no_handler_is_installed_in_a_block_that_refuses_them_and_other_threads_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    inside, done = threading.Event(), threading.Event()

    def hold():
        with handlers_refused():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # outside of the main thread this would raise
            inside.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        assert signal.signal(signal.SIGINT, signal.SIG_IGN) is before
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
        done.set()
        thread.join()
    assert signal.signal.__module__ == "signal"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["its own", "a helper"])  # file that imports Brian2
def test_an_interrupted_run_on_brian2_of_a_users_own_writes_nothing(tmp_path, where):
    (tmp_path / "helper.py").write_text(RUN)
    (tmp_path / "leak.py").write_text((RUN if where == "its own" else "from helper import run") + OWN)
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from rmaat.__main__ import main\n"
        "print('begins', flush=True)\n"
        "sys.exit(main(['simulate', 'leak.py', '--out', 'leak.nc', '--set', 'steps=1000000']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "begins\n"
        time.sleep(4.0)  # into the run, of half a minute; earlier or later the end must be the same
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == ""
    assert not (tmp_path / "leak.nc").exists()


@pytest.mark.biology
def test_a_file_that_imports_brian2_runs_in_a_thread(tmp_path):
    (tmp_path / "leak.py").write_text(RUN + OWN)
    code = (
        "import threading, astro_sim; found = [];"
        "t = threading.Thread(target=lambda: found.append(astro_sim.simulate('leak.py')));"
        "t.start(); t.join(); print(found[0].sizes['step'])"
    )
    assert python(code, cwd=tmp_path) == (0, "200\n", "")


def test_a_term_signal_that_a_block_swallows_still_ends_it():
    def end(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_heard(), suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_that_gets_past_the_guard_is_told():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InputError, match="SIGINT: a handler was installed meanwhile"), interrupts_heard():
        _signal.signal(signal.SIGINT, lambda *_: None)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.parametrize("where", ["top", "run"])  # where a helper, whose name tells nothing, is imported
def test_preferences_change_no_number_whoever_imports_brian2(tmp_path, where):
    (tmp_path / "helper.py").write_text(RUN)
    top = "import sys; sys.path.insert(0, '.')\n"
    code = (
        "from helper import run\n" if where == "top" else "def run(*a):\n    import helper\n    return helper.run(*a)\n"
    )
    (tmp_path / "leak.py").write_text(top + code + OWN)
    ask = "import astro_sim; print(astro_sim.dataset.content_digest(astro_sim.simulate('leak.py')))"
    ask = ask.replace("import astro_sim;", "import astro_sim, astro_sim.dataset;")
    usual = python(ask, cwd=tmp_path)
    (tmp_path / "brian_preferences").write_text("core.default_float_dtype = float32\n")
    assert python(ask, cwd=tmp_path) == usual
    assert usual[0] == 0


def test_a_file_of_preferences_that_brian2_cannot_read_is_told(tmp_path):
    (tmp_path / "brian_preferences").write_text("garbage [[[\n")
    code = "import sys; from rmaat.__main__ import main; sys.exit(main(['simulate', 'calcium', '--out', 'x.nc']))"
    status, _, told = python(code, cwd=tmp_path)
    assert (status, told.count("\n")) == (2, 1)
    assert told.startswith(
        "rmaat: ./brian_preferences or ~/.brian/user_preferences: Brian2 cannot read it (Parsing error"
    )


# --- machines


def test_cores_and_memory_are_known_where_the_system_tells_less(monkeypatch):
    here = machine.peak_memory_mb()
    assert machine.cores() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert machine.cores() == os.cpu_count()
    assert 0.2 * here < machine.peak_memory_mb() < 5 * here  # resident now, which is less than the peak


def test_a_kernel_compiles_where_no_cache_can_be_had(monkeypatch):
    def nowhere(*_):
        raise RuntimeError("cannot cache function 'double': no locator available for file")

    monkeypatch.setattr(numba.core.caching.FunctionCache, "__init__", nowhere)
    double = compiled.compiled()(lambda x: 2 * x)
    assert double(3) == 6


def test_a_cache_that_is_damaged_or_full_is_as_good_as_none(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.core.caching.config, "CACHE_DIR", str(tmp_path))
    assert compiled.compiled()(_twice)(3) == 6
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(b"\x80\x05damaged")
    assert compiled.compiled()(_twice)(3) == 6

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "load", lambda *_: None)
    assert compiled.compiled()(_twice)(3) == 6


def _twice(x):
    return 2 * x


def test_compiled_code_of_brian2_goes_elsewhere_where_the_home_cannot_be_written_to(monkeypatch):
    before = brian2.prefs[brian.CACHE]
    brian._require_cache()
    assert brian2.prefs[brian.CACHE] == before
    monkeypatch.setattr(os, "access", lambda *_: False)
    try:
        brian._require_cache()
        assert Path(brian2.prefs[brian.CACHE]).name.startswith("brian_extensions_")
        assert Path(brian2.prefs[brian.CACHE]) != Path(before or "")
    finally:
        brian2.prefs[brian.CACHE] = before


# --- file systems


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_a_file_system_that_cannot_wait_keeps_the_file(monkeypatch, tmp_path, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    for name in ("fsync", "chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    files.write_text(tmp_path / "a.txt", "all of it")
    with files.whole_folder(tmp_path / "folder") as folder:
        (folder / "b.txt").write_text("x")
    assert (tmp_path / "a.txt").read_text() == "all of it"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "b.txt", "folder"]


def test_a_disk_that_fails_is_told(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        files.write_text(tmp_path / "a.txt", "x")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EACCES])
def test_a_file_system_without_locks_is_told_and_used(monkeypatch, tmp_path, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    if number == errno.ENOLCK:
        with pytest.warns(UserWarning, match="its file system has no locks"), files.alone(tmp_path / ".lock", "busy"):
            (tmp_path / "a").write_text("x")
        assert (tmp_path / "a").is_file()
        return
    with pytest.raises(OSError, match="Permission denied") as caught, files.alone(tmp_path / ".lock", "busy"):
        pass
    assert caught.value.filename == str(tmp_path / ".lock")


@pytest.mark.parametrize("length", [241, 255])
@pytest.mark.parametrize("letter", ["a", "ü"])
def test_the_longest_names_that_a_file_system_takes_can_be_written(tmp_path, length, letter):
    name = letter * ((length - 5) // len(letter.encode())) + ".json"
    files.write_json(tmp_path / name, [1])
    for _ in range(2):
        with files.whole_folder(tmp_path / name.replace(".json", "_"), replace=True) as folder:
            (folder / "a").write_text("x")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, name.replace(".json", "_")])


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    for make in (files.whole_file, files.whole_folder):
        with pytest.raises(OSError, match="Permission denied") as caught, make(tmp_path / "x"):
            pass
        assert caught.value.filename == str(tmp_path / "x")


# --- streams and processes


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_missing_or_closed_stderr_is_no_terminal(monkeypatch, stream):
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not on_terminal()
    with Progress("working", 1, patience=-1) as progress:
        progress.advance()


@pytest.mark.slow
def test_closed_streams_a_full_one_and_ascii_leave_the_verbs_at_work(tmp_path):
    def shell(redirection, **environment):
        command = f"{sys.executable} -m rmaat simulate ltp --out ltp.nc --set cycles=1 {redirection}"
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False, env={**os.environ, **environment}
        )
        return done.returncode, done.stderr.decode()

    assert shell("2>&-") == (0, "")
    assert shell("<&- >&- 2>&-") == (0, "")
    assert astro_sim.read(tmp_path / "ltp.nc").sizes["cycle"] == 2  # nothing went into the file but the dataset
    assert shell("> /dev/full") == (2, "rmaat: No space left on device\n")
    shutil.copytree(tmp_path, tmp_path / "Ärger hier")
    command = f"{sys.executable} -m rmaat simulate ltp --out 'Ärger hier/ltp.nc' --set cycles=1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stdout[:13]) == (0, b"\\xc4rger hier")


def test_files_of_the_users_that_are_called_as_our_rooms_are_not_loaded(tmp_path):
    for name in ("analysis", "bridge", "astro_sim", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the user')")
    done = subprocess.run(
        [sys.executable, "-m", "rmaat", "report", str(LAWS), "--out", "r.html"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def _sweep_in_a_worker(_):
    found = astro_sim.sweep("calcium", {"levels": [[0.5], [1.0]]}, duration=0.2, target="numpy")
    return found["calcium_mean"].values.tolist()


@pytest.mark.slow
def test_a_worker_that_may_have_no_processes_sweeps_by_itself():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(_sweep_in_a_worker, [0])
    expected = [astro_sim.simulate("calcium", levels=[x], duration=0.2, target="numpy") for x in (0.5, 1.0)]
    assert [x for x in np.ravel(found) if x == x] == [each["calcium_mean"].item() for each in expected]


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="a process's mask of signals is read from /proc")
def test_a_worker_is_born_deaf_to_interrupts():
    """Until it ignores them, which it can only say once it has imported what it needs."""
    worker = pool._Worker()
    try:
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
        assert blocked & 1 << signal.SIGINT - 1
    finally:
        worker.kill()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path, encoding):
    (tmp_path / "a.toml").write_bytes("a = 'ü'\r\n".encode(encoding))
    (tmp_path / "a.json").write_bytes('["ü"]'.encode(encoding))
    assert load_toml(tmp_path / "a.toml") == {"a": "ü"}
    assert files.read_json(tmp_path / "a.json", "list") == ["ü"]


def test_text_in_another_encoding_is_told(tmp_path, capsys):
    (tmp_path / "a.toml").write_bytes("a = 1\n".encode("utf-16"))
    words = ["models", "--config", str(tmp_path / "a.toml")]
    assert main(words) == 2
    assert capsys.readouterr().err == f"rmaat: {tmp_path}/a.toml: not a TOML file: not text in UTF-8 (byte 1)\n"
