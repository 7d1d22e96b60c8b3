"""Ctrl-C and termination, noted between two steps instead of breaking into one."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 600  # seconds
LOOK = 2  # seconds between two looks at the parent


class Interruption:
    """Turns SIGINT and SIGTERM into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = False
        self.number: int = signal.SIGTERM  # of the signal that came first
        self._interrupted = False  # by Ctrl-C

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Handle the signals inside the block; a second Ctrl-C stops at once.

        A SIGTERM after the first signal changes nothing: Ctrl-C reaches a terminal's whole process group, and what
        started this process may pass the stop on once more while it saves.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self._interrupted and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._interrupted = self._interrupted or number == signal.SIGINT
            if not self.requested:
                self.requested, self.number = True, number

        old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def outlive_signals(worker: int) -> None:
    """For data workers: Ctrl-C and termination reach the whole process group, but the main process must still save.

    Ctrl-C is left to it. After a first SIGTERM a worker goes on until its parent has gone or has ended it, at most
    `GRACE` seconds; a second one ends it at once.
    """
    parent = os.getppid()

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end = time.monotonic() + GRACE

        def look(number: int, frame: FrameType | None) -> None:
            if os.getppid() != parent or time.monotonic() > end:
                os._exit(128 + signal.SIGTERM)
            signal.alarm(LOOK)

        signal.signal(signal.SIGALRM, look)
        signal.alarm(LOOK)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminate)
