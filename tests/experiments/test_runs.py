"""`netchu runs` lists runs, the best first, with what sets them apart."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import write_json
from netchu.experiments import runs
from netchu.training.engine import fit
from netchu.training.run_folder import Run
from tests.support.tiny import TINY


def leave_run(folder: Path, kalapa: float | None, **config: object) -> None:
    """What a run with these figures leaves."""
    best = None if kalapa is None else {"kalapa_score": kalapa, "cer": 1 - kalapa, "wer": 1.0, "exact": 0.5}
    report = {"config": {"seed": 0, "lr": 0.1, "name": folder.name, **config}, "held_out": best, "step": 7}
    write_json(folder / "report.json", {**report, "training_seconds": 3.0})


def test_best_run_first_with_differing_fields_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_run(tmp_path / "worse", 0.5)
    leave_run(tmp_path / "deep" / "better", 0.9, lr=0.2)
    leave_run(tmp_path / "whole", None)
    write_json(tmp_path / "other" / "report.json", {"lines": 3})
    running = Run(replace(TINY, name="running", output_dir=str(tmp_path)))
    for step, score in ((1, 0.7), (2, 0.6)):
        running.log({"step": step, "kalapa_score": score, "cer": 0.2, "wer": 0.3, "exact": 0.1})
    assert [Path(run).name for run in runs.find_runs(tmp_path).run] == ["better", "running", "worse", "whole"]
    assert [Path(run).name for run in runs.find_runs(tmp_path, "cer").run] == ["better", "running", "worse", "whole"]
    monkeypatch.setattr(sys, "argv", ["runs", str(tmp_path)])
    runs.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split()[:4] == ["0.9000", "10.00", "100.00", "50.0"]
    assert rows[1].endswith("lr=0.2") and rows[3].endswith("lr=0.1") and "seed" not in rows[1]
    assert rows[2].split()[:1] == ["0.7000"] and "none held out" in rows[4]
    monkeypatch.setattr(sys, "argv", ["runs", str(tmp_path), "--json"])
    runs.main()
    assert json.loads(capsys.readouterr().out)[0]["config"]["lr"] == 0.2


def test_real_runs_are_listed(tiny: Config) -> None:
    fit(replace(tiny, epochs=1))
    fit(replace(tiny, epochs=1, lr=1e-3, name="slow_f0"))
    found = runs.find_runs(Path(tiny.output_dir))
    assert {Path(run).name for run in found.run} == {"tiny_f0", "slow_f0"}
    assert runs.differing_fields(found) == ["lr"]
    assert (found[["cer", "step", "training_seconds"]] > 0).all(axis=None)


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="holds no runs"):
        runs.find_runs(tmp_path)
    with pytest.raises(NetchuError, match="no such folder"):
        runs.find_runs(tmp_path / "none")
