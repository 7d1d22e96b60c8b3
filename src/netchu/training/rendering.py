"""Synthetic lines that are rendered while training runs, one epoch ahead, so that none is ever seen twice.

`RenderAhead.take(epoch)` returns the epoch's lines and sets processes to work on those of the next. Line `number` of a
source depends on its seed and the number alone, so a resumed run renders the same lines again.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

import cv2
from tqdm import tqdm

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.images import Image
from netchu.core.interruption import outlive_signals

CHUNK = 32  # lines that a process renders between two reports

RenderedLine = tuple[Image, str]


class LineSource(Protocol):
    """Lines without end. It is pickled into the rendering processes, so loading belongs into the first `make`."""

    @property
    def characters(self) -> str:
        """Every character that a text may hold."""

    def make(self, number: int) -> RenderedLine:
        """Line `number`: grey image uint8 (h, w), text in NFC."""


OpenSource = Callable[[Config], LineSource]


class RenderAhead:
    """Renders `count` lines for each of `epochs` epochs with `jobs` processes of low priority."""

    def __init__(self, source: LineSource, count: int, epochs: int, jobs: int) -> None:
        self.count, self.epochs = count, epochs
        self._pending: dict[int, list[Future[list[RenderedLine]]]] = {}
        self._pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), initializer=_settle, initargs=(source,)
        )

    def take(self, epoch: int) -> list[RenderedLine]:
        """The lines of `epoch`, counted from 0. Waits for them; raises NetchuError when a process broke down."""
        self._order(epoch)
        futures = self._pending.pop(epoch)
        if epoch + 1 < self.epochs:
            self._order(epoch + 1)
        lines: list[RenderedLine] = []
        try:
            with tqdm(total=self.count, desc="rendering lines", unit="line", leave=False, delay=2) as bar:
                for future in futures:
                    lines += future.result()
                    bar.update(len(lines) - bar.n)
        except BrokenProcessPool as error:
            raise NetchuError(
                "synthetic_source: a rendering process ended early, often for want of memory; "
                "lower epoch_lines or workers, or make the lines beforehand"
            ) from error
        return lines

    def close(self) -> None:
        """End the processes; lines in the making are dropped. It waits for them: where the training is itself a process
        of a pool, its end could overtake the word that ends them, and all would wait for ever."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _order(self, epoch: int) -> None:
        if epoch in self._pending:
            return
        stop = (epoch + 1) * self.count
        self._pending[epoch] = [
            self._pool.submit(_render, start, min(start + CHUNK, stop))
            for start in range(epoch * self.count, stop, CHUNK)
        ]


_sources: list[LineSource] = []  # of this rendering process


def _settle(source: LineSource) -> None:
    """Begin a rendering process: it leaves signals to the training process and ends with it."""
    outlive_signals(0)
    os.nice(5)
    cv2.setNumThreads(1)
    _sources[:] = [source]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _render(start: int, stop: int) -> list[RenderedLine]:
    return [_sources[0].make(number) for number in range(start, stop)]
