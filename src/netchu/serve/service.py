"""The service without HTTP: one data folder, the model that serves, corrections, jobs, figures.

`Service.promote` is the hot swap: the new version is loaded beside the old one, and the queue changes over between
two batches.
"""

import ctypes
import gc
import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError
from netchu.core.files import file_lock
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe, plain_recipe, read_recipe
from netchu.serve.batching import Batcher
from netchu.serve.jobs import Jobs
from netchu.serve.retraining import LEAST_HELD_OUT, RetrainingPlan, choose_members
from netchu.serve.samples import Samples
from netchu.serve.store import CHARACTER, CHARACTERS, LINES, Job, Store, count_checked
from netchu.serve.telemetry import Telemetry
from netchu.serve.uploads import RefusalError, UploadLimits
from netchu.serve.versions import Versions, describe_parts

DATABASE = "service.sqlite"
FOLLOW = 2.0  # seconds between two looks at what other processes did
HARDEST = 8  # characters
LEAST_SEEN = 3  # times that a character must have occurred to count among the hardest


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """What the command line decides. `ensemble` or `bundles` serve from the start on, unless they are those that were
    named last: then the version that served last does. `release`: the recipe to serve when none is named and none has
    served yet."""

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
    threads: int = 0  # of the processor for reading; 0: as many as there are
    retrain_threads: int = 0
    least_held_out: int = LEAST_HELD_OUT  # lines under which no retrained version is promoted by itself
    database: str = ""  # URL of a PostgreSQL database that several processes share; empty: a file in `data`
    token: str = ""
    limits: UploadLimits = field(default_factory=UploadLimits)


def give_back_memory() -> None:
    """Give the system what nothing uses any more: of a version that served, or of opening one."""
    gc.collect()  # a language model and what it remembers refer to each other
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it, and only glibc keeps what was freed
        ctypes.CDLL(None).malloc_trim(0)


