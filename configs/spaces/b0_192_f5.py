"""What is worth searching for the small family: rates, regularisation and the neck.

netchu tune -C b0_192_f5 --fold 0 --trials 20
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna


def space(trial: "optuna.Trial") -> dict[str, Any]:
    """Config fields of a trial."""
    return {
        "lr": trial.suggest_float("lr", 3e-4, 6e-3, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "hidden": trial.suggest_categorical("hidden", [128, 192, 256]),
        "neck": trial.suggest_categorical("neck", ["bilstm", "bigru"]),
        "augment": trial.suggest_categorical("augment", ["light", "ink"]),
    }
