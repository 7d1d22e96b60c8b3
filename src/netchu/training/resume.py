"""The files from which a run resumes: `state.pt`, and the states before it as `state.1.pt`, `state.2.pt`.

A state is written beside the old one and takes its place in one step; a damaged one is passed over for the one before.
"""

import zipfile
from pathlib import Path
from typing import Any, Protocol

import torch

from netchu.atomic import atomic_path
from netchu.config import Config
from netchu.errors import NetchuError

STATE = "state.pt"
FREE = (
    "workers",
    "threads",
    "output_dir",
    "cache_mb",
    "keep_states",
    "trackers",
)  # fields that a resumed run may change


class Stateful(Protocol):
    """A part of a run with a memory of its own."""

    def state_dict(self) -> dict[str, Any]:
        """Its memory: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take over a saved memory."""


def save_state(folder: Path, state: dict[str, Any], *, keep: int = 1) -> None:
    """Write a resume state into a run's folder and keep the `keep` newest ones."""
    path = folder / STATE
    with atomic_path(path) as temporary:
        try:
            torch.save(state, temporary)
        except (RuntimeError, OSError) as error:
            cause = str(error).splitlines()[0]
            raise NetchuError(
                f"{path}: cannot be written ({cause}); free some space, then go on with --resume from the state before"
            ) from error
        for age in range(keep - 1, 0, -1):
            if _aged(path, age - 1).is_file():
                _aged(path, age - 1).replace(_aged(path, age))


def has_state(folder: Path) -> bool:
    """Whether a run's folder holds any resume state."""
    return any(folder.glob("state*.pt"))


def load_state(folder: Path) -> tuple[dict[str, Any], str]:
    """(newest readable state of a run's folder, warning about damaged ones or an empty text).

    States hold tensors and plain values only. Raises NetchuError when there is none, or none that can be read.
    """
    damaged = []
    age = 0
    while age == 0 or _aged(folder / STATE, age).is_file():
        path = _aged(folder / STATE, age)
        age += 1
        if not path.is_file():
            continue
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
                if changed := archive.testzip():
                    raise zipfile.BadZipFile(changed)
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            damaged.append(f"{path} is damaged ({type(error).__name__})")
            continue
        return state, f"{'; '.join(damaged)}: going on from {path}" if damaged else ""
    if damaged:
        raise NetchuError(f"{'; '.join(damaged)}; start the run again without --resume")
    raise NetchuError(f"{folder / STATE}: no state to resume from; start the run without --resume")


def refuse_other_run(state: dict[str, Any], cfg: Config, hashes: dict[str, str]) -> None:
    """Raises NetchuError when a state was made with another config or other data."""
    then, now = state["config"], cfg.to_dict()
    changed = [f"{k}={then.get(k)!r}, now {now[k]!r}" for k in now if k not in FREE and then.get(k) != now[k]]
    if changed:
        raise NetchuError(
            f"{cfg.run_dir / STATE}: was made with {changed[0]}; resume with the same config or start without --resume"
        )
    if state["hashes"] != hashes:
        raise NetchuError(f"{cfg.manifest}: has changed since {cfg.run_dir / STATE} was made; start without --resume")


def random_state() -> dict[str, torch.Tensor]:
    """States of PyTorch's generators, which dropout draws from."""
    return {"cpu": torch.get_rng_state(), **({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})}


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Go on drawing as after `random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _aged(path: Path, age: int) -> Path:
    """`state.pt` for age 0, `state.1.pt` for the one before."""
    return path if age == 0 else path.with_suffix(f".{age}{path.suffix}")
