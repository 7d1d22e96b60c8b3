"""A retraining job in its own process: `python -m netchu.serve.finetune FOLDER`.

FOLDER/job.json says what to do (see `retraining.RetrainingPlan`). The process fine-tunes the chosen members of
the version with `engine.fit`, reads the held-out lines with the old and the new recipe, and writes
FOLDER/ensemble.json, the new one, and FOLDER/report.json. Started again after any end, it goes on where it was.
It stops, with its state saved, when its standard input closes: so it never outlives the service that started it.
Exit status 3: stopped on request.
"""

import argparse
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from netchu.core.charset import Charset
from netchu.core.config import from_dict
from netchu.core.errors import NetchuError
from netchu.core.interruption import StoppedError
from netchu.data.label_files import read_json
from netchu.data.manifest import read_manifest
from netchu.model.bundle import read_bundle, read_stored, write_bundle
from netchu.reading.recipe import read_recipe, write_recipe
from netchu.serve.decision import compare
from netchu.serve.retraining import (
    SOURCE,
    follow_corrections,
    freeze_manifest,
    held_out_fold,
    member_config,
    read_plan,
    replace_members,
)
from netchu.training.engine import fit
from netchu.training.resume import has_state
from netchu.training.run_folder import write_json

STOPPED = 3  # exit status
BUSY = 60  # seconds to wait for an earlier process of the same job


def run_job(folder: Path, stopped: threading.Event) -> dict[str, Any]:
    """Do the job, or what is left of it; returns what `report.json` says. Raises StoppedError once `stopped` is set."""
    began, plan = time.time(), read_plan(folder)
    old = read_recipe(Path(plan.recipe))
    first = old.bundles[plan.members[0]]
    _, about = read_bundle(first)
    trained = from_dict(about["config"], str(first))
    fold = held_out_fold(trained)
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        grows = {old.bundles[member] for member in plan.members} == set(old.bundles)
        charset = Charset(about["charset"])
        freeze_manifest(folder, plan, charset, fold, grows=grows, knows_all=not trained.holds_out)
    runs, bundles = [], {}
    for member in plan.members:
        cfg = member_config(folder, plan, member, old.bundles[member], fold)
        steps = cfg.epochs * math.ceil(cfg.epoch_lines / cfg.batch_size)
        write_json(folder / f"member{member}.json", {"steps": steps})
        runs.append(fit(cfg, resume=has_state(cfg.run_dir)))
        # not the best epoch: that one was chosen on the held-out lines
        bundles[member] = keep_fold(cfg.run_dir / "last.safetensors", old.bundles[member])
        if stopped.is_set():  # too late for the fine-tuning to notice
            raise StoppedError(f"{folder}: stopped after member {member + 1}, which is saved")
    corrected = {line.path: line.text for line in read_manifest(manifest) if line.source == SOURCE}
    new = follow_corrections(replace_members(old, bundles), list(corrected.values()))
    report = {
        **compare(folder, old, new, fold),
        "members": [member + 1 for member in plan.members],
        "left_out": read_json(folder / "left_out.json"),
        "corrections": len(corrected),
        "lines": runs[0]["lines"] | {"excluded": len(runs[0]["lines"]["excluded"])},
        "training_seconds": round(sum(run["training_seconds"] for run in runs), 1),
        "plan": asdict(plan),
        "finished": time.time(),
        "seconds": round(time.time() - began, 1),
    }
    measured = {"held_out": report["after"]["all"]}
    write_recipe(folder / "ensemble.json", replace(new, accept=report["accept"], measured=measured))
    write_json(folder / "report.json", report)
    return report


def keep_fold(tuned: Path, start: Path) -> Path:
    """The fine-tuned bundle, beside it as `kept.safetensors` where it started from one that had seen every fold: such
    a model has still seen them, whatever its own run held out."""
    (tensors, about), (_, before) = read_stored(tuned), read_stored(start)
    if before["config"]["fold"] == about["config"]["fold"]:
        return tuned
    kept = tuned.with_name("kept.safetensors")
    write_bundle(kept, tensors, {**about, "config": {**about["config"], "fold": before["config"]["fold"]}})
    return kept


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the job's lock; waits for an earlier process that is saving its state, up to `BUSY` seconds."""
    stream: IO[str] = (folder / "lock").open("w")
    with stream:
        for _ in range(BUSY * 10):
            if lock_file(stream):
                yield
                return
            time.sleep(0.1)
    raise NetchuError(f"{folder}: another process works on this job; end it first")


def lock_file(stream: IO[str]) -> bool:
    """Take an exclusive lock that ends with the process; False when another process holds it."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def stop_with_parent(stopped: threading.Event) -> None:
    """Terminate this process in order when standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # sys.stdin would hold a lock that the interpreter needs at its end
            pass
        stopped.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int | None:
    """Run the job of a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    stopped = threading.Event()
    stop_with_parent(stopped)
    if hasattr(os, "nice"):
        os.nice(10)  # reading comes first
    try:
        with only_one(folder):
            run_job(folder, stopped)
    except NetchuError:
        if stopped.is_set():
            return STOPPED
        raise
    return None
