"""`dvc.yaml`: its stages hang together, and their commands run in order on a stand-in for the challenge's folders."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from netchu.experiments.registry import Registry
from tests.support.checkout import SHRUNK
from tests.support.tiny import ROOT

STAGES = ["synthetic", "prepare", "pretrain", "finetune", "language", "select", "infer"]


def resolve(value: Any, variables: dict[str, Any]) -> Any:
    """A part of the file with its ${vars} filled in, as DVC does it."""
    if isinstance(value, dict):
        return {key: resolve(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [resolve(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        found: Any = variables
        for key in match[1].split("."):
            found = found[key]
        return str(found)

    return re.sub(r"\$\{([\w.]+)\}", look_up, value)


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    """The stages, resolved."""
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    variables = {key: value for part in content["vars"] for key, value in part.items()}
    resolved: dict[str, Any] = resolve(content["stages"], variables)
    return resolved


def paths(entries: list[Any]) -> list[str]:
    """Paths of a list of deps or outs, whose entries may carry options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def test_every_input_is_there_or_made_by_an_earlier_stage(stages: dict[str, Any]) -> None:
    assert list(stages) == STAGES
    given = ("kalapa", "cinnamon")
    made: set[str] = set()
    for name, stage in stages.items():
        for path in map(str.lstrip, paths(stage["deps"])):
            assert path in made or path.split("/")[0] in given or (ROOT / path).exists(), f"{name}: {path}"
        made |= set(paths(stage["outs"]))


def test_the_commands_run_in_order(stages: dict[str, Any], checkout: Path) -> None:
    for name, stage in stages.items():
        for command in [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]:
            extra = [word for script, words in SHRUNK.items() if script in command for word in words]
            shell = re.sub(r"\bpython\b", sys.executable, " ".join([command, *extra]))
            shell = re.sub(r"^netchu\b", f"{sys.executable} -m netchu", shell)
            done = subprocess.run(shell, shell=True, cwd=checkout, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name}: {command}\n{done.stderr[-2000:]}"
        for path in paths(stage["outs"]):
            assert os.path.lexists(checkout / path), f"{name} does not make {path}"
    child = Registry(checkout / "models").find("promoted")
    assert (child.name, Registry(checkout / "models").find(child.parent).name) == ("b0_192_f0", "b0_192_ptr_f0")
    with (checkout / "outputs/submission.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 48
