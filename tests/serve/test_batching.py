"""The queue: lines of one width together, the oldest first, a bound, timeouts, swaps that lose nothing."""

import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, wait

import numpy as np
import pytest

from netchu.core.images import Image
from netchu.serve.batching import Batcher, OverloadError, VersionedReading
from netchu.serve.confidence import DetailedReading


class Reader:
    """A recogniser that says how wide a line is, and notes its batches. `gate` closed: it waits."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def read(self, images: Sequence[Image]) -> list[DetailedReading]:
        self.began.set()
        self.gate.wait(10)
        self.batches.append([i.shape[1] for i in images])
        if any(i.shape[0] == 13 for i in images):
            raise RuntimeError("thirteen")
        return [DetailedReading(str(i.shape[1]), 1.0, characters=[], lines=[]) for i in images]

    def input_width(self, image: Image) -> int:
        return image.shape[1]


def line(width: int, height: int = 10) -> Image:
    return np.zeros((height, width), np.uint8)


def stalled(reader: Reader, **options: float) -> Batcher:
    """A batcher whose thread is busy with a first line until the reader's gate opens."""
    batcher = Batcher(reader, **options)  # type: ignore[arg-type]
    reader.gate.clear()
    batcher.submit([line(1)], 9)
    assert reader.began.wait(5)
    return batcher


def texts(futures: Sequence["Future[VersionedReading]"]) -> list[str]:
    return [future.result(5).reading.text for future in futures]


def test_equal_widths_share_a_batch_and_the_oldest_goes_first() -> None:
    """Batches have 1, 4, 16 ... lines."""
    reader = Reader()
    batcher = stalled(reader, batch_size=16)
    futures = [batcher.submit([line(w)], 9)[0] for w in (20, 30, 20, 20, 20, 20, 30)]
    reader.gate.set()
    assert texts(futures) == ["20", "30", "20", "20", "20", "20", "30"]
    futures = batcher.submit([line(8)] * 70, 9)
    assert texts(futures) == ["8"] * 70
    batcher.close()
    assert reader.batches[:5] == [[1], [20, 20, 20, 20], [30], [20], [30]]
    assert {len(batch) for batch in reader.batches[5:]} <= {1, 4, 16}


def test_who_would_wait_too_long_is_turned_away_at_once() -> None:
    reader = Reader()
    batcher = stalled(reader, patience=0.08)  # a line is first taken to need 0.05 s
    kept = batcher.submit([line(2)], 9) + batcher.submit([line(3)], 9)
    with pytest.raises(OverloadError):
        batcher.submit([line(4)], 9)
    reader.gate.set()
    assert texts(kept) == ["2", "3"]
    batcher.close()


def test_the_bound_holds_for_all_or_nothing() -> None:
    reader = Reader()
    batcher = stalled(reader, capacity=3)
    kept = batcher.submit([line(2), line(3)], 9)
    with pytest.raises(OverloadError) as caught:
        batcher.submit([line(4), line(5)], 9)
    assert caught.value.retry_after >= 1
    assert len(batcher) == 2
    kept += batcher.submit([line(6)], 9)
    reader.gate.set()
    assert texts(kept) == ["2", "3", "6"]
    batcher.close()
    with pytest.raises(OverloadError):
        batcher.submit([line(7)], 9)


def test_a_line_that_waited_too_long_is_not_read() -> None:
    reader = Reader()
    batcher = stalled(reader)
    late, patient = batcher.submit([line(2)], 0.01) + batcher.submit([line(3)], 9)
    time.sleep(0.05)
    reader.gate.set()
    with pytest.raises(OverloadError):
        late.result(5)
    assert patient.result(5).reading.text == "3"
    batcher.close()
    assert [2] not in reader.batches


def test_an_abandoned_line_is_not_read() -> None:
    reader = Reader()
    batcher = stalled(reader)
    gone = batcher.submit([line(2)], 9)[0]
    assert gone.cancel()
    reader.gate.set()
    assert texts(batcher.submit([line(3)], 9)) == ["3"]
    batcher.close()
    assert [2] not in reader.batches


def test_an_error_reaches_its_own_lines_only() -> None:
    """Lines of one batch with it are read all the same."""
    reader = Reader()
    batcher = stalled(reader)
    good, bad, other, last = batcher.submit([line(2), line(2, height=13), line(2), line(2)], 9)
    reader.gate.set()
    with pytest.raises(RuntimeError, match="thirteen"):
        bad.result(5)
    assert texts([good, other, last]) == ["2", "2", "2"]
    assert [2, 2, 2, 2] in reader.batches
    batcher.close()


def test_a_swap_is_over_when_nothing_is_read_with_the_former_any_more() -> None:
    reader = Reader()
    batcher, former = stalled(reader), weakref.ref(reader)
    waiting = batcher.submit([line(2)], 9)
    swapping = threading.Thread(target=batcher.swap, args=(Reader(2),))
    swapping.start()
    swapping.join(0.1)
    assert swapping.is_alive() and former()
    reader.gate.set()
    del reader
    swapping.join(5)
    assert former() is None and waiting[0].result(5).version == 2
    batcher.swap(Reader(3))  # while nothing is read
    batcher.close()


def test_swaps_under_load_lose_nothing() -> None:
    batcher = Batcher(Reader(0), capacity=10_000, patience=999)
    futures: list[Future[VersionedReading]] = []
    sending = threading.Thread(
        target=lambda: futures.extend(batcher.submit([line(w % 7 + 1)], 9)[0] for w in range(2000))
    )
    sending.start()
    for version in range(1, 20):
        time.sleep(0.002)
        batcher.swap(Reader(version))
    sending.join()
    last = batcher.submit([line(5)], 9)
    assert not wait(futures, 10).not_done
    assert texts(futures) == [str(w % 7 + 1) for w in range(2000)]
    versions = [future.result().version for future in futures]
    assert len(set(versions)) > 1
    assert last[0].result(5).version == 19
    batcher.close()
