"""`dvc.yaml` and scripts/release.sh: their inputs are there, and every config of the release is trained."""

import re
import subprocess
from pathlib import Path

import yaml

from netchu.core.config import load_config
from tests.support.tiny import ROOT

GIVEN = ("kalapa", "cinnamon", "open", "corpora", "PP-OCRv6_rec_small.onnx")  # what the user brings
SCRIPT = ROOT / "scripts" / "release.sh"


def test_every_input_is_there_or_made_by_an_earlier_stage() -> None:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    images = content["vars"][0]["images"]
    made: set[str] = set()
    for name, stage in content["stages"].items():
        for path in (dep.replace("${images}", images) for dep in stage["deps"]):
            assert path in made or path.split("/")[0] in GIVEN or (ROOT / path).exists(), f"{name}: {path}"
        for word in stage["cmd"].split():
            assert not word.endswith((".sh", ".py")) or (ROOT / word).is_file(), f"{name}: {word}"
        made |= {next(iter(entry)) for entry in stage["outs"]}
    assert "sh scripts/release.sh" in [stage["cmd"] for stage in content["stages"].values()]


def test_the_script_trains_every_config_of_its_bundle() -> None:
    assert subprocess.run(["sh", "-n", SCRIPT], check=False).returncode == 0
    text = SCRIPT.read_text(encoding="utf-8")
    named = set(re.findall(r"^train (\w+)$", text, re.MULTILINE))
    assert named == {path.stem for path in (ROOT / "configs" / "release").glob("*.py")}
    for name in named:
        cfg = load_config(f"release/{name}", folder=ROOT / "configs")
        for start in map(Path, filter(None, (cfg.load_weight, cfg.teacher))):
            made_by = (
                start.parent.name in named or f"--out {start}" in text or f"mean $run/{start.parent.name}/" in text
            )
            assert made_by, f"{name} starts from {start}"
        made = Path(cfg.manifest).stem
        assert made == "train_folds" or f"manifest {made} " in text, f"{name} trains on {cfg.manifest}"
