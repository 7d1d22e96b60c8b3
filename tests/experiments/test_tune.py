"""Tuning: workers share a study and none of its trials is lost or made twice, whoever is killed when."""

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna")

import optuna

from netchu.core.config import Config, load_config
from netchu.core.errors import NetchuError, StoppedError
from netchu.core.files import read_report
from netchu.experiments import tune
from netchu.experiments.tuning import (
    SharedStudy,
    StudyPlan,
    load_space,
    training_objective,
    write_results,
)
from netchu.training.train_step import TrainStep
from tests.support.commands import assert_refused, netchu
from tests.support.stopping import stopping_after
from tests.support.tiny import ROOT

SPACE = """
def space(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 1e-2, log=True)}
"""
WORKER = """
import os, sys, time
from pathlib import Path
from netchu.experiments.tuning import SharedStudy, StudyPlan

folder, expected, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
diary = os.open(folder / "diary.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def rows():
    return [row.split() for row in (folder / "diary.txt").read_text().splitlines()]

def objective(trial):
    x = trial.suggest_float("x", -5, 5)

    def note(word):
        os.write(diary, f"{word} {trial.number} {x!r} {os.getpid()}\\n".encode())

    note("begin")
    while len({row[3] for row in rows()}) < expected:
        time.sleep(0.01)  # a worker that started late finds a trial left all the same
    time.sleep(0.1)
    if sum(row[0] == "end" for row in rows()) >= last:
        note("wait")
        time.sleep(600)  # until it is killed
    note("end")
    return x * x

SharedStudy(StudyPlan(name="cheap", folder=folder, trials=10, objective="cer")).work(objective)
"""


def start_workers(folder: Path, *, expected: int, last: int) -> list[subprocess.Popen[bytes]]:
    """Two processes on the same study; each waits in its trial until `expected` ones have begun any.

    A trial that finds `last` others ended never ends by itself.
    """
    command = [sys.executable, "-c", WORKER, str(folder), str(expected), str(last)]
    return [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]


