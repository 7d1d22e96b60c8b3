"""A user's mistake: one exception class, and how a script reports it.

Everything that a person can put right (a missing folder, a misspelt key, a truncated file) is raised as
`NetchuError` with one line that names the file, the field and the remedy. Scripts run their `main` through
`run_main`, which prints that line without a traceback and exits with status 2. A bug still shows its traceback.
"""

import atexit
import difflib
import errno
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn


class NetchuError(Exception):
    """A mistake that the user can put right; its text is one line that says where and how."""


class StoppedError(NetchuError):
    """A run that a signal ended with its state saved: it can go on. Its exit status is 128 + the signal's number."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.status = 128 + number


MARK = "error: "  # begins the line that a command ends with
EXTRAS = {  # of the package: which one brings a library that a command may miss
    library: extra
    for extra, libraries in {
        "train": "torch torchvision timm accelerate albumentations sklearn matplotlib pandas",
        "synthetic": "joblib fontTools vietnamadminunits",
        "serve": "fastapi starlette uvicorn sqlalchemy prometheus_client multipart PIL filelock",
        "export": "onnx onnxscript",
        "tune": "optuna",
        "executorch": "executorch",
        "parquet": "pyarrow",
        "lmdb": "lmdb",
        "dask": "distributed",
    }.items()
    for library in libraries.split()
}


def closest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'X'?` for the known word that is nearest to a mistyped one; empty when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def last_line(output: Path) -> str:
    """The last line that a process wrote into a file, for people: without the mark of an error."""
    rows = output.read_text(encoding="utf-8", errors="replace").split("\n") if output.is_file() else []
    said = [row.strip() for row in rows if row.strip()]
    return said[-1].removeprefix(MARK) if said else "ended without a word"


def run_main(main: Callable[[], int | None]) -> None:
    """Run `main` and exit: 0 or its own status, 2 for a `NetchuError`; and as shells have it 143 after SIGTERM, 130
    after Ctrl-C, 141 when whoever read the output has gone (`| head`). A warning of netchu is one line, without its
    place in the code, and is said under any filter: it may name a file that was left out. What a started process may
    not open, and a full disk under the output, are lines as well; an output that is closed is not written to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # until the end
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    warnings.filterwarnings("default", category=UserWarning, module=r"netchu\.")  # whatever PYTHONWARNINGS says
    try:
        status = main()
        sys.stdout.flush()
    except StoppedError as stop:
        print(stop, file=sys.stderr)
        status = stop.status
    except NetchuError as error:
        print(f"{MARK}{error}", file=sys.stderr)
        status = 2
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        if library not in EXTRAS:
            raise
        print(f"{MARK}{library} is not installed; pip install 'netchu[{EXTRAS[library]}]'", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        if not _output_has_no_reader():
            raise
        status = 141
    except OSError as error:
        full = error.filename is None and error.errno == errno.ENOSPC and _output_is_full()
        if not full and not (isinstance(error, PermissionError) and error.filename is not None):
            raise
        where, remedy = ("the output", "free some space") if full else (error.filename, "change its permissions")
        print(f"{MARK}{where}: {error.strerror}; {remedy}", file=sys.stderr)
        status = 2
    if process_count() > 1:
        _end_without_teardown(status or 0)
    sys.exit(status or 0)


def process_count() -> int:
    """How many processes `accelerate launch` or torchrun started together, this one among them; 1 without them."""
    said = os.environ.get("WORLD_SIZE", "")
    return int(said) if said.isdecimal() else 1


def _end_without_teardown(status: int) -> NoReturn:
    """End one of several processes after its exit functions, before Python takes itself down: a thread of gloo that
    drops its last tensor meanwhile would abort the process, and torch 2.15 has no way to end these threads first."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _output_has_no_reader() -> bool:
    """Whether standard output is a pipe that nobody reads any more; what it still holds is then dropped."""
    if not hasattr(select, "poll"):
        return False
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    broken = any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))
    if broken:
        _drop_output()
    return broken


def _output_is_full() -> bool:
    """Whether standard output cannot be written for want of space; what it still holds is then dropped."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        _drop_output()
        return True
    return False


def _drop_output() -> None:
    """Let what is still written to standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