class Service:
    """Everything that lives as long as the process."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Open the data folder; raises NetchuError when it is in use, broken, or no model is known."""
        self.settings = settings
        named = self._named()  # before anything is made
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NetchuError(
                f"{settings.data}: is no folder to write in ({error.strerror}); choose another --data"
            ) from error
        self._held = ExitStack()
        if not settings.database and not self._held.enter_context(file_lock(settings.data / "lock", 0)):
            raise NetchuError(f"{settings.data}: another service uses this folder; stop it or choose another --data")
        self.store = Store(self._database())
        self.samples = Samples(settings.data / "samples", self.store)
        self.samples.recover()
        self.versions = Versions(settings.data / "versions", self.store, threads=settings.threads)
        first = self._first_version(named)
        self.batcher = Batcher(
            self.versions.load(first),
            batch_size=settings.batch_size,
            capacity=settings.queue,
            patience=settings.patience,
            observe=lambda lines, seconds: self.telemetry.observe_batch(lines, seconds),
        )
        give_back_memory()
        self._swapping = threading.Lock()
        self.jobs = Jobs(settings.data / "jobs", self.store, self.versions, self.promote, lambda: self.active)
        self.telemetry = Telemetry(
            queue=lambda: len(self.batcher), version=lambda: self.active, job=lambda: self.jobs.running
        )
        self._closed = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="following", daemon=True)
        self._follower.start()

    def _database(self) -> str:
        """URL of the database."""
        return self.settings.database or f"sqlite:///{self.settings.data / DATABASE}"

    def _follow(self) -> None:
        """Serve what another process promoted; end a job here that another one was asked to end, and mark one whose row
        says that it is at work when it is not: its end could not be written."""
        while not self._closed.wait(FOLLOW):
            try:
                self._catch_up()
                self.jobs.follow()
            except Exception as error:  # the database may be away for a while
                logging.getLogger("netchu").warning("following the other processes: %s", error)

    def _catch_up(self) -> None:
        with self._swapping:
            wanted = self.store.active_version()
            if wanted is not None and wanted != self.active:
                self.batcher.swap(self.versions.load(wanted))
                give_back_memory()

    def _named(self) -> tuple[Recipe, str] | None:
        """The recipe to serve and its name, opened and found sound; None: the one that served last.

        Raises NetchuError for one that cannot be served.
        """
        settings = self.settings
        if settings.ensemble is None and settings.bundles:
            recipe, name = plain_recipe(settings.bundles), ", ".join(path.name for path in settings.bundles)
        elif settings.ensemble is None and self._has_served():
            return None
        else:
            path = settings.ensemble or settings.release
            if path is None or not path.is_file():
                raise NetchuError(f"{path}: no such recipe; name one with --ensemble, or bundles with --bundles")
            recipe, name = read_recipe(path), f"{path.absolute().parent.name}/{path.name}"
        Ensemble.from_recipe(recipe, threads=settings.threads)
        choose_members(recipe, settings.member)
        return recipe, name

    def _has_served(self) -> bool:
        """Whether a version has served from this database."""
        if not self.settings.database and not (self.settings.data / DATABASE).is_file():
            return False
        store = Store(self._database())
        try:
            return store.active_version() is not None
        finally:
            store.close()

    def _first_version(self, named: tuple[Recipe, str] | None) -> int:
        """The version to serve at the start, which serves from now on: the named one, unless it is the one that was
        named at the last start, as a unit file does; then the one that served last."""
        active = self.store.active_version()
        if named is None:
            assert active is not None
            choose_members(self.versions.recipe(active), self.settings.member)
            return active
        version = self.versions.register(named[0], note=named[1])
        if active is None or version.id != self.store.named_version():
            self.versions.note_promotion(version.id, named=True)
            return version.id
        return active  # the same was named at the start before: what was chosen since holds

    @property
    def active(self) -> int:
        """The version that serves."""
        return self.batcher.recogniser.version

    def promote(self, version: int) -> None:
        """Put a version to service without dropping a request; raises RefusalError (404) for an unknown one."""
        self.versions.get(version)
        with self._swapping:
            recogniser = self.versions.load(version)
            self.versions.note_promotion(version)
            self.batcher.swap(recogniser)
            give_back_memory()

    def retrain(self, *, epochs: int, lr: float) -> Job:
        """Begin a retraining of the version that serves; raises RefusalError (409) when there is too little to learn
        from or another job is at work."""
        every, held_out, _ = self.store.count_samples()
        if every == held_out or (held_out == 0 and self.settings.base_manifest is None):
            raise RefusalError(
                409, f"{every} corrections are too few to learn from; correct 5 lines or more first", "too_few"
            )
        base = self.active
        recipe = self.versions.recipe(base)
        try:
            members = choose_members(recipe, self.settings.member)
        except NetchuError as error:  # the version of the start had more members
            raise RefusalError(409, f"version {base}: {error}") from error
        plan = RetrainingPlan(
            recipe=str(self.versions.path(base).resolve()),
            members=members,
            samples=str(self.samples.folder.resolve()),
            base=str(self.settings.base_manifest.resolve()) if self.settings.base_manifest else "",
            epochs=epochs,
            lr=lr,
            threads=self.settings.retrain_threads,
            least_held_out=self.settings.least_held_out,
        )
        return self.jobs.start(base, plan)

    def describe_versions(self) -> list[dict[str, Any]]:
        """All versions, the newest first, with what their retraining measured."""
        rows: list[dict[str, Any]] = []
        for version in self.store.versions():
            job = self.store.get(Job, version.job) if version.job else None
            report = job.report if job is not None and job.report else {}
            measured = {side: report[side]["all"] for side in ("before", "after") if side in report}
            facts = version.to_dict()
            row = {key: facts[key] for key in ("id", "parent", "job", "note", "name", "created", "digest")}
            figures = {"enough": report.get("enough", True), "released": self.versions.figures(version)}
            active = {"active": version.id == self.active}
            rows.append(row | measured | figures | describe_parts(version) | active)
        return rows

    def statistics(self) -> dict[str, Any]:
        """What the corrections say: how many, how well each version read them, which characters were hardest."""
        sums = self.store.sums()
        every, held_out, changed = count_checked(sums)
        edits = sums[CHARACTERS]
        by_version = {
            version: {"lines": lines, "exact": right / lines, "cer": edits[version][1] / max(1, edits[version][0])}
            for version, (lines, right) in sorted(sums[LINES].items(), key=lambda item: int(item[0]))
        }
        seen = [(c, right, total) for c, (total, right) in sums[CHARACTER].items()]
        wrong = [row for row in seen if row[1] < row[2] and row[2] >= LEAST_SEEN]
        hardest = sorted(wrong, key=lambda row: row[1] - row[2])[:HARDEST]
        return {
            "corrections": every,
            "held_out": held_out,
            "changed": changed,
            "by_version": by_version,
            "hardest": [{"character": c, "right": right, "seen": total} for c, right, total in hardest],
            "least_held_out": self.settings.least_held_out,
        }

    def close(self) -> None:
        """Answer what waits, stop the job with its state saved, close the database."""
        self._closed.set()
        self._follower.join()
        self.jobs.close()
        self.batcher.close()
        self.store.close()
        self._held.close()
