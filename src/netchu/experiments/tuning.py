"""A study of N trials that several workers share, of which none is lost or made twice.

All N trials are put into Optuna's storage first, under a lock. A worker takes one by holding its lock file, which the
system lets go when the worker dies, so a trial whose worker was killed is taken up by the next one: with the parameters
that it already had, and from its last saved step. Lock files and runs lie in the study's folder: every worker needs it.
Optuna's own way (heartbeat, RetryFailedTrialCallback, MaxTrialsCallback) would lose that: it fails such a trial after a
time and makes another of another number, away from the saved state, and lets n workers make n - 1 trials too many.

What it has found is written as `trials.csv`, `best.json`, `importance.png`, with the command that trains the best.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.config import Config, from_dict, run_file
from netchu.core.errors import NetchuError, StoppedError
from netchu.core.files import atomic_path, file_lock, write_json
from netchu.data.frames import write_frame

if TYPE_CHECKING:
    import optuna

OBJECTIVES = {"kalapa_score": "maximize", "cer": "minimize"}
PRUNERS: dict[str, tuple[str, dict[str, int]]] = {  # the class of optuna.pruners and its arguments
    "median": ("MedianPruner", {"n_startup_trials": 3, "n_warmup_steps": 1}),
    "hyperband": ("HyperbandPruner", {}),
    "none": ("NopPruner", {}),
}
PATIENCE = 10.0  # seconds in which the data workers of a killed process let go of its lock
LOCK_SECONDS = 600.0

Space = Callable[["optuna.Trial"], Mapping[str, Any]]
Objective = Callable[["optuna.Trial"], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What is searched: `trials` in all, stored at `storage` (a URL; empty: SQLite in the folder)."""

    name: str
    folder: Path
    trials: int
    objective: str = "kalapa_score"
    pruner: str = "median"
    seed: int = 0
    storage: str = ""

    @property
    def url(self) -> str:
        """Where Optuna keeps the study."""
        return self.storage or f"sqlite:///{(self.folder / 'study.db').resolve().as_posix()}"


def load_space(path: Path) -> Space:
    """The function `space(trial) -> config fields` of a file; raises NetchuError when it is missing."""
    if not path.is_file():
        raise NetchuError(f"{path}: no such space; write one with a function space(trial), as in configs/spaces/")
    space = getattr(run_file(path, f"netchu_space_{path.stem}"), "space", None)
    if not callable(space):
        raise NetchuError(f"{path}: must define space(trial), which returns config fields")
    found: Space = space
    return found


class SharedStudy:
    """The study of a plan, open in this process."""

    def __init__(self, plan: StudyPlan) -> None:
        """Open or make the study; raises NetchuError when the storage cannot be used."""
        import optuna

        self.optuna, self.plan = optuna, plan
        pruner, options = PRUNERS[plan.pruner]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._lock("study", LOCK_SECONDS):
            try:
                self.storage = optuna.storages.get_storage(plan.url)
                self.study = optuna.create_study(
                    study_name=plan.name,
                    storage=self.storage,
                    direction=optuna.study.StudyDirection[OBJECTIVES[plan.objective].upper()],
                    pruner=getattr(optuna.pruners, pruner)(**options),
                    load_if_exists=True,
                )
            except Exception as error:  # of SQLAlchemy, of its driver, or of importing the driver
                reason = str(error).splitlines()[0]
                raise NetchuError(f"{plan.url}: the storage cannot be used ({reason}); correct --storage") from error
            if self.study.direction.name.lower() != OBJECTIVES[plan.objective]:
                raise NetchuError(
                    f"{plan.folder}: its study has another objective; give the same one or another --name"
                )
            for _ in range(plan.trials - len(self.study.get_trials(deepcopy=False))):
                self.study.enqueue_trial({})

    def _lock(self, name: str, seconds: float) -> AbstractContextManager[bool]:
        """Hold a lock file; gives False when it was not free within so many seconds."""
        return file_lock(self.plan.folder / "locks" / f"{name}.lock", seconds)

    def unfinished(self) -> list[int]:
        """Numbers of the trials that have no result yet."""
        return [trial.number for trial in self.study.get_trials(deepcopy=False) if not trial.state.is_finished()]

    def work(self, objective: Objective) -> int:
        """Make trials until none is free; returns how many. What stops the process leaves its trial to be taken up."""
        made, idle_since = 0, time.monotonic()
        while numbers := self.unfinished():
            for number in numbers:
                with self._lock(f"trial_{number:04d}", 0) as mine:
                    if mine and self._make(number, objective):
                        made, idle_since = made + 1, time.monotonic()
            if time.monotonic() - idle_since > PATIENCE:
                break  # the rest is in the hands of other workers
            time.sleep(0.2)
        return made

    def _make(self, number: int, objective: Objective) -> bool:
        """Run a trial whose lock is held; False when another worker has finished it meanwhile."""
        states = self.optuna.trial.TrialState
        study_id = self.storage.get_study_id_from_name(self.plan.name)
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
        state = self.storage.get_trial(trial_id).state
        if state.is_finished():
            return False
        if state == states.WAITING:
            self.storage.set_trial_state_values(trial_id, state=states.RUNNING)
        self.study.sampler = self.optuna.samplers.TPESampler(seed=1000 * self.plan.seed + number, constant_liar=True)
        trial = self.optuna.Trial(self.study, trial_id)
        try:
            value = objective(trial)
        except self.optuna.TrialPruned:
            self.study.tell(number, state=states.PRUNED)
        except StoppedError:
            raise
        except NetchuError as error:
            if not self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)):
                if trial.params:  # they would stay with it when the space is corrected
                    trial.set_user_attr("error", str(error))
                    self.study.tell(number, state=states.FAIL)
                    self.study.enqueue_trial({})
                else:
                    self.storage.set_trial_state_values(trial_id, state=states.WAITING)
                raise  # nothing has ever worked: more likely the set-up than the parameters
            trial.set_user_attr("error", str(error))
            self.study.tell(number, state=states.FAIL)
        else:
            self.study.tell(number, value)
        return True


