"""Commands in processes of their own, and what a refusal looks like."""

import os
import subprocess
import sys

from tests.support.tiny import ROOT

Result = subprocess.CompletedProcess[str]


def run(script: str, *arguments: object) -> Result:
    """A script of the repository's root, in its own process."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def assert_refused(result: Result, *message: str) -> None:
    """Exit status 2 and one line that says it, no traceback."""
    assert result.returncode == 2, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    for text in message:
        assert text in errors[0]


def run_unread(*words: str, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    """Python with an output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        command = [sys.executable, *words]
        return subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    finally:
        os.close(writer)
