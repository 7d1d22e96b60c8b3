"""What a run leaves behind: `log.jsonl`, `report.json`, `curves.png` and `samples.png` in its folder.

The same goes to the trackers that the config names. `observed` lets a caller see every record as it is made.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from netchu.core.config import Config
from netchu.core.files import atomic_path, read_log, write_text, writing
from netchu.core.images import read_image
from netchu.data.frames import read_answers
from netchu.reading.drawing import draw_samples
from netchu.training.trackers import Trackers

SAMPLES = 16  # lines in samples.png
ARTEFACTS = ("report.json", "curves.png", "samples.png", "best.safetensors")

Observer = Callable[[Mapping[str, Any]], None]
_OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Inside the block, `observer` gets every record that a run logs; what it raises ends the run."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


class Run:
    """The folder of one run. Records are flat JSON objects with a `step`; validation records have `cer`."""

    def __init__(self, cfg: Config, *, resume_step: int | None = None) -> None:
        """Start the trackers and a new log, or keep what it holds up to `resume_step` (later ones are made again)."""
        self.folder = cfg.run_dir
        self.log_path = self.folder / "log.jsonl"
        self.records: list[dict[str, Any]] = []
        if resume_step is not None and self.log_path.is_file():
            self.records = [r for r in read_log(self.log_path) if r["step"] <= resume_step]
        write_text(self.log_path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in self.records))
        self.trackers = Trackers(cfg, resume_step)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one record."""
        self.records.append(dict(record))
        with writing(self.log_path, "free some space"):
            self._append(self.log_path, record)
        self.trackers.log(record)
        observer = _OBSERVER.get()
        if observer is not None:
            observer(record)

    def note_bad_batch(self, record: Mapping[str, Any]) -> None:
        """Append a batch that could not be learnt from to `bad_batches.jsonl`."""
        self._append(self.folder / "bad_batches.jsonl", record)

    def _append(self, path: Path, record: Mapping[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")

    def draw_pictures(self) -> None:
        """Draw `curves.png`, and `samples.png` from the held-out answers of the best epoch when there are some."""
        self.draw_curves()
        pictures = [self.folder / "curves.png"]
        if (self.folder / "valid.csv").is_file():
            pictures.append(self.folder / "samples.png")
            self._draw_samples(pictures[-1])
        for path in pictures:
            self.trackers.log_picture(path, int(self.records[-1]["step"]) if self.records else 0)

    def _draw_samples(self, path: Path) -> None:
        """Lines of `valid.csv`, spread evenly, each with its answer and label."""
        table = read_answers(self.folder / "valid.csv")
        table = table[:: max(1, len(table) // SAMPLES)][:SAMPLES]
        images = [read_image(Path(image)) for image in table.img_path]
        draw_samples(path, images, table.answer.tolist(), table.text.tolist())

    def close(self) -> None:
        """End the trackers; they get the run's files."""
        self.trackers.finish([self.folder / name for name in ARTEFACTS])

    def draw_curves(self) -> None:
        """Draw `curves.png`: loss, error, scores and learning rate over steps."""
        train = [r for r in self.records if "loss" in r]
        valid = [r for r in self.records if "cer" in r]
        figure = Figure(figsize=(11, 6.5), layout="constrained")
        loss, error, scores, rate = figure.subplots(2, 2).flat
        loss.plot([r["step"] for r in train], [r["loss"] for r in train], color="#4477aa", linewidth=1)
        loss.set(title="training loss (CTC, per character)", yscale="log")
        for key, label, axis, color in (
            ("cer", "CER", error, "#cc3311"),
            ("wer", "WER", error, "#ee7733"),
            ("exact", "exact match", scores, "#009988"),
            ("kalapa_score", "kalapa_score", scores, "#4477aa"),
        ):
            axis.plot([r["step"] for r in valid], [r[key] for r in valid], color=color, marker=".", label=label)
        error.set(title="held-out error", ylim=(0, None))
        scores.set(title="held-out scores", ylim=(0, 1))
        for axis in (error, scores):
            if valid:
                axis.legend()
            else:
                axis.text(0.5, 0.5, "no held-out lines (fold 5)", ha="center", transform=axis.transAxes)
        rate.plot([r["step"] for r in train], [r["lr"] for r in train], color="#777777", linewidth=1)
        rate.set(title="learning rate")
        for axis in (loss, error, scores, rate):
            axis.set_xlabel("step")
            axis.grid(alpha=0.3)
        with atomic_path(self.folder / "curves.png") as temporary:
            figure.savefig(temporary, dpi=110)
