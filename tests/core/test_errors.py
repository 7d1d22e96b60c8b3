"""How a command ends: its own status, one line for a mistake, silence when nobody reads its output any more."""

import subprocess
import sys

import pytest

from tests.support.commands import run_unread

START = "from netchu.core.errors import run_main\nimport sys\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("rows", [1, 100_000], ids=["at the end", "on the way"])
def test_a_reader_that_has_gone_is_no_error(rows: int, unbuffered: str) -> None:
    """As `command | head -1` leaves it: few rows break when they are flushed, many while they are printed."""
    done = run_unread(
        "-c", f"{START}run_main(lambda: print(*['a line of output'] * {rows}, sep='\\n'))", unbuffered=unbuffered
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_another_broken_pipe_is_a_bug_and_shows_itself() -> None:
    broken = f"{START}def main():\n    raise BrokenPipeError('of a child')\nrun_main(main)"
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BrokenPipeError: of a child" in done.stderr