def test_ten_trials_on_two_workers_killed_and_resumed(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    workers = start_workers(tmp_path, expected=2, last=3)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if diary.is_file() and diary.read_text().count("wait") == 2:
            break
        time.sleep(0.01)
    for worker in workers:
        worker.kill()
        worker.wait()
    killed = [line.split() for line in diary.read_text().splitlines()]
    begun, ended = ({row[1] for row in killed if row[0] == word} for word in ("begin", "end"))
    assert len(ended) >= 3 and len(begun - ended) == 2, "some trials were made, and two were cut off"
    for worker in start_workers(tmp_path, expected=4, last=100):
        assert worker.wait(timeout=120) == 0, worker.stderr.read().decode() if worker.stderr else ""

    study = optuna.load_study(study_name="cheap", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert [trial.number for trial in study.trials] == list(range(10))
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)
    rows = [line.split() for line in diary.read_text().splitlines()]
    made = Counter(row[1] for row in rows if row[0] == "end")
    assert set(made) == {str(number) for number in range(10)}, "no trial is lost"
    assert set(made.values()) == {1}, "none is made again"
    for number in made:
        assert len({row[2] for row in rows if row[1] == number}) == 1, "a trial keeps its parameters"
    for trial in study.trials:
        assert trial.value == pytest.approx(trial.params["x"] ** 2)
    assert len({row[3] for row in rows}) == 4, "all four processes had a share"


def test_more_trials_later_and_none_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def objective(trial: "optuna.Trial") -> float:
        calls.append(trial.number)
        return trial.suggest_float("x", 0, 1)

    plan = StudyPlan(name="s", folder=tmp_path, trials=3)
    assert SharedStudy(plan).work(objective) == 3
    assert SharedStudy(plan).work(objective) == 0
    assert SharedStudy(replace(plan, trials=5)).work(objective) == 2
    assert calls == [0, 1, 2, 3, 4]
    with pytest.raises(NetchuError, match="its study has another objective"):
        SharedStudy(replace(plan, objective="cer"))
    with pytest.raises(NetchuError, match="the storage cannot be used"):
        SharedStudy(replace(plan, storage="postgresql+nodriver://host/db"))


def test_trials_that_are_pruned_fail_or_stop(tmp_path: Path) -> None:
    def objective(trial: "optuna.Trial") -> float:
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise NetchuError("lines are too narrow")
        if trial.number == 3:
            raise StoppedError("stopped")
        return 1.0

    shared = SharedStudy(StudyPlan(name="s", folder=tmp_path, trials=4))
    with pytest.raises(StoppedError):
        shared.work(objective)
    assert [trial.state.name for trial in shared.study.trials] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    summary = write_results(tmp_path, shared.study, "demo", "kalapa_score")
    assert "4 trials: 1 complete, 1 pruned, 1 failed, 1 not made yet" in summary
    with (tmp_path / "trials.csv").open(encoding="utf-8") as stream:
        assert [row["error"] for row in csv.DictReader(stream)] == ["", "", "lines are too narrow", ""]


def test_a_set_up_that_never_worked_costs_no_trial(tmp_path: Path) -> None:
    def objective(trial: "optuna.Trial") -> float:
        raise NetchuError("no such manifest")

    shared = SharedStudy(StudyPlan(name="s", folder=tmp_path, trials=2))
    with pytest.raises(NetchuError, match="no such manifest"):
        shared.work(objective)
    assert shared.unfinished() == [0, 1]
    assert "2 not made yet" in write_results(tmp_path, shared.study, "demo", "cer")


def test_parameters_that_never_worked_are_drawn_anew(tmp_path: Path) -> None:
    def objective(trial: "optuna.Trial") -> float:
        if trial.suggest_float("lr", *limits) > 1:
            raise NetchuError("lr=2: allowed: up to 1")
        return 1.0

    shared, limits = SharedStudy(StudyPlan(name="s", folder=tmp_path, trials=2)), (2.0, 3.0)
    with pytest.raises(NetchuError, match="allowed: up to 1"):
        shared.work(objective)
    limits = (0.1, 0.2)
    assert shared.work(objective) == 2
    assert [trial.state.name for trial in shared.study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    summary = write_results(tmp_path, shared.study, "demo", "kalapa_score", ["height=24"])
    assert "train.py -C demo --set height=24 lr=0.1" in summary


def test_choices_that_changed_ask_for_another_study(tiny: Config, tmp_path: Path) -> None:
    plan, choices = StudyPlan(name="s", folder=tmp_path, trials=1), ["lihgt"]
    space = lambda trial: {"augment": trial.suggest_categorical("augment", choices)}  # noqa: E731
    objective = training_objective(tiny, space, plan, "space.py")
    with pytest.raises(NetchuError, match="augment=lihgt: no such pipeline"):
        SharedStudy(plan).work(objective)
    choices[:] = ["light"]
    with pytest.raises(NetchuError, match=r"space\.py: is not the space that this study began with .*another --name"):
        SharedStudy(plan).work(objective)


def test_training_is_tuned_pruned_and_reported(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command itself, in this process, on real trainings of seconds."""
    folder = tmp_path / "configs"
    (folder / "spaces").mkdir(parents=True)
    fields = {**tiny.to_dict(), "epochs": 1, "neck": "none", "hidden": 16}
    (folder / "tiny_f0.py").write_text(f"from netchu.core.config import Config\ncfg = Config(**{fields!r})\n")
    (folder / "spaces" / "tiny_f0.py").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    arguments = ["tune", "-C", "tiny_f0", "--trials", "4", "--objective", "cer", "--pruner", "none"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert tune.main() == 0
    study = tmp_path / "outputs" / "tune" / "tiny_f0"
    printed = capsys.readouterr().out
    best = json.loads((study / "best.json").read_text())
    report = json.loads((study / "trials" / f"trial_{best['trial']:04d}" / "report.json").read_text())
    assert best["cer"] == report["held_out"]["cer"]
    assert report["config"]["lr"] == best["fields"]["lr"]
    assert f"python train.py -C tiny_f0 --set lr={best['fields']['lr']}" in printed
    assert (study / "importance.png").stat().st_size > 1000
    assert tune.main() == 0, "again: nothing is left to do"
    with pytest.raises(NetchuError, match="holds nothing out to tune by"):
        training_objective(replace(tiny, fold=5), load_space(folder / "spaces/tiny_f0.py"), StudyPlan(
            name="x", folder=tmp_path, trials=1), "here")  # fmt: skip


def test_a_bad_trial_is_pruned_by_its_validations(tiny: Config, tmp_path: Path) -> None:
    plan = StudyPlan(name="s", folder=tmp_path / "study", trials=5, objective="cer")
    shared = SharedStudy(plan)
    cfg = replace(tiny, neck="none", hidden=16, epochs=3)
    train = training_objective(cfg, lambda trial: {"lr": 1e-2 if trial.number < 4 else 1e-9}, plan, "here")

    def objective(trial: "optuna.Trial") -> float:
        if trial.number == 4:
            return train(trial)
        for epoch in range(1, 4):
            trial.report(0.01, epoch)
        return 0.01

    shared.work(objective)
    last = shared.study.trials[4]
    assert last.state.name == "PRUNED"
    assert len(last.intermediate_values) < 3


def test_a_killed_training_goes_on_where_it_was(tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = StudyPlan(name="tiny", folder=tmp_path, trials=1)
    run = tmp_path / "trials" / "trial_0000"

    def make(cfg: Config) -> float:
        return training_objective(cfg, lambda trial: {}, plan, "space")(optuna.trial.FixedTrial({}))  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "step", stopping_after(6))
        with pytest.raises(StoppedError):
            make(tiny)
    before = (run / "log.jsonl").read_text()
    assert make(tiny) >= 0
    assert before and (run / "log.jsonl").read_text().startswith(before), "the first part was not made again"
    make(replace(tiny, lr=1e-3))
    assert read_report(run)["config"]["lr"] == 1e-3, "a state of another config is left aside"


def test_two_workers_by_one_command(tiny: Config, tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    (folder / "spaces").mkdir(parents=True)
    fields = {**tiny.to_dict(), "epochs": 1, "neck": "none", "hidden": 16}
    (folder / "tiny_f0.py").write_text(f"from netchu.core.config import Config\ncfg = Config(**{fields!r})\n")
    (folder / "spaces" / "tiny_f0.py").write_text(SPACE)
    words = ("tune", "-C", "tiny_f0", "--trials", 3, "--workers", 2)
    done = netchu(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "3 trials: 3 complete, 0 pruned" in done.stdout or "3 trials: 2 complete, 1 pruned" in done.stdout
    bad = netchu(*words, "--set", "manifest=none.csv", "--name", "b", cwd=tmp_path)
    assert_refused(bad, "none.csv: no such manifest")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "spaces").glob("*.py")), ids=lambda path: path.stem)
def test_spaces_give_fields_of_their_config(path: Path) -> None:
    space = load_space(path)
    trial = optuna.trial.FixedTrial({
        "lr": 1e-3, "weight_decay": 0.01, "dropout": 0.1, "hidden": 192, "neck": "bilstm", "augment": "ink"
    })  # fmt: skip
    fields = space(trial)  # type: ignore[arg-type]
    cfg = load_config(path.stem, folder=ROOT / "configs")
    assert replace(cfg, **fields).lr == 1e-3


def test_no_space(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such space"):
        load_space(tmp_path / "none.py")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(NetchuError, match="must define space"):
        load_space(tmp_path / "empty.py")
