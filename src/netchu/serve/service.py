"""The service without HTTP: one data folder, the model that serves, corrections, jobs, figures.

`Service.promote` is the hot swap: the new version is loaded beside the old one, and the queue changes over between
two batches.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from netchu.core.errors import NetchuError
from netchu.core.metrics import accuracy_by_character, score
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe, read_recipe
from netchu.serve.batching import Batcher
from netchu.serve.corrections import Corrections
from netchu.serve.finetune import lock_file
from netchu.serve.jobs import Jobs
from netchu.serve.retraining import RetrainingPlan, choose_members
from netchu.serve.store import Job, Store
from netchu.serve.telemetry import Telemetry
from netchu.serve.uploads import RefusalError, UploadLimits
from netchu.serve.versions import Versions, describe_parts, plain_recipe

DATABASE = "service.sqlite"
RECENT = 500  # corrections that the statistics look at
HARDEST = 8  # characters
LEAST_SEEN = 3  # times that a character must have occurred to count among the hardest


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """What the command line decides. `ensemble` or `bundles` serve from the start on, whatever served before;
    `release`: the recipe to serve when none is named and none has served yet."""

    data: Path
    ensemble: Path | None = None
    bundles: Sequence[Path] = ()
    release: Path | None = None
    base_manifest: Path | None = None
    member: str = ""  # that a retraining fine-tunes, see `retraining.choose_members`
    batch_size: int = 16
    queue: int = 256  # lines that may wait
    patience: float = 5.0  # seconds that a new line may be expected to wait
    timeout: float = 20.0  # seconds that a line may wait
    retrain_threads: int = 0
    token: str = ""
    limits: UploadLimits = field(default_factory=UploadLimits)


class Service:
    """Everything that lives as long as the process."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Open the data folder; raises NetchuError when it is in use, broken, or no model is known."""
        self.settings = settings
        named = self._named()  # before anything is made
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
            self._lock_stream: IO[str] = (settings.data / "lock").open("w")
        except OSError as error:
            raise NetchuError(
                f"{settings.data}: is no folder to write in ({error.strerror}); choose another --data"
            ) from error
        if not lock_file(self._lock_stream):
            raise NetchuError(f"{settings.data}: another service uses this folder; stop it or choose another --data")
        self.store = Store(settings.data / DATABASE)
        self.corrections = Corrections(settings.data / "samples", self.store)
        self.corrections.recover()
        self.versions = Versions(settings.data / "versions", self.store)
        first = self._first_version(named)
        self.batcher = Batcher(
            self.versions.load(first),
            batch_size=settings.batch_size,
            capacity=settings.queue,
            patience=settings.patience,
            observe=lambda lines, seconds: self.telemetry.observe_batch(lines, seconds),
        )
        self._swapping = threading.Lock()
        self.jobs = Jobs(settings.data / "jobs", self.store, self.versions, self.promote, lambda: self.active)
        self.telemetry = Telemetry(
            queue=lambda: len(self.batcher), version=lambda: self.active, job=lambda: self.jobs.running
        )

    def _named(self) -> tuple[Recipe, str] | None:
        """The recipe to serve and its name, opened and found sound; None: the one that served last.

        Raises NetchuError for one that cannot be served.
        """
        settings = self.settings
        if settings.ensemble is None and settings.bundles:
            recipe, name = plain_recipe(settings.bundles), ", ".join(path.name for path in settings.bundles)
        elif settings.ensemble is None and (settings.data / DATABASE).is_file():
            return None
        else:
            path = settings.ensemble or settings.release
            if path is None or not path.is_file():
                raise NetchuError(f"{path}: no such recipe; name one with --ensemble, or bundles with --bundles")
            recipe, name = read_recipe(path), f"{path.absolute().parent.name}/{path.name}"
        Ensemble.from_recipe(recipe)
        choose_members(recipe, settings.member)
        return recipe, name

    def _first_version(self, named: tuple[Recipe, str] | None) -> int:
        """The version to serve at the start, which serves from now on."""
        active = self.store.active_version()
        if named is None:
            if active is None:
                raise NetchuError(f"{self.settings.data}: no version has served from here; name one with --ensemble")
            choose_members(self.versions.recipe(active), self.settings.member)
            return active
        version = self.versions.register(named[0], note=named[1])
        if version.id != active:
            self.versions.note_promotion(version.id)
        return version.id

    @property
    def active(self) -> int:
        """The version that serves."""
        return self.batcher.recogniser.version

    def promote(self, version: int) -> None:
        """Put a version to service without dropping a request; raises RefusalError (404) for an unknown one."""
        if self.store.version(version) is None:
            raise RefusalError(404, f"version {version}: there is none of that number")
        with self._swapping:
            recogniser = self.versions.load(version)
            self.versions.note_promotion(version)
            self.batcher.swap(recogniser)

    def retrain(self, *, epochs: int, lr: float) -> Job:
        """Begin a retraining of the version that serves; raises RefusalError (409) when there is too little to learn
        from or another job is at work."""
        every, held_out, _ = self.store.count_samples()
        if every == held_out or (held_out == 0 and self.settings.base_manifest is None):
            raise RefusalError(409, f"{every} corrections are too few to learn from; correct 5 lines or more first")
        base = self.active
        recipe = self.versions.recipe(base)
        try:
            members = choose_members(recipe, self.settings.member)
        except NetchuError as error:  # the version of the start had more members
            raise RefusalError(409, f"version {base}: {error}") from error
        plan = RetrainingPlan(
            recipe=str(recipe.files[-1].resolve()),
            members=members,
            samples=str(self.corrections.folder.resolve()),
            base=str(self.settings.base_manifest.resolve()) if self.settings.base_manifest else "",
            epochs=epochs,
            lr=lr,
            threads=self.settings.retrain_threads,
        )
        return self.jobs.start(base, plan)

    def describe_versions(self) -> list[dict[str, Any]]:
        """All versions, the newest first, with what their retraining measured."""
        rows: list[dict[str, Any]] = []
        for version in self.store.versions():
            job = self.store.job(version.job) if version.job else None
            report = job.report if job is not None and job.report else {}
            measured = {side: report[side]["all"] for side in ("before", "after") if side in report}
            facts = version.to_dict()
            row = {key: facts[key] for key in ("id", "parent", "job", "note", "created", "digest")}
            rows.append(row | measured | describe_parts(version) | {"active": version.id == self.active})
        return rows

    def statistics(self) -> dict[str, Any]:
        """What the corrections say: how many, how well each version read them, which characters were hardest."""
        every, held_out, changed = self.store.count_samples()
        read = [
            (s.version, s.read_text, s.text)
            for s in self.store.samples(RECENT)
            if s.version and s.read_text is not None
        ]
        by_version = {}
        for version in sorted({version for version, _, _ in read}):
            own = [(answer, label) for v, answer, label in read if v == version]
            by_version[version] = score([answer for answer, _ in own], [label for _, label in own]).to_dict()
        wrong = [(answer, label) for _, answer, label in read if answer != label]
        seen = accuracy_by_character([answer for answer, _ in wrong], [label for _, label in wrong])
        elsewhere = Counter(c for _, answer, label in read if answer == label for c in label)
        rows = [(c, right + elsewhere[c], total + elsewhere[c]) for c, (right, total) in seen.items() if right < total]
        hardest = sorted((row for row in rows if row[2] >= LEAST_SEEN), key=lambda row: row[1] - row[2])[:HARDEST]
        return {
            "corrections": every,
            "held_out": held_out,
            "changed": changed,
            "by_version": by_version,
            "hardest": [{"character": c, "right": right, "seen": total} for c, right, total in hardest],
        }

    def close(self) -> None:
        """Answer what waits, stop the job with its state saved, close the database."""
        self.jobs.close()
        self.batcher.close()
        self.store.close()
        self._lock_stream.close()
