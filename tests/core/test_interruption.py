"""Signals that come in turn: what stops a run, and what only says so once more."""

import signal

import pytest

from netchu.core.interruption import Interruption


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_is_passed_on_once_more_leaves_time_to_save(first: signal.Signals) -> None:
    """A terminal's Ctrl-C reaches every process, and the one that started them passes it on as SIGTERM."""
    interruption = Interruption()
    with interruption.watch():
        assert not interruption.requested
        try:
            for number in (first, signal.SIGTERM, signal.SIGTERM):
                signal.raise_signal(number)
        except KeyboardInterrupt:
            pytest.fail("ended before it could save")
        assert interruption.requested and interruption.number == first


def test_a_second_ctrl_c_stops_at_once() -> None:
    interruption = Interruption()
    with interruption.watch():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
