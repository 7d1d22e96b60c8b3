"""Training: it learns, resumes exactly, keeps its figures honest, and says what is wrong."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import read_log
from netchu.data.manifest import read_lines, write_manifest
from netchu.model.bundle import load_bundle, load_teacher, read_bundle, save_bundle
from netchu.model.losses import CtcObjective, distillation
from netchu.model.recogniser import build_model
from netchu.training.engine import Trainer, fit
from netchu.training.folds import is_complete, train_folds
from netchu.training.resume import load_state, refuse_other_run, run_hashes, save_state
from netchu.training.train_step import TrainStep
from tests.support.bundles import untrained
from tests.support.stopping import stopping_after
from tests.support.tiny import CHARSET, ROOT

TIMES = ("lines_per_s", "data_wait", "seconds")


def log_without_times(cfg: Config) -> list[dict[str, Any]]:
    """A run's log, less what depends on the clock."""
    return [{k: v for k, v in r.items() if k not in TIMES} for r in read_log(cfg.run_dir / "log.jsonl")]


def test_overfits_one_batch(tiny: Config, manifest: Path, tmp_path: Path) -> None:
    """Eight lines, learnt by heart: CER 0 on them."""
    eight = [line for line in read_lines(manifest) if line.writer_id == "0"]
    trained_on = [replace(line, writer_id="", fold=-1, aug="copy") for line in eight]
    held_out = [replace(line, writer_id="", fold=0, source="again") for line in eight]
    path = tmp_path / "eight.csv"
    write_manifest(path, trained_on + held_out)
    cfg = replace(tiny, manifest=str(path), epochs=120, validate_every=120, neck="none", hidden=64, lr=1e-2)
    report = fit(cfg)
    assert report["lines"]["train"] == 8
    assert report["held_out"]["cer"] == 0
    assert report["held_out"]["exact"] == 1


def test_a_run_leaves_bundle_report_log_and_curves(tiny: Config) -> None:
    report = fit(tiny)
    files = {path.name for path in tiny.run_dir.iterdir()}
    assert files == {
        "best.safetensors",
        "last.safetensors",
        "log.jsonl",
        "report.json",
        "curves.png",
        "samples.png",
        "state.pt",
        "state.1.pt",
        "valid.csv",
    }
    assert json.loads((tiny.run_dir / "report.json").read_text(encoding="utf-8")) == report
    bundle = load_bundle(tiny.run_dir / "best.safetensors")
    assert bundle.cfg == tiny
    assert bundle.metrics["cer"] == report["held_out"]["cer"]
    assert set(report["held_out"]["by_source"]) == {line.source for line in read_lines(Path(tiny.manifest))}
    _, about = read_bundle(tiny.run_dir / "best.safetensors")
    assert about["hashes"]["manifest"] == report["hashes"]["manifest"]


