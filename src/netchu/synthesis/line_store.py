"""Keeps synthetic lines in one LMDB file instead of many image files.

Keys: `image-00000042` (JPEG bytes), `label-00000042` (UTF-8 NFC text), `writer-00000042` (name), `num-lines`.
A chunk is written in one transaction together with its mark `done-00000000`, so an interrupted run goes on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from joblib import delayed
from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.data.lmdb_file import STORE, open_lmdb, read_records

if TYPE_CHECKING:
    from netchu.synthesis.batches import LineGenerator, Order

ROOM_PER_LINE = 256 * 1024  # bytes of address space, not of disk


def fill_store(generator: "LineGenerator", order: "Order", chunks: list[range]) -> None:
    """Make the lines of `chunks` that the store lacks, and put them in, chunk by chunk."""
    import lmdb

    from netchu.synthesis.batches import make_chunk, stream_results

    total = sum(map(len, chunks))
    room = max(64 * 1024 * 1024, order.count * ROOM_PER_LINE)
    store = open_lmdb(order.out / STORE, map_size=room, readonly=False)
    with store.begin() as reading:
        todo = [numbers for numbers in chunks if reading.get(f"done-{numbers.start:08d}".encode()) is None]
    try:
        with store, tqdm(total=total, initial=total - sum(map(len, todo)), unit=" lines", disable=None) as bar:
            results = stream_results(order, [delayed(make_chunk)(generator, numbers) for numbers in todo])
            for numbers, lines in zip(todo, results, strict=True):
                with store.begin(write=True) as writing:
                    for number, (_, data, text, writer) in zip(numbers, lines, strict=True):
                        writing.put(f"image-{number:08d}".encode(), data)
                        writing.put(f"label-{number:08d}".encode(), text.encode())
                        writing.put(f"writer-{number:08d}".encode(), writer.encode())
                    writing.put(f"done-{numbers.start:08d}".encode(), b"1")
                bar.update(len(lines))
            with store.begin(write=True) as writing:
                writing.put(b"num-lines", str(total).encode())
    except (lmdb.Error, OSError) as error:
        raise NetchuError(f"{order.out / STORE}: cannot be written ({error}); free some space and run again") from error


def read_store(path: Path) -> Iterator[tuple[np.ndarray, str, str]]:
    """Every (image uint8 (H, W), text, writer) of a finished store, in order."""
    for record in read_records(path):
        image = cv2.imdecode(np.frombuffer(record.image, np.uint8), cv2.IMREAD_GRAYSCALE)
        yield np.asarray(image), record.text, record.writer
