"""Retraining jobs as the service sees them: one at a time in all service processes, started, watched, cancelled,
continued.

What a job does is `retraining`; here is only its life. A job that ends without having finished is `interrupted` and can
be continued from its last saved step, whatever ended it. So can one that failed, for a day: then its files go when the
service or a job begins. Who works on a job holds the lock `LOCK` of the database, which ends with the process.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError, last_line
from netchu.core.files import write_json
from netchu.data.label_files import read_json
from netchu.reading.recipe import read_recipe
from netchu.serve.retraining import PICTURES, STOPPED, RetrainingPlan, read_progress
from netchu.serve.samples import UNDO_SECONDS
from netchu.serve.store import CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, Job, Store
from netchu.serve.uploads import RefusalError
from netchu.serve.versions import Versions

LOCK = "retraining"
GRACE = 30.0  # seconds that a process may take to save its state


class Jobs:
    """The jobs folder, its table and the process that is at work."""

    def __init__(
        self, folder: Path, store: Store, versions: Versions, promote: Callable[[int], None], serving: Callable[[], int]
    ) -> None:
        """`promote` puts a version to service; it is called for a new version that is not worse than the one that it
        was made from, while that one is still `serving`."""
        self.folder, self.store, self.versions, self.promote = folder, store, versions, promote
        self.serving = serving
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._running = 0  # id of the job at work
        self._wanted = ""  # the state that a stop was asked for
        self._release: Callable[[], None] | None = None  # of the lock, while a job is at work here
        self.follow()
        if (release := store.hold(LOCK)) is not None:  # no job is at work anywhere
            self._clear_all()
            release()

    @property
    def running(self) -> int:
        """Id of the job at work, 0 without one."""
        return self._running

    def follow(self) -> None:
        """Look what other processes did: stop the job here when one of them asks for it; mark the job of one that is no
        more."""
        with self._lock:
            running = self.store.running_job()
            if running is None:
                return
            if running.id != self._running:
                if (release := self.store.hold(LOCK)) is not None:
                    self.store.mark_interrupted()
                    release()
                return
        if running.wanted:
            self._stop(running.wanted)

    def start(self, base: int, plan: RetrainingPlan) -> Job:
        """Begin a job from version `base`; raises RefusalError (409) while another one is at work."""
        with self._lock:
            self._take()
            self._clear_all()
            job = Job(base=base)
            self.store.insert(job)
            self._begin(job, plan)
        return job

    def resume(self, key: int) -> Job:
        """Go on with an interrupted or failed job; raises RefusalError (404, 409)."""
        with self._lock:
            job = self.get(key)
            if job.state not in (INTERRUPTED, FAILED, RUNNING):
                said = f"job {key}: is {job.state}; only an interrupted or failed one can be continued"
                raise RefusalError(409, said)
            self._take()
            job.state, job.message, job.wanted = RUNNING, "", ""
            self.store.save(job)
            self._begin(job)
        return job

    def cancel(self, key: int) -> Job:
        """End a job for good and delete its files; raises RefusalError (404, 409). One in another process ends soon."""
        with self._lock:  # no job begins meanwhile
            job = self.get(key)
            here = job.state == RUNNING and self._running == key
            if job.state == INTERRUPTED:
                self._close(job, CANCELLED, "cancelled")
            elif job.state != RUNNING:
                raise RefusalError(409, f"job {key}: is {job.state} already")
            elif not here:
                self.store.ask_to_stop(key, CANCELLED)
        if here:
            self._stop(CANCELLED)
        return self.get(key)

    def get(self, key: int) -> Job:
        """The job of that number; raises RefusalError (404)."""
        job = self.store.get(Job, key)
        if job is None:
            raise RefusalError(404, f"job {key}: there is none of that number")
        return job

    def describe(self, job: Job) -> dict[str, Any]:
        """A job with its progress and curves."""
        progress = read_progress(self.folder / str(job.id))
        return {**job.to_dict(), **progress, "done": 1.0 if job.state == DONE else progress["done"]}

    def close(self) -> None:
        """Stop the job at work with its state saved; it stays interrupted."""
        self._stop(INTERRUPTED)

    def _take(self) -> None:
        """Take the lock for a job; raises RefusalError (409) while a job is at work here or elsewhere."""
        if not self._running:
            self._release = self._release or self.store.hold(LOCK)  # of a start that could not write its row
        if self._running or self._release is None:
            running = self._running or getattr(self.store.running_job(), "id", 0)
            raise RefusalError(409, f"job {running}: is at work; one job runs at a time", "job_busy")

    def _begin(self, job: Job, plan: RetrainingPlan | None = None) -> None:
        """Write the plan, if it is new, and start the process; else the job has failed, or is interrupted as it was
        before, and RefusalError is raised."""
        try:
            if plan is not None:
                write_json(self.folder / str(job.id) / "job.json", asdict(plan))
            self._spawn(job)
        except (OSError, NetchuError) as error:
            self._close(job, FAILED if plan is not None else INTERRUPTED, f"could not be started: {error}")
            raise RefusalError(409, f"job {job.id}: could not be started ({error})") from error

    def _spawn(self, job: Job) -> None:
        folder = self.folder / str(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        self._wanted = job.wanted = ""
        self._running = job.id
        with (folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "netchu.serve.retraining", str(folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the service only, which then stops the job in order
            )
        self._watcher = threading.Thread(target=self._watch, args=(job, self._process), daemon=True)
        self._watcher.start()

    def _stop(self, wanted: str) -> None:
        """Ask the process to end, wait for it, and for its job's row to be written."""
        process, watcher = self._process, self._watcher
        if process is None or watcher is None or not self._running:
            return
        self._wanted = wanted
        assert process.stdin is not None
        process.stdin.close()
        watcher.join(GRACE)
        if watcher.is_alive():
            process.kill()
            watcher.join()

    def _watch(self, job: Job, process: "subprocess.Popen[bytes]") -> None:
        """Wait for the process, then write what became of the job."""
        status = process.wait()
        folder = self.folder / str(job.id)
        try:
            if self._wanted == CANCELLED:
                self._close(job, CANCELLED, "cancelled")
            elif status == 0:
                self._finish(job, read_json(folder / "report.json"))
            elif status == STOPPED or status < 0 or self._wanted:
                self._close(job, INTERRUPTED, "stopped before its end; continue it when you like")
            else:
                self._close(job, FAILED, last_line(folder / "output.txt"))
        except Exception as error:  # the job failed, the service must not
            self._close(job, FAILED, f"{type(error).__name__}: {error}")

    def _finish(self, job: Job, report: dict[str, Any]) -> None:
        """Register the new version; promote it when it is not worse."""
        folder = self.folder / str(job.id)
        before, after = (100 * report[side]["all"]["cer"] for side in ("before", "after"))
        version = self.versions.register(
            read_recipe(folder / "ensemble.json"),
            parent=job.base,
            job=job.id,
            note=f"retraining {job.id} of version {job.base}: CER {before:.2f} -> {after:.2f} %",
        )
        serving = self.serving()
        promoted = report["better"] and report["enough"] and serving == job.base
        job.version, job.report = version.id, {**report, "promoted": promoted}
        if not report["better"]:
            outcome = "not promoted: worse on the held-out lines"
        elif not report["enough"]:
            outcome = f"not promoted: under {report['least']} held-out lines say too little, so a person decides"
        elif serving != job.base:
            outcome = f"not promoted: version {serving} serves meanwhile, and it was compared with version {job.base}"
        else:
            self.promote(version.id)
            outcome = "promoted"
        self._close(job, DONE, outcome)

    def _close(self, job: Job, state: str, message: str) -> None:
        job.state, job.message, job.finished = state, message, time.time()
        with self._lock:  # nobody here sees a row that is behind
            if self._running in (job.id, 0) and (release := self._release) is not None:
                self._release = None  # before the next job can begin, which holds one of its own
                self._running = 0  # before the row says so, that who reads it elsewhere can start the next job
                release()
            self.store.save(job)
        self._clear(job)

    def _clear_all(self) -> None:
        """The same for all: what a kill has left, and what failed long ago."""
        for job in self.store.jobs():
            self._clear(job)

    def _clear(self, job: Job) -> None:
        """Delete the files that nobody needs once a job has come to its end."""
        folder = self.folder / str(job.id)
        failed_long_ago = job.state == FAILED and (job.finished or 0) < time.time() - UNDO_SECONDS
        if job.state == CANCELLED:
            shutil.rmtree(folder, ignore_errors=True)
        elif job.state == DONE or failed_long_ago:
            files = [*folder.glob("member*/state*.pt"), *folder.glob("member*/*.safetensors"), folder / "ensemble.json"]
            if failed_long_ago:  # its lines are taken anew when it is continued
                files.append(folder / "manifest.csv")
            for path in files:
                path.unlink(missing_ok=True)  # the versions folder has its own copy
            shutil.rmtree(folder / PICTURES, ignore_errors=True)
