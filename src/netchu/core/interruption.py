"""Ctrl-C and termination, noted between two steps instead of breaking into one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from netchu.core.errors import NetchuError

GRACE = 20  # seconds


class StoppedError(NetchuError):
    """A run ended by a signal with its state saved: it can be resumed."""


class Interruption:
    """Turns SIGINT and SIGTERM into a flag that the loop reads between steps."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Handle the signals inside the block; a second Ctrl-C stops at once."""

        def note(number: int, frame: FrameType | None) -> None:
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def outlive_signals(worker: int) -> None:
    """For data workers: Ctrl-C and termination reach the whole process group, but the main process must still save.

    Ctrl-C is left to it; after termination a worker goes on for `GRACE` seconds unless it is ended in order before.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(GRACE))
