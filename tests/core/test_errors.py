"""How a command ends: its own status, one line for a mistake, silence when nobody reads its output any more."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.commands import fresh, run_unread
from tests.support.tiny import ROOT

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
    done = fresh("-c", broken)
    assert done.returncode == 1
    assert "BrokenPipeError: of a child" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "trial lr -C b0_192_f5", "registry promote x", "export x.safetensors --to onnx", "preview .",
        "release --lines x --manifest y --ensemble src/netchu/weights/ensemble.json --out z", "serve",
        "train -C b0_192_f5", "import-weights x --out y", "tune -C b0_192_f5 --fold 0", "prepare --parquet x",
    ],
)  # fmt: skip
def test_a_missing_library_is_one_line_with_its_extra(words: str) -> None:
    """As in the lean install, where these verbs want an extra."""
    missing = (
        "torch", "pandas", "matplotlib", "PIL", "filelock", "fontTools", "fastapi", "sqlalchemy", "optuna", "pyarrow",
    )  # fmt: skip
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({missing}))\nsys.argv = ['netchu', *{words.split()}]"
    done = fresh("-c", f"{blocked}\nfrom netchu.cli import run\nrun()")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert re.fullmatch(r"error: \w+ is not installed; pip install 'netchu\[\w+\]'\n", done.stderr)


@pytest.mark.parametrize("name", ["gendata_address", "gendata_poems", "gendata_aug", "gentext_address"])
def test_a_library_that_a_generator_misses_is_one_line_too(name: str) -> None:
    code = (
        "import runpy, sys\nsys.modules.update(dict.fromkeys(('torch', 'joblib', 'fontTools')))\n"
        f"runpy.run_path({str(ROOT / 'synthetic_data' / name)!r} + '.py', run_name='__main__')"
    )
    done = fresh("-c", code)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: \w+ is not installed; pip install 'netchu\[\w+\]'\n", done.stderr)


SEVERAL = """
import atexit, sys
from netchu.core.errors import NetchuError, run_main
def main():
    atexit.register(print, "tidied")
    print("done")
    if len(sys.argv) > 1:
        raise NetchuError("wrong")
class Teardown:
    def __del__(self): print("Python takes itself down")
kept = Teardown()
run_main(main)
"""


@pytest.mark.parametrize(("processes", "torn"), [("2", False), ("1", True), ("", True)])
def test_one_of_several_processes_ends_before_python_takes_itself_down(processes: str, torn: bool) -> None:
    for words, status in (([], 0), (["x"], 2)):
        run = fresh("-c", SEVERAL, *words, env={**os.environ, "WORLD_SIZE": processes})
        said = ["done", "tidied"] + ["Python takes itself down"] * torn
        assert (run.returncode, run.stdout.split("\n")[:-1]) == (status, said)
        assert run.stderr == ("error: wrong\n" if status else "")


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_closed_output_is_no_error(closed: str) -> None:
    """As a daemon may start a command."""
    words = "import tqdm\nrun_main(lambda: (print('done'), sys.stdout.write('done'), list(tqdm.tqdm([1])), 7)[3])"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", START + words], capture_output=True, check=False
    )
    assert done.returncode == 7 and b"Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("rows", [1, 100_000], ids=["at the end", "on the way"])
def test_a_full_disk_under_the_output_is_one_line(rows: int) -> None:
    words = f"run_main(lambda: print(*['a line of output'] * {rows}, sep='\\n'))"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = fresh("-c", START + words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (2, "error: the output: No space left on device; free some space\n")


def test_what_may_not_be_opened_is_one_line() -> None:
    words = "def main():\n    raise PermissionError(13, 'Permission denied', 'images/3')\nrun_main(main)"
    done = fresh("-c", START + words)
    assert (done.returncode, done.stderr) == (2, "error: images/3: Permission denied; change its permissions\n")
