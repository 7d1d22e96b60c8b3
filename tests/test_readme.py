"""Every command of the README and of the first model's page runs, on a stand-in for the challenge's folders."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import SHRUNK
from tests.support.tiny import ROOT

PAGES = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/first_model.md"))
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGES, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def test_the_readme_shows_its_two_commands() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_commands_run_in_the_order_shown(checkout: Path) -> None:
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "make":
            dry = subprocess.run(["make", "--dry-run", words[1]], cwd=ROOT, capture_output=True, check=False)
            assert dry.returncode == 0, command
            continue
        assert words[0] in ("python", "netchu"), command
        shrunk = [extra for script, extra in SHRUNK.items() if f"{script} " in f"{command} "]
        if "--resume" in words:  # the run above it has ended: resuming does nothing, but must be possible
            assert (checkout / "outputs/b0_192_f0/state.pt").is_file()
        start = [sys.executable, *(["-m", "netchu"] if words[0] == "netchu" else [])]
        full = [*start, *words[1:], *(word for extra in shrunk for word in extra)]
        done = subprocess.run(full, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    assert (checkout / "submission.csv").is_file()