def test_fold_5_has_no_held_out_figure(tiny: Config) -> None:
    cfg = replace(tiny, fold=5, name="tiny_f5")
    report = fit(cfg)
    assert report["held_out"] is None
    assert report["lines"] == {"train": 48, "held_out": 0, "excluded": []}
    assert load_bundle(cfg.run_dir / "best.safetensors").metrics == {"step": 12, "epoch": 2}
    assert not any("cer" in record for record in log_without_times(cfg))


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_resume_equals_an_uninterrupted_run(stop_after: int, tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of an epoch (4 steps each) and at its end, with dropout, augmentation and workers."""
    cfg = replace(tiny, augment="ink", dropout=0.3, workers=1, neck_layers=2, name="whole_f0")
    monkeypatch.setattr("netchu.training.engine.LOG_EVERY", 3)
    fit(cfg)
    other = replace(cfg, name="parts_f0")
    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "step", stopping_after(stop_after))
        with pytest.raises(NetchuError, match=f"stopped after {stop_after} batches, .* all saved; go on with the same"):
            fit(other)
    assert load_state(other.run_dir)[0]["unscored"] == (stop_after == 4), "its validation was left"
    fit(other)
    ends = [load_state(c.run_dir)[0]["parts"] for c in (cfg, other)]
    for part in ("objective", "ema"):
        for name, tensor in ends[0][part].items():
            assert torch.equal(tensor, ends[1][part][name]), name
    assert log_without_times(cfg) == log_without_times(other)
    assert {"loss", "cer"} <= {key for record in log_without_times(cfg) for key in record}


def test_resume_with_another_config_or_other_data_is_refused(tiny: Config, manifest: Path) -> None:
    with pytest.raises(NetchuError, match="no state to resume from"):
        fit(tiny, resume=True)
    fit(tiny)
    with pytest.raises(NetchuError, match=r"was made with lr=0\.003, now 0\.001"):
        fit(replace(tiny, lr=1e-3), resume=True)
    copy = tiny.run_dir / "other.csv"
    write_manifest(copy, read_lines(manifest)[:-1])
    changed = replace(tiny, manifest=str(copy))
    save_state(tiny.run_dir, {**load_state(tiny.run_dir)[0], "config": changed.to_dict()})
    with pytest.raises(NetchuError, match=r"other\.csv: has changed since"):
        fit(changed, resume=True)


def test_resume_with_a_changed_teacher_is_refused_and_a_fold_taught_by_it_is_trained_again(
    tiny: Config, tmp_path: Path
) -> None:
    fit(replace(tiny, epochs=1))
    teacher = tmp_path / "teacher.safetensors"
    shutil.copy(tiny.run_dir / "last.safetensors", teacher)
    taught = replace(tiny, name="taught_f0", teacher=str(teacher))
    fit(taught)
    assert is_complete(taught)
    fit(replace(tiny, epochs=2), resume=False)
    shutil.copy(tiny.run_dir / "last.safetensors", teacher)
    assert not is_complete(taught)
    with pytest.raises(NetchuError, match=r"teacher\.safetensors: has changed since"):
        fit(taught, resume=True)


@pytest.mark.parametrize("lost", ["manifest", "teacher"])
def test_a_complete_fold_whose_files_are_gone_is_said_in_one_line(
    tiny: Config, manifest: Path, tmp_path: Path, lost: str
) -> None:
    fit(replace(tiny, epochs=1))
    copies = {"manifest": tmp_path / "lines.csv", "teacher": tmp_path / "teacher.safetensors"}
    write_manifest(copies["manifest"], read_lines(manifest))
    shutil.copy(tiny.run_dir / "last.safetensors", copies["teacher"])
    cfg = replace(tiny, name="taught_f0", epochs=1, manifest=str(copies["manifest"]), teacher=str(copies["teacher"]))
    fit(cfg)
    assert is_complete(cfg)
    copies[lost].unlink()
    with pytest.raises(NetchuError, match=rf"{copies[lost]}: no such (manifest|bundle)"):
        train_folds([cfg], fit, lambda _: [])


def test_a_new_run_forgets_the_one_before(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before its first save, it has nothing to go on from, and no file of another run stands for its own."""
    fit(tiny)
    assert (tiny.run_dir / "best.safetensors").is_file() and (tiny.run_dir / "valid.csv").is_file()
    monkeypatch.setattr(TrainStep, "step", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(tiny, resume=False)
    with pytest.raises(NetchuError, match="no state to resume from"):
        fit(tiny, resume=True)
    assert [path.name for path in tiny.run_dir.iterdir() if path.is_file()] == ["log.jsonl"]


def test_a_run_does_not_start_from_what_it_would_delete(tiny: Config, tiny_bundle: Path) -> None:
    own = tiny.run_dir / "best.safetensors"
    own.parent.mkdir(parents=True)
    shutil.copy(tiny_bundle, own)
    for cfg, field in (
        (replace(tiny, load_weight=str(own)), "load_weight"),
        (replace(tiny, teacher=str(own)), "teacher"),
    ):
        with pytest.raises(NetchuError, match=f"{field} .*best.safetensors: is in the folder that the new run clears"):
            fit(cfg, resume=False)
    assert own.is_file()


def test_a_state_inside_an_epoch_wants_as_many_processes(tiny: Config) -> None:
    state = {"config": tiny.to_dict(), "hashes": run_hashes(tiny), "place": [0, 3, 3], "ranks": 2}
    with pytest.raises(NetchuError, match="was saved inside an epoch by 2 processes, now there are 1"):
        refuse_other_run(state, tiny, run_hashes(tiny), ranks=1)
    refuse_other_run({**state, "place": [1, 0, 3]}, tiny, run_hashes(tiny), ranks=1)


def test_loss_that_is_not_finite_is_skipped_then_stops_with_the_lines(
    tiny: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = CtcObjective.forward
    calls = iter(range(1000))

    def broken(self: CtcObjective, *inputs: Any) -> torch.Tensor:
        loss = forward(self, *inputs)
        return loss * math.nan if next(calls) in {1} | set(range(4, 100)) else loss

    monkeypatch.setattr(CtcObjective, "forward", broken)
    with pytest.raises(NetchuError, match="was not finite for 10 batches in a row"):
        fit(replace(tiny, epochs=9))
    printed = capsys.readouterr().out
    assert re.search(r"batch 1: loss nan, gradient [\d.]+; skipped; lines", printed)
    assert ".jpg" in printed
    noted = [json.loads(row) for row in (tiny.run_dir / "bad_batches.jsonl").read_text("utf-8").splitlines()]
    assert [record["step"] for record in noted] == [1, *range(4, 14)]
    assert all(len(record["lines"]) == 8 for record in noted[:2])


def test_fine_tuning_starts_from_the_pretrained_bundle(tiny: Config) -> None:
    pretraining = replace(tiny, name="tiny_ptr_f5", fold=5, epochs=1)
    fit(pretraining)
    bundle = pretraining.run_dir / "best.safetensors"
    tuned = Trainer(replace(tiny, load_weight=str(bundle)), resume=False)
    head = load_bundle(bundle).model.head.weight
    assert torch.equal(tuned.train_step.objective.model.head.weight.detach().float(), head)
    with pytest.raises(NetchuError, match=r"none\.safetensors: no such bundle"):
        fit(replace(tiny, load_weight="none.safetensors"))


def test_a_teacher_is_learnt_from_and_not_trained(tiny: Config, tmp_path: Path) -> None:
    """Its outputs are approached though its letters stand in another order and lack one; its file does not change."""
    charset = Charset("".join(c for c in reversed(CHARSET.characters) if c != "H"))
    teacher = build_model(tiny, len(charset))
    with torch.no_grad():
        teacher.head.bias.copy_(4 * torch.randn(len(charset), generator=torch.Generator().manual_seed(0)))
    path = tmp_path / "teacher.safetensors"
    save_bundle(path, teacher, tiny, charset, metrics={}, hashes={})
    before = path.read_bytes()
    taught = replace(tiny, name="taught_f0", epochs=6, teacher=str(path), teacher_weight=0.9)
    image = torch.rand(1, 1, tiny.height, 160, generator=torch.Generator().manual_seed(1))

    def divergence(cfg: Config) -> float:
        fit(cfg)
        bundle = load_bundle(cfg.run_dir / "last.safetensors")
        with torch.no_grad():
            answers = bundle.model(image), load_teacher(taught, bundle.charset)(image)
        return float(distillation(*answers, torch.tensor([1])))

    assert divergence(taught) < 0.5 * divergence(replace(taught, name="alone_f0", teacher=""))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"height": 40}, r"cannot teach \(height is 32 in it, 40 here\); make the configs agree"),
        ({"width_stride": 8}, r"cannot teach \(width_stride is 4 in it, 8 here\)"),
        ({"fold": 1}, "cannot teach, it did not hold out fold 1; give one that did"),
        ({"teacher": "none.safetensors"}, r"none\.safetensors: no such bundle"),
        ({"teacher_weight": 1.0}, "teacher_weight"),
    ],
)
def test_who_cannot_teach_is_refused(tiny: Config, change: dict[str, Any], complaint: str) -> None:
    path = tiny.run_dir / "last.safetensors"
    fit(replace(tiny, epochs=1))
    with pytest.raises(NetchuError, match=complaint):
        fit(replace(tiny, **{"name": "taught", "teacher": str(path), **change}))


