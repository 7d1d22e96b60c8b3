"""What a study has found: `trials.csv`, `best.json`, `importance.png`, and the command that trains the best."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

from netchu.core.files import atomic_path
from netchu.training.run_folder import write_json

if TYPE_CHECKING:
    import optuna


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
        _draw_importance(folder / "importance.png", importance, trials, study, objective)
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
    names = sorted({name for trial in trials for name in trial.params})
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["trial", "state", "value", *names, "error"])
        for trial in trials:
            values = [trial.params.get(name, "") for name in names]
            error = trial.user_attrs.get("error", "")
            writer.writerow(
                [trial.number, trial.state.name, "" if trial.value is None else trial.value, *values, error]
            )


def _draw_importance(
    path: Path,
    importance: dict[str, float],
    trials: "list[optuna.trial.FrozenTrial]",
    study: "optuna.Study",
    objective: str,
) -> None:
    """Bars of importance beside the values of the trials and the best so far."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    bars, history = figure.subplots(1, 2)
    names = list(importance)[::-1]
    bars.barh(names, [importance[name] for name in names], color="#4477aa")
    bars.set(title=f"importance for {objective}", xlim=(0, None))
    done = [(t.number, float(t.value)) for t in trials if t.state.name == "COMPLETE" and t.value is not None]
    choose = max if study.direction.name == "MAXIMIZE" else min
    history.plot([n for n, _ in done], [v for _, v in done], "o", color="#999999", label="trial")
    best = [choose(v for _, v in done[: i + 1]) for i in range(len(done))]
    history.plot([n for n, _ in done], best, color="#cc3311", label="best so far")
    history.set(title=objective, xlabel="trial")
    history.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
