"""Micro-batching: lines of many requests wait in one bounded queue and are read together when they are equally wide.

One thread reads. It takes the line that has waited longest, and with it others of the same input width, so that a
call of the recogniser is one forward pass and nobody is overtaken for ever.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from netchu.core.images import Image
from netchu.serve.confidence import DetailedReading

MAX_RETRY_AFTER = 60  # seconds
FACTOR = 4  # batches have 1, 4, 16 ... lines: every other shape would cost the processor kernels of its own


class ServedModel(Protocol):
    """What the service asks of a model version. Any ensemble that offers this can be served."""

    version: int

    def read(self, images: Sequence[Image]) -> list[DetailedReading]:
        """Readings of grey images, in order."""

    def input_width(self, image: Image) -> int:
        """Width in pixels that the image takes in the network; equal ones share a forward pass."""


class OverloadError(Exception):
    """The queue is full or a line waited too long; `retry_after` seconds are likely to be enough."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the service is busy; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class VersionedReading:
    """A reading, the version that made it, and the seconds from its arrival."""

    reading: DetailedReading
    version: int
    seconds: float


@dataclass(slots=True, eq=False)
class Waiting:
    """A line in the queue."""

    image: Image
    deadline: float
    width: int
    arrived: float = field(default_factory=time.monotonic)
    future: "Future[VersionedReading]" = field(default_factory=Future)


class Batcher:
    """The queue and its reading thread. `swap` changes the recogniser between two batches: no line is lost."""

    def __init__(
        self,
        recogniser: ServedModel,
        *,
        batch_size: int = 16,
        capacity: int = 256,
        patience: float = 5.0,
        linger: float = 0.003,
        observe: Callable[[int, float], None] = lambda lines, seconds: None,
    ) -> None:
        """`capacity`: lines that may wait; `patience`: seconds that a new line may be expected to wait;
        `linger`: seconds that a lone line waits for company."""
        self.recogniser, self.batch_size, self.observe = recogniser, batch_size, observe
        self.capacity, self.patience, self.linger = capacity, patience, linger
        self._queue: deque[Waiting] = deque()
        self._reading: list[Waiting] = []
        self._changed = threading.Condition()
        self._closed = False
        self._seconds_per_line = 0.05  # running mean, for Retry-After
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Lines that wait."""
        return len(self._queue)

    def submit(self, images: Sequence[Image], timeout: float) -> "list[Future[VersionedReading]]":
        """Queue all images or none; a future gives its reading, or OverloadError after `timeout` seconds of waiting."""
        deadline, recogniser = time.monotonic() + timeout, self.recogniser
        lines = [Waiting(image, deadline, recogniser.input_width(image)) for image in images]
        with self._changed:
            self.refuse_overload(len(lines))
            self._queue.extend(lines)
            self._changed.notify_all()
        return [line.future for line in lines]

    def refuse_overload(self, lines: int = 1) -> None:
        """Raise OverloadError when so many more lines would find no place, or would wait longer than `patience`."""
        waiting = len(self._queue)
        full = waiting + lines > self.capacity or waiting * self._seconds_per_line > self.patience
        if self._closed or full:
            raise OverloadError(self.retry_after())

    def retry_after(self) -> int:
        """Seconds until the lines that wait now should have been read."""
        return min(MAX_RETRY_AFTER, max(1, math.ceil(len(self._queue) * self._seconds_per_line)))

    def swap(self, recogniser: ServedModel) -> None:
        """Read with another recogniser from the next batch on; return when none is read with the former any more."""
        with self._changed:
            self.recogniser, last = recogniser, self._reading
            self._changed.wait_for(lambda: not last or self._reading is not last)

    def close(self) -> None:
        """Read what waits, then stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _take(self) -> list[Waiting]:
        """The next batch; empty when the queue was closed and is done."""
        with self._changed:
            self._reading = []
            self._changed.notify_all()
            while not self._queue and not self._closed:
                self._changed.wait()
            if not self._closed and len(self._queue) < self.batch_size:
                self._changed.wait(self.linger)
            if not self._queue:
                return []
            batch = [line for line in self._queue if line.width == self._queue[0].width][: self.batch_size]
            batch = batch[: FACTOR ** int(math.log(len(batch), FACTOR) + 1e-9)]
            taken = set(map(id, batch))
            self._queue = deque(line for line in self._queue if id(line) not in taken)
            self._reading = batch
            return batch

    def _run(self) -> None:
        while batch := self._take():
            now = time.monotonic()
            late = [line for line in batch if line.deadline < now]
            for line in late:
                if line.future.set_running_or_notify_cancel():
                    line.future.set_exception(OverloadError(self.retry_after()))
            due = [line for line in batch if line.deadline >= now and line.future.set_running_or_notify_cancel()]
            if due:
                self._read(due)

    def _read(self, batch: list[Waiting]) -> None:
        """One call of the recogniser; a line that breaks it is found by reading the lines one by one."""
        recogniser, began = self.recogniser, time.monotonic()
        try:
            readings = recogniser.read([line.image for line in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for line in batch:
                self._read([line])
            return
        now = time.monotonic()
        self._seconds_per_line += 0.1 * ((now - began) / len(batch) - self._seconds_per_line)
        self.observe(len(batch), now - began)
        for line, reading in zip(batch, readings, strict=True):
            line.future.set_result(VersionedReading(reading, recogniser.version, now - line.arrived))