def test_a_teacher_of_other_letters_is_refused(tiny: Config, tmp_path: Path) -> None:
    kana = untrained(tmp_path / "kana.safetensors", tiny, Charset("あい"))
    with pytest.raises(NetchuError, match="cannot teach, its charset shares no letter with these lines"):
        fit(replace(tiny, teacher=str(kana)))


def test_image_lost_during_training_is_one_line(tiny: Config, manifest: Path, tmp_path: Path) -> None:
    """Read by a worker process, as happens when lines are not kept in memory."""
    lines = read_lines(manifest)
    copies = []
    for number, line in enumerate(lines):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(line.path.read_bytes())
        copies.append(replace(line, path=path))
    write_manifest(tmp_path / "copies.csv", copies)
    trainer = Trainer(replace(tiny, manifest=str(tmp_path / "copies.csv"), cache_mb=0, workers=1), resume=False)
    lost = trainer.train_set.lines[3].path
    lost.unlink()
    with pytest.raises(NetchuError) as error:
        trainer.train()
    assert str(error.value) == f"{lost}: image cannot be read (No such file or directory)"


def test_sigterm_to_the_whole_process_group_saves(tiny: Config) -> None:
    """As a shell's Ctrl-C or a batch system does it: workers included."""
    settings = {**tiny.to_dict(), "epochs": 4000, "workers": 1}
    code = (
        "import json; from netchu.core.config import from_dict; from netchu.training.engine import fit\n"
        "from netchu.core.errors import run_main\n"
        f"run_main(lambda: fit(from_dict(json.loads({json.dumps(settings)!r}), 'test')) and None)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd=ROOT,
    )
    log = tiny.run_dir / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.is_file() and log.stat().st_size):
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143 and "error:" not in error
    assert "all saved; go on with the same command" in error
    assert "Traceback" not in error
    assert load_state(tiny.run_dir)[0]["place"][2] > 0
