"""Commands as a user gives them, in processes of their own, and what a refusal looks like.

The processes are forked from a server that has imported everything once: a command then costs what it does, not the
seconds in which PyTorch is imported.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.tiny import ROOT

Result = subprocess.CompletedProcess[str]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([
    "pandas", "matplotlib.figure", "sklearn.model_selection", "sklearn.linear_model", "netchu.model.graph",
    "netchu.export.targets",
    "netchu.selection.select_ensemble", "netchu.training.engine", "netchu.commands.train", "netchu.commands.infer",
    "netchu.commands.prepare", "netchu.commands.language", "netchu.selection.command", "netchu.experiments.report",
    "netchu.experiments.trial", "netchu.release.folder", "netchu.serve.api", "netchu.serve.request_guard",
    "netchu.serve.service", "tests.support.services",
])  # fmt: skip


def _command(words: list[str], folder: Path, environment: Mapping[str, str], logs: Path) -> None:
    """In the process: become `python WORDS`, with output and errors in two files."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(logs / name, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.update(environment)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        exec(words[1], {"__name__": "__main__"})
    else:
        sys.argv, sys.path[:0] = words, [str(Path(words[0]).resolve().parent)]
        runpy.run_path(words[0], run_name="__main__")


def python(*words: object, cwd: Path = ROOT, **environment: str) -> Result:
    """`python WORDS` in a process of its own: a script, `-m MODULE` or `-c CODE`, with its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        process = CONTEXT.Process(target=_command, args=([str(word) for word in words], cwd, environment, logs))
        process.start()
        process.join()
        out, err = ((logs / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        return Result([str(word) for word in words], int(process.exitcode or 0), out, err)


def fresh(*words: object, **options: Any) -> Result:
    """The same from the very start, with nothing imported; `options` as `subprocess.run` has them."""
    return subprocess.run(
        [sys.executable, *map(str, words)], **{"capture_output": True, "text": True, "check": False, **options}
    )


def run(script: str, *arguments: object) -> Result:
    """A script of the repository."""
    return python(ROOT / script, *arguments)


def netchu(*words: object, cwd: Path = ROOT) -> Result:
    """The command `netchu`."""
    return python("-m", "netchu", *words, cwd=cwd)


def assert_refused(result: Result, *message: str) -> None:
    """Exit status 2 and one line that says it, no traceback."""
    assert result.returncode == 2, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    for text in message:
        assert text in errors[0]


def run_unread(*words: str, unbuffered: str = "") -> Result:
    """Python with an output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        command = [sys.executable, *words]
        return subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    finally:
        os.close(writer)