def training_objective(cfg: Config, space: Space, plan: StudyPlan, where: str) -> Objective:
    """Trains `cfg` with a trial's fields into the study's folder; the value is the best held-out figure.

    A trial that has a saved state goes on from it. Raises NetchuError for a config that holds no fold out.
    """
    if not cfg.holds_out:
        raise NetchuError(f"config {cfg.name}: fold {cfg.fold} holds nothing out to tune by; give --fold 0 to 4")

    def train(trial: "optuna.Trial") -> float:
        from optuna import TrialPruned

        from netchu.training.engine import fit  # PyTorch is not imported for --help
        from netchu.training.resume import can_resume
        from netchu.training.run_folder import observed

        try:
            drawn = space(trial)
        except ValueError as error:  # Optuna's, when a choice is not what it was in the trials before
            raise NetchuError(
                f"{where}: is not the space that this study began with ({error}); give another --name"
            ) from error
        fields = {"name": f"trial_{trial.number:04d}", "output_dir": str(plan.folder / "trials"), **drawn}
        chosen = from_dict({**cfg.to_dict(), **fields}, where)
        trial.set_user_attr("config", {key: fields[key] for key in sorted(fields) if key not in ("name", "output_dir")})

        def watch(record: Mapping[str, Any]) -> None:
            if plan.objective in record:
                trial.report(float(record[plan.objective]), int(record["epoch"]))
                if trial.should_prune():
                    raise TrialPruned

        with observed(watch):
            report = fit(chosen, resume=can_resume(chosen))
        if report["held_out"] is None:
            raise NetchuError(f"{chosen.manifest}: has no line in fold {chosen.fold} to tune by; choose another --fold")
        return float(report["held_out"][plan.objective])

    return train


def write_results(folder: Path, study: "optuna.Study", config: str, objective: str, fixed: Sequence[str] = ()) -> str:
    """Write the files and return a summary; without a finished trial the summary says so. `fixed`: the `key=value`
    words that all trials had."""
    trials = study.get_trials(deepcopy=False)
    counts = {state: sum(t.state.name == state for t in trials) for state in ("COMPLETE", "PRUNED", "FAIL")}
    left = len(trials) - sum(counts.values())
    summary = (
        f"{len(trials)} trials: {counts['COMPLETE']} complete, {counts['PRUNED']} pruned, "
        f"{counts['FAIL']} failed, {left} not made yet"
    )
    _write_trials(folder / "trials.csv", trials)
    if not counts["COMPLETE"]:
        return summary
    best = study.best_trial
    fields: dict[str, Any] = best.user_attrs.get("config", best.params)
    write_json(folder / "best.json", {"trial": best.number, objective: best.value, "fields": fields})
    assignments = " ".join([*fixed, *(f"{key}={value}" for key, value in fields.items())])
    summary += (
        f"\nbest: trial {best.number}, {objective} {best.value:.4f}\npython train.py -C {config} --set {assignments}"
    )
    importance = measure_importance(study)
    if importance:
        _draw_importance(folder / "importance.png", study, importance, objective)
        summary += "\nimportance: " + ", ".join(f"{name} {share:.2f}" for name, share in importance.items())
    return summary


def measure_importance(study: "optuna.Study") -> dict[str, float]:
    """Share of the objective's variation that each parameter explains; empty with too few trials to tell.

    Source: Watanabe, Bansal, Hutter 2023 (PED-ANOVA, arXiv:2304.10255), as Optuna implements it.
    """
    from optuna.importance import get_param_importances

    try:
        return dict(get_param_importances(study))
    except (ValueError, RuntimeError):
        return {}


def _write_trials(path: Path, trials: "list[optuna.trial.FrozenTrial]") -> None:
    """Every trial: number, state, value, parameters, and why it failed."""
    import pandas as pd

    names = sorted({name for trial in trials for name in trial.params})
    rows = [
        {"trial": t.number, "state": t.state.name, "value": t.value, **t.params, "error": t.user_attrs.get("error")}
        for t in trials
    ]
    write_frame(path, pd.DataFrame(rows, columns=["trial", "state", "value", *names, "error"], dtype=object))


def _draw_importance(path: Path, study: "optuna.Study", importance: dict[str, float], objective: str) -> None:
    """Bars of importance beside the values of the trials and the best so far."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    bars, history = figure.subplots(1, 2)
    names = list(importance)[::-1]
    bars.barh(names, [importance[name] for name in names], color="#4477aa")
    bars.set(title=f"importance for {objective}", xlim=(0, None))
    done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    numbers, values = [t.number for t in done], [t.value for t in done if t.value is not None]
    choose = max if study.direction.name == "MAXIMIZE" else min
    history.plot(numbers, values, "o", color="#999999", label="trial")
    history.plot(numbers, list(accumulate(values, choose)), color="#cc3311", label="best so far")
    history.set(title=objective, xlabel="trial")
    history.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
