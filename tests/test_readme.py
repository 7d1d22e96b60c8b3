"""Every command of the README and of the first model's page runs, on a stand-in for the challenge's folders."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/first_model.md"))
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGES, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
SMALL = (
    "backbone=cnn3", "width_stride=4", "height=32", "hidden=16", "neck=none", "epochs=1", "epoch_lines=16",
    "batch_size=8", "workers=0", "pretrained=false",
)  # fmt: skip
SHRUNK = {
    "train.py": ["--set", *SMALL],
    "gendata_address.py": ["--count", "6", "--jobs", "1"],
    "netchu trial auto": ["--seconds", "0", "--set", *SMALL],
    "netchu trial lr": ["--batches", "10", "--set", *SMALL],
    "gentext_address.py": ["--count", "60"],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, lines_folder: Path) -> Path:
    """A fresh checkout as a user has it, with the challenge's folders in place."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("train.py", "infer.py", "prepare_ext_data.py", "configs", "synthetic_data", "benchmarks", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    training, test = folder / "kalapa" / "training_data", folder / "kalapa" / "public_test"
    (training / "annotations").mkdir(parents=True)
    test.mkdir()
    (training / "images").symlink_to(lines_folder / "images")
    (test / "images").symlink_to(lines_folder / "images")
    cinnamon = folder / "cinnamon" / "train"
    cinnamon.mkdir(parents=True)
    (cinnamon / "labels.json").write_text("{}", encoding="utf-8")
    for row in (lines_folder / "labels.tsv").read_text(encoding="utf-8").splitlines():
        name, text, writer = row.split("\t")
        with (training / "annotations" / f"{writer}.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{name.removeprefix('images/')}\t{text}\n")
    return folder


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
