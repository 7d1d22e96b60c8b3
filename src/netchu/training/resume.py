"""The files from which a run resumes: `state.pt`, and the states before it as `state.1.pt`, `state.2.pt`.

A state is written beside the old one and takes its place in one step; a damaged one is passed over for the one before.
"""

import zipfile
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Protocol

import torch

from netchu.core.config import Config, MachineFields, differing, names
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path, hash_file

STATE = "state.pt"
LEFT = (
    "report.json", "best.safetensors", "last.safetensors", "valid.csv", "bad_batches.jsonl",
    "curves.png", "samples.png",
)  # fmt: skip


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
                f"{path}: cannot be written ({cause}); free some space, then give the same command: it goes on from "
                "the state before"
            ) from error
        for age in range(keep - 1, 0, -1):
            if _aged(path, age - 1).is_file():
                _aged(path, age - 1).replace(_aged(path, age))


def forget_run(folder: Path) -> None:
    """Delete the states of an earlier run in a run's folder, from which a new one would else go on, and what it left,
    which would be taken for the new one's until its first validation, or for good where it is cut off before."""
    for path in (*folder.glob("state*.pt"), *(folder / name for name in LEFT)):
        path.unlink(missing_ok=True)


def refuse_own_start(cfg: Config) -> None:
    """Raise NetchuError for a new run that would delete the bundle that it starts or learns from."""
    for field, name in (("load_weight", cfg.load_weight), ("teacher", cfg.teacher)):
        if name and Path(name).parent.resolve() == cfg.run_dir.resolve():
            raise NetchuError(f"{field} {name}: is in the folder that the new run clears; move it or rename the run")


def has_state(folder: Path) -> bool:
    """Whether a run's folder holds any resume state."""
    return any(folder.glob("state*.pt"))


def load_state(folder: Path) -> tuple[dict[str, Any], str]:
    """(newest readable state of a run's folder, warning about damaged ones or an empty text).

    States hold tensors and plain values only. Raises NetchuError when there is none, or none that can be read.
    """
    damaged = []
    older = takewhile(Path.is_file, (_aged(folder / STATE, age) for age in count(1)))
    for path in filter(Path.is_file, (folder / STATE, *older)):
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
        raise NetchuError(f"{'; '.join(damaged)}; begin anew with --restart")
    raise NetchuError(f"{folder / STATE}: no state to resume from; leave --resume out")


def can_resume(cfg: Config) -> bool:
    """Whether a run has a saved state, made with this config and this manifest."""
    try:
        state, _ = load_state(cfg.run_dir)
        refuse_other_run(state, cfg, run_hashes(cfg), ranks=0)
    except NetchuError:
        return False
    return True


def run_hashes(cfg: Config) -> dict[str, str]:
    """SHA-256 of the files that a run reads to its end, by the config's field that names them, '' for a missing one."""
    files = {"manifest": Path(cfg.manifest)} | ({"teacher": Path(cfg.teacher)} if cfg.teacher else {})
    return {field: hash_file(file) if file.is_file() else "" for field, file in files.items()}


def refuse_other_run(state: dict[str, Any], cfg: Config, hashes: dict[str, str], *, ranks: int) -> None:
    """Raises NetchuError when a state was made with another config or other data, or inside an epoch by another number
    of processes than `ranks` (0: not known yet)."""
    then, now = state["config"], cfg.to_dict()
    changed = [f"{k}={then.get(k)!r}, now {now[k]!r}" for k in differing(then, now, now.keys() - names(MachineFields))]
    if changed:
        raise NetchuError(
            f"{cfg.run_dir / STATE}: was made with {changed[0]}; go on with the same config, name the new run "
            "(--set name=...), or begin anew with --restart, which deletes what this one has saved"
        )
    for field, digest in hashes.items():
        if state["hashes"].get(field) != digest:
            raise NetchuError(
                f"{now[field]}: has changed since {cfg.run_dir / STATE} was made; begin anew with --restart"
            )
    then_ranks, (_, done, _) = state.get("ranks", ranks), state["place"]
    if ranks and done and then_ranks != ranks:
        raise NetchuError(
            f"{cfg.run_dir / STATE}: was saved inside an epoch by {then_ranks} processes, now there are {ranks}; "
            "resume with as many"
        )


def _aged(path: Path, age: int) -> Path:
    """`state.pt` for age 0, `state.1.pt` for the one before."""
    return path if age == 0 else path.with_suffix(f".{age}{path.suffix}")
