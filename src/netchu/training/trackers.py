"""Experiment trackers behind one face, each through accelerate: what a run logs also goes to every one of them.

Nothing here needs a network: Weights & Biases and Comet write to the run's folder unless their keys are set, MLflow to
`mlflow.db` beside the runs. A tracker that fails is dropped with a warning: the training goes on, and its
JSONL log is whole. Accelerate, and torch with it, is imported where a tracker starts, since who only reads logs need
not wait for them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from netchu.core.config import Config
from netchu.core.errors import NetchuError, closest

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

PROJECT = "netchu"


class TrackerKind(NamedTuple):
    """All that is particular to a kind of tracker: how it starts, from a config and the step of a resumed run, the
    package it needs, how it takes a picture file at a step and a file when the run ends (None: not at all), and
    characters that no name of a number may hold."""

    start: Callable[[Config, int | None], GeneralTracker]
    package: str
    picture: Callable[[GeneralTracker, Path, int], None] | None = None
    file: Callable[[GeneralTracker, Path], None] | None = None
    refuses: re.Pattern[str] | None = None


def start_tensorboard(cfg: Config, step: int | None) -> GeneralTracker:
    """Event files in `tensorboard/` of the run; later steps of an interrupted run are hidden."""
    from accelerate.tracking import TensorBoardTracker

    return TensorBoardTracker("", logging_dir=cfg.run_dir / "tensorboard", purge_step=step)


def start_wandb(cfg: Config, step: int | None) -> GeneralTracker:
    """Weights & Biases; offline, into `wandb/` of the run, unless WANDB_MODE or WANDB_API_KEY is set."""
    from accelerate.tracking import WandBTracker

    cfg.run_dir.mkdir(parents=True, exist_ok=True)
    mode = None if {"WANDB_MODE", "WANDB_API_KEY"} & set(os.environ) else "offline"
    return WandBTracker(PROJECT, name=cfg.run_dir.name, dir=str(cfg.run_dir), mode=mode)


def start_comet(cfg: Config, step: int | None) -> GeneralTracker:
    """Comet; offline, into `comet/` of the run, unless COMET_API_KEY is set."""
    import comet_ml
    from accelerate.tracking import CometMLTracker

    folder = cfg.run_dir / "comet"
    folder.mkdir(parents=True, exist_ok=True)
    about = comet_ml.ExperimentConfig(name=cfg.run_dir.name, offline_directory=str(folder))
    return CometMLTracker(PROJECT, online="COMET_API_KEY" in os.environ, experiment_config=about)


def start_mlflow(cfg: Config, step: int | None) -> GeneralTracker:
    """MLflow; into `mlflow.db` beside the runs unless MLFLOW_TRACKING_URI is set."""
    import mlflow
    from accelerate.tracking import MLflowTracker

    if "MLFLOW_TRACKING_URI" not in os.environ:
        mlflow.set_tracking_uri(f"sqlite:///{(cfg.run_dir.parent / 'mlflow.db').resolve().as_posix()}")
    artefacts = (cfg.run_dir.parent / "mlflow").resolve()
    artefacts.mkdir(parents=True, exist_ok=True)
    return MLflowTracker(experiment_name=PROJECT, run_name=cfg.run_dir.name, logging_dir=artefacts.as_uri())


class Trackers:
    """The trackers of one run. Every method does nothing when there are none."""

    def __init__(self, cfg: Config, step: int | None) -> None:
        """Those that `cfg.trackers` names; `step`: where a resumed run goes on, else None.

        Raises NetchuError for an unknown name or a package that is missing.
        """
        self.active: dict[str, GeneralTracker] = {}
        for name in parse_names(cfg.trackers):
            from accelerate import PartialState

            PartialState()  # accelerate's trackers ask it which process they are on
            tracker = TRACKERS[name].start(cfg, step)
            self.active[name] = tracker
            self._try(name, tracker.start)
        if step is None:
            self._each(lambda kind, tracker: tracker.store_init_configuration(cfg.to_dict()))

    def log(self, record: Mapping[str, Any]) -> None:
        """Numbers of a record at its `step`; nested ones get names like `by_source/kalapa/cer`."""
        numbers = dict(_flatten(record))
        step = numbers.pop("step", None)
        step = None if step is None else int(step)

        def send(kind: TrackerKind, tracker: GeneralTracker) -> None:
            refuses = kind.refuses
            named = {refuses.sub("_", key): value for key, value in numbers.items()} if refuses else numbers
            tracker.log(named, step=step)

        self._each(send)

    def log_picture(self, path: Path, step: int) -> None:
        """A picture file, under its stem."""
        self._each(lambda kind, tracker: kind.picture and kind.picture(tracker, path, step))

    def finish(self, files: Sequence[Path]) -> None:
        """Hand over the files that exist as artefacts, and close; may be called again."""

        def close(kind: TrackerKind, tracker: GeneralTracker) -> None:
            for path in files:
                if path.is_file() and kind.file:
                    kind.file(tracker, path)
            tracker.finish()

        self._each(close)
        self.active.clear()

    def _each(self, action: Callable[[TrackerKind, GeneralTracker], Any]) -> None:
        for name, tracker in list(self.active.items()):
            self._try(name, partial(action, TRACKERS[name], tracker))

    def _try(self, name: str, action: Callable[[], Any]) -> None:
        """Run an action of a tracker; drop the tracker when it fails, whatever the reason: it is not ours to lose."""
        try:
            action()
        except Exception as error:
            self.active.pop(name, None)
            warnings.warn(f"tracker {name} failed and is left out: {error}", stacklevel=2)


def parse_names(names: str) -> list[str]:
    """Trackers by name; raises NetchuError for an unknown one, with the closest, or a package that is missing."""
    if names == "none":
        return []
    if not names:
        return ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in TRACKERS:
            hint = closest(name, TRACKERS) or f"; there are: {', '.join(TRACKERS)}, none"
            raise NetchuError(f"trackers={names}: no tracker {name!r}{hint}")
        package = TRACKERS[name].package
        if importlib.util.find_spec(package) is None:
            raise NetchuError(f"trackers={names}: {name} needs a package: pip install {package}")
    return chosen


def _flatten(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Names and values of the numbers in a record, nested ones too."""
    numbers: list[tuple[str, float]] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            numbers += _flatten(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)):
            numbers.append((f"{prefix}{key}", value))
    return numbers


def _log_pixels(tracker: GeneralTracker, path: Path, step: int, **options: str) -> None:
    """A picture to those that take arrays."""
    tracker.log_images({path.stem: np.asarray(Image.open(path).convert("RGB"))[None]}, step=step, **options)


TRACKERS: dict[str, TrackerKind] = {
    "tensorboard": TrackerKind(start_tensorboard, "tensorboard", picture=partial(_log_pixels, dataformats="NHWC")),
    "wandb": TrackerKind(
        start_wandb,
        "wandb",
        picture=_log_pixels,
        file=lambda tracker, path: tracker.run.save(str(path), base_path=str(path.parent), policy="now"),
    ),
    "comet": TrackerKind(
        start_comet,
        "comet_ml",
        picture=lambda tracker, path, step: tracker.writer.log_image(str(path), name=path.stem, step=step),
        file=lambda tracker, path: tracker.writer.log_asset(str(path)),
    ),
    "mlflow": TrackerKind(  # it gets pictures with the other files when the run ends
        start_mlflow,
        "mlflow",
        file=lambda tracker, path: tracker.log_artifact(str(path)),
        refuses=re.compile(r"[^\w./: -]"),  # as in a source `kalapa (1)`
    ),
}
