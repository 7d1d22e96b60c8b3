"""A retraining job in its own process: `python -m netchu.serve.finetune FOLDER`.

FOLDER/job.json says what to do (see `recipe.Plan`). The process fine-tunes each member of the version with
`engine.fit`, reads the held-out lines with the old and the new members, and writes FOLDER/report.json. Started again
after any end, it goes on where it was. It stops, with its state saved, when its standard input closes: so it never
outlives the service that started it. Exit status 3: stopped on request.
"""

import argparse
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from netchu.charset import Charset
from netchu.checkpoint import read_bundle
from netchu.config import from_dict
from netchu.engine import fit
from netchu.errors import NetchuError, run_main
from netchu.manifest import read_manifest
from netchu.resume import has_state
from netchu.serve.recipe import SOURCE, compare, freeze_manifest, held_out_fold, member_config, read_plan
from netchu.tracking import write_json

STOPPED = 3  # exit status
BUSY = 60  # seconds to wait for an earlier process of the same job


def run_job(folder: Path) -> dict[str, Any]:
    """Do the job, or what is left of it; returns what `report.json` says."""
    began, plan = time.time(), read_plan(folder)
    _, about = read_bundle(Path(plan.bundles[0]))
    fold = held_out_fold(from_dict(about["config"], plan.bundles[0]))
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        freeze_manifest(manifest, plan, Charset(about["charset"]), fold)
    runs, new = [], []
    for member in range(len(plan.bundles)):
        cfg = member_config(folder, plan, member, fold)
        steps = cfg.epochs * math.ceil(cfg.epoch_lines / cfg.batch_size)
        write_json(folder / f"member{member}.json", {"steps": steps})
        runs.append(fit(cfg, resume=has_state(cfg.run_dir)))
        new.append(cfg.run_dir / "last.safetensors")  # not the best epoch: that one was chosen on the held-out lines
    report = {
        **compare(folder, plan, new, fold),
        "bundles": [path.relative_to(folder).as_posix() for path in new],
        "corrections": len({line.path for line in read_manifest(manifest) if line.source == SOURCE}),
        "lines": runs[0]["lines"] | {"excluded": len(runs[0]["lines"]["excluded"])},
        "training_seconds": round(sum(run["training_seconds"] for run in runs), 1),
        "plan": asdict(plan),
        "finished": time.time(),
        "seconds": round(time.time() - began, 1),
    }
    write_json(folder / "report.json", report)
    return report


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
            run_job(folder)
    except NetchuError:
        if stopped.is_set():
            return STOPPED
        raise
    return None


if __name__ == "__main__":
    run_main(main)
