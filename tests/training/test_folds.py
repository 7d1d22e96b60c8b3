"""All folds: each line read once by the run that had not seen it, complete runs left alone, figures that add up."""

import csv
import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

from netchu.core.config import Config
from netchu.core.errors import NetchuError, StoppedError
from netchu.data.manifest import read_lines, write_manifest
from netchu.training import folds
from netchu.training.engine import fit
from netchu.training.folds import fold_runs, is_complete, train_folds


def no_command(cfg: Config) -> list[str]:
    raise AssertionError("no process is needed")


@pytest.fixture
def runs(tiny: Config) -> list[Config]:
    return [replace(tiny, fold=fold, name=f"tiny_f{fold}", epochs=1) for fold in range(5)]


def counting(trained: list[int]) -> Callable[[Config], dict[str, Any]]:
    def train(cfg: Config) -> dict[str, Any]:
        trained.append(cfg.fold)
        return fit(cfg)

    return train


def test_every_line_is_read_by_a_run_that_had_not_seen_it(runs: list[Config]) -> None:
    trained: list[int] = []
    fit(runs[2])
    table = train_folds(runs, counting(trained), no_command)
    assert trained == [0, 1, 3, 4]
    folder = runs[0].run_dir.parent / "tiny_folds"
    rows = list(csv.DictReader((folder / "oof.csv").open(encoding="utf-8")))
    lines = read_lines(Path(runs[0].manifest))
    assert sorted((row["id"], int(row["fold"])) for row in rows) == sorted(
        ("/".join(line.path.parts[-2:]), line.fold) for line in lines
    )
    figures = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    (source,) = figures["pooled"]
    assert figures["pooled"][source]["lines"] == len(lines)
    mean, spread = figures["mean_and_spread"][source]["cer"]
    cers = [fold[source]["cer"] for fold in figures["folds"].values()]
    assert mean == pytest.approx(sum(cers) / 5) and spread >= 0
    assert "pooled" in table and f"{len(lines)} answers" in table
    trained.clear()
    train_folds(runs, counting(trained), no_command)
    assert trained == []
    train_folds(runs, counting(trained), no_command, anew=True)
    assert trained == [0, 1, 2, 3, 4]


def test_a_run_with_other_settings_is_not_complete(runs: list[Config]) -> None:
    assert not is_complete(runs[0])
    fit(runs[0])
    assert is_complete(runs[0])
    assert not is_complete(replace(runs[0], lr=1.0))
    longer = replace(runs[0], epochs=2)
    assert not is_complete(longer)
    trained: list[int] = []
    with pytest.raises(NetchuError, match=r"epochs=1, now 2; .* begin anew with --restart"):
        train_folds([longer], counting(trained), no_command)
    train_folds([longer], lambda cfg: fit(cfg, resume=False), no_command)
    assert is_complete(longer)


def test_folds_that_moved_are_trained_again(runs: list[Config], tmp_path: Path) -> None:
    lines = read_lines(Path(runs[0].manifest))
    cfg = replace(runs[0], manifest=str(tmp_path / "folds.csv"))
    write_manifest(Path(cfg.manifest), lines)
    fit(cfg)
    assert is_complete(cfg)
    write_manifest(Path(cfg.manifest), [replace(line, fold=(line.fold + 1) % 5) for line in lines])
    assert not is_complete(cfg)


def test_a_run_that_was_begun_anew_and_cut_off_is_not_complete(
    runs: list[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder still holds what the run before left."""
    fit(runs[0])
    monkeypatch.setattr("netchu.training.train_step.TrainStep.step", no_command)
    with pytest.raises(TypeError):
        fit(runs[0], resume=False)
    assert not is_complete(runs[0])


def test_names_carry_the_fold() -> None:
    assert [cfg.name for cfg in fold_runs(lambda fold: Config(name="mine", fold=fold))] == [
        f"mine_f{fold}" for fold in range(5)
    ]
    assert fold_runs(lambda fold: Config(name=f"b0_f{fold}", fold=fold))[3].name == "b0_f3"


def test_a_fold_without_lines_is_one_line(runs: list[Config], tmp_path: Path) -> None:
    lines = read_lines(Path(runs[0].manifest))
    path = tmp_path / "four.csv"
    write_manifest(path, [replace(line, fold=max(1, line.fold)) for line in lines])
    with pytest.raises(NetchuError, match=r"four\.csv: has no line in fold 0"):
        train_folds([replace(cfg, manifest=str(path)) for cfg in runs[:1]], counting([]), no_command)


def test_folds_are_spread_over_gpus(runs: list[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes that only note which GPU they see; one that fails ends the rest."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(folds, "sum_up", lambda runs: "table")
    code = "import os, pathlib; pathlib.Path(r'{}', '{}').write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    assert train_folds(runs, counting([]), lambda cfg: ["-c", code.format(tmp_path, cfg.fold)]) == "table"
    seen = {int(path.name): path.read_text() for path in tmp_path.iterdir() if path.name.isdigit()}
    assert seen.keys() == set(range(5)) and set(seen.values()) == {"0", "1"}
    with pytest.raises(NetchuError, match="fold 0: ended with status 3"):
        train_folds(runs, counting([]), lambda cfg: ["-c", "import sys; sys.exit(3)"])


def test_a_stop_is_passed_on_to_every_gpu(runs: list[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes that save when they are asked to stop; none is left behind, and no other fold begins."""

    def unheard(number: int, frame: FrameType | None) -> None:
        raise RuntimeError("nobody waits for the signal")

    def stop(seconds: float) -> None:
        pause(0.05)
        if len(list(tmp_path.glob("begun_*"))) == 2:
            signal.raise_signal(signal.SIGTERM)

    pause = time.sleep
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("netchu.training.folds.time.sleep", stop)
    code = (
        "import pathlib, signal, sys, time\nfolder = pathlib.Path({!r})\n"
        "def save(*_):\n    (folder / 'saved_{}').touch()\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\n(folder / 'begun_{}').touch()\ntime.sleep(60)\n"
    )
    old = signal.signal(signal.SIGTERM, unheard)
    try:
        with pytest.raises(StoppedError, match="all saved; go on with the same command"):
            train_folds(runs, counting([]), lambda cfg: ["-c", code.format(str(tmp_path), cfg.fold, cfg.fold)])
    finally:
        signal.signal(signal.SIGTERM, old)
    assert {path.name for path in tmp_path.glob("*_*")} == {"begun_0", "begun_1", "saved_0", "saved_1"}
