"""Search config fields: netchu tune -C NAME --fold 0 --space configs/spaces/NAME.py --trials N.

The study lies in outputs/tune/NAME/ and goes on where it stopped when the command is given again; more workers join it
by the same command, or at once by --workers.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from netchu.core.config import ALL_DATA_FOLD
from netchu.core.errors import NetchuError, StoppedError, last_line
from netchu.core.interruption import Interruption
from netchu.core.options import add_number, add_options, configured, new_folder
from netchu.experiments.tuning import (
    OBJECTIVES,
    PRUNERS,
    SharedStudy,
    StudyPlan,
    load_space,
    training_objective,
    write_results,
)

MISTAKE = 2  # exit status of a worker that a NetchuError ended
TRIALS_LEFT = 3  # exit status when trials have no result yet


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "--config", required=True)
    add_options(parser, "--configs")
    add_options(parser, "--set", help="fields that all trials have")
    add_options(parser, "--seed", help="of the search")
    add_number(parser, "--fold", int, 0, ALL_DATA_FOLD - 1, help="fold to tune by, 0 to 4")
    parser.add_argument("--space", type=Path, metavar="FILE.py", help="default: configs/spaces/NAME.py")
    add_number(parser, "--trials", int, 1, default=20, help="of the whole study")
    parser.add_argument("--objective", choices=OBJECTIVES, default="kalapa_score")
    parser.add_argument("--pruner", choices=PRUNERS, default="median")
    add_number(parser, "--workers", int, 1, default=1, help="processes on this machine")
    parser.add_argument("--name", help="of the study; default: the config's")
    parser.add_argument("--out", type=new_folder, default="outputs/tune", metavar="DIR", help="folder of the studies")
    parser.add_argument("--storage", default="", metavar="URL", help="postgresql://... ; default: SQLite in the folder")
    return parser.parse_args()


def main() -> int:
    """Work on the study alone or by workers, then write what was found; TRIALS_LEFT when some are left."""
    args = parse()
    cfg = configured(args, fold=args.fold)
    if not cfg.threads:
        cfg = replace(cfg, threads=max(1, (os.cpu_count() or 1) // args.workers))
    space_path = args.space or Path("configs/spaces") / f"{args.config}.py"
    name = args.name or cfg.name
    plan = StudyPlan(
        name=name,
        folder=args.out / name,
        trials=args.trials,
        objective=args.objective,
        pruner=args.pruner,
        seed=args.seed,
        storage=args.storage,
    )
    objective = training_objective(cfg, load_space(space_path), plan, str(space_path))
    shared = SharedStudy(plan)
    if args.workers == 1:
        shared.work(objective)
    else:
        run_workers(args.workers, shared, cfg.threads)
    print(write_results(plan.folder, shared.study, args.config, plan.objective, args.set))
    return TRIALS_LEFT if shared.unfinished() else 0


def run_workers(count: int, shared: SharedStudy, threads: int) -> None:
    """Start `count` processes with this very command less --workers, and show their progress until all have ended.

    Raises StoppedError after a signal, which is passed on so that they save their trials, NetchuError when one fails.
    """
    command = [sys.executable, "-m", "netchu", "tune", *sys.argv[1:], "--workers", "1", "--set", f"threads={threads}"]
    logs = [shared.plan.folder / f"worker_{number}.log" for number in range(count)]
    interruption, workers = Interruption(), []
    with interruption.watch():
        for log in logs:
            with log.open("w", encoding="utf-8") as stream:
                workers.append(subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT))
        total = len(shared.study.get_trials(deepcopy=False))
        with tqdm(total=total, unit="trial", initial=total - len(shared.unfinished())) as bar:
            while any(worker.poll() is None for worker in workers):
                if interruption.requested:
                    for worker in workers:
                        worker.terminate()
                    for worker in workers:
                        worker.wait()
                    raise StoppedError(
                        f"{shared.plan.folder}: stopped, all saved; go on with the same command", interruption.number
                    )
                time.sleep(0.5)
                bar.update(total - len(shared.unfinished()) - bar.n)
    for worker, log in zip(workers, logs, strict=True):
        died = worker.returncode not in (0, MISTAKE, TRIALS_LEFT)
        if worker.returncode == MISTAKE or (died and shared.unfinished()):
            raise NetchuError(f"{log}: {last_line(log)} (status {worker.returncode})")
