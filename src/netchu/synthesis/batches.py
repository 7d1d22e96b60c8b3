"""Makes many lines on many processes: same seed, same bytes, whatever the number of jobs; goes on where it stopped.

Line `i` is made from the random numbers of `(seed, i)` alone. Work is cut into chunks; a finished chunk of files
leaves a part in `OUT/parts/`, and the parts become `labels.tsv` in one step at the end.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path, hash_file, write_json, write_text, writing
from netchu.core.image_files import walk
from netchu.data.label_files import read_json
from netchu.data.lmdb_file import STORE, Record, open_lmdb, put_record

CHUNK = 200
ROOM_PER_LINE = 256 * 1024  # bytes of address space of a store, not of disk
QUALITY = 92
LABELS = "labels.tsv"
RUN = "run.json"
CONTENT = "content of "  # begins the keys of a record that hold hashes

SyntheticLine = tuple[np.ndarray, str, str]
LineMaker = Callable[[int], SyntheticLine]


class LineGenerator(Protocol):
    """What a generator script hands over: small, picklable and hashable; builds its line maker in each process."""

    def build(self) -> LineMaker:
        """The function from a line's number to (image uint8 (H, W), text, writer)."""

    def record(self) -> dict[str, Any]:
        """Everything that the bytes depend on, as JSON can hold it."""


@dataclass(frozen=True, slots=True)
class Order:
    """How much to make and how. shard: (which, of how many), counted from 1."""

    out: Path
    count: int
    jobs: int = 1
    shard: tuple[int, int] = (1, 1)
    dask: str = ""
    lmdb: bool = False

    def __post_init__(self) -> None:
        """Raises NetchuError when there is nothing to make."""
        if self.count < 1:
            raise NetchuError(f"--count {self.count}: make at least one line")
        if not self.chunks():
            part, parts = self.shard
            raise NetchuError(
                f"--shard {part}/{parts}: {self.count} lines leave it none; take fewer shards or more lines"
            )

    def chunks(self) -> list[range]:
        """The line numbers of this shard, chunk by chunk."""
        which, shards = self.shard
        starts = range(0, self.count, CHUNK)
        return [range(s, min(s + CHUNK, self.count)) for i, s in enumerate(starts) if i % shards == which - 1]


@lru_cache(maxsize=2)
def line_maker(generator: LineGenerator) -> LineMaker:
    """The line maker, built once a process."""
    return generator.build()


def make_chunk(generator: LineGenerator, numbers: range) -> list[Record]:
    """The lines of one chunk, their images as JPEG."""
    cv2.setNumThreads(1)
    make = line_maker(generator)  # type: ignore[arg-type]
    lines = []
    for number in numbers:
        image, text, writer = make(number)
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        lines.append(Record(f"{number:08d}", data.tobytes(), text, writer))
    return lines


def _part(out: Path, numbers: range) -> Path:
    return out / "parts" / f"{numbers.start:08d}-{numbers.stop:08d}.tsv"


def _save_chunk(generator: LineGenerator, out: Path, numbers: range) -> None:
    """Write the images of one chunk, then its part of the labels."""
    lines = make_chunk(generator, numbers)
    with writing(out, "free some space and run again"):
        for line in lines:
            (out / "images" / f"{line.number}.jpg").write_bytes(line.image)
    rows = (f"images/{line.number}.jpg\t{line.text}\t{line.writer}\n" for line in lines)
    write_text(_part(out, numbers), "".join(rows))


def _backend(order: Order) -> AbstractContextManager[Any]:
    """The joblib backend: processes here, or the workers of a Dask cluster."""
    if not order.dask:
        return nullcontext()
    from distributed import Client

    try:
        Client(order.dask, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise NetchuError(f"--dask {order.dask}: no scheduler answers ({error}); check the address") from error
    backend: AbstractContextManager[Any] = parallel_config(backend="dask")
    return backend


def _each_chunk(order: Order, todo: list[range], call: Callable[[range], Any]) -> Iterator[tuple[range, Any]]:
    """(chunk, what `call` gives for it) of the chunks that are still to be made, in their order, with a bar."""
    total = sum(map(len, order.chunks()))
    with tqdm(total=total, initial=total - sum(map(len, todo)), unit=" lines", disable=None) as bar:
        calls = [delayed(call)(numbers) for numbers in todo]
        results = Parallel(n_jobs=order.jobs, return_as="generator", pre_dispatch="2*n_jobs")(calls)
        for numbers, result in zip(todo, results, strict=True):
            yield numbers, result
            bar.update(len(numbers))


def contents(**named: str | Sequence[str]) -> dict[str, str]:
    """For a generator's record: by `content of KEY` one SHA-256 of what the files that KEY names hold, and the .txt and
    .json files of the folders; nothing for keys that name none."""
    found = {}
    for key, names in named.items():
        paths = [Path(name) for name in ([names] if isinstance(names, str) else names) if name]
        files = [
            file
            for path in paths
            for file in (walk(path) if path.is_dir() else [path])
            if file.is_file() and (file == path or file.suffix.lower() in (".txt", ".json"))
        ]
        if files:
            found[CONTENT + key] = hashlib.sha256("".join(map(hash_file, files)).encode()).hexdigest()
    return found


def is_complete(order: Order, generator: LineGenerator, *, claim: bool = False) -> bool:
    """Whether all lines are there; with `claim` a folder without any becomes this run's. Raises NetchuError for the
    folder of another run."""
    settings = {**generator.record(), "count": order.count, "shard": order.shard, "lmdb": order.lmdb}
    settings = json.loads(json.dumps(settings))  # as the file gives them back: tuples are lists there
    path = order.out / RUN
    if path.exists():
        began = read_json(path)
        known = {key for key in settings if key in began or not key.startswith(CONTENT)}  # earlier versions have none
        changed = [key for key in sorted({*known, *began}) if settings.get(key) != began.get(key)]
        if changed:
            raise NetchuError(f"{order.out}: was begun with another {', '.join(changed)}; choose another --out")
        return (order.out / LABELS).exists() and not order.lmdb
    if any((order.out / name).exists() for name in (LABELS, "images", STORE)):
        raise NetchuError(f"{order.out}: holds lines of another run; choose another --out")
    if claim:
        write_json(path, settings)
    return False


def produce(generator: LineGenerator, order: Order) -> None:
    """Make the lines of `order`. Raises NetchuError for a folder that cannot be used or a full disk."""
    line_maker(generator)  # type: ignore[arg-type]  # a mistake shows here, before any process starts
    chunks = order.chunks()
    total = sum(map(len, chunks))
    if order.lmdb:
        import lmdb  # noqa: F401  # missed before the folder is claimed

    with _backend(order):
        if is_complete(order, generator, claim=True):
            print(f"{order.out}: already complete")
            return
        if order.lmdb:
            _fill_store(generator, order, chunks)
        else:
            with writing(order.out, "choose another folder"):
                (order.out / "images").mkdir(exist_ok=True)
            todo = [numbers for numbers in chunks if not _part(order.out, numbers).exists()]
            for _ in _each_chunk(order, todo, partial(_save_chunk, generator, order.out)):
                pass
            _join_parts(order.out, chunks)
    print(f"{order.out}: {total} lines")


def _fill_store(generator: LineGenerator, order: Order, chunks: list[range]) -> None:
    """Make the lines of `chunks` that the LMDB store lacks, and put them in, chunk by chunk.

    Keys: `image-00000042` (JPEG bytes), `label-00000042` (UTF-8 NFC text), `writer-00000042` (name), `num-lines`.
    A chunk is written in one transaction together with its mark `done-00000000`, so an interrupted run goes on.
    """
    import lmdb

    room = max(64 * 1024 * 1024, order.count * ROOM_PER_LINE)
    store = open_lmdb(order.out / STORE, map_size=room, readonly=False)
    with store.begin() as reading:
        todo = [numbers for numbers in chunks if reading.get(f"done-{numbers.start:08d}".encode()) is None]
    try:
        with store:
            for numbers, lines in _each_chunk(order, todo, partial(make_chunk, generator)):
                with store.begin(write=True) as writing:
                    for line in lines:
                        put_record(writing, line)
                    writing.put(f"done-{numbers.start:08d}".encode(), b"1")
            with store.begin(write=True) as writing:
                writing.put(b"num-lines", str(sum(map(len, chunks))).encode())
    except (lmdb.Error, OSError) as error:
        raise NetchuError(f"{order.out / STORE}: cannot be written ({error}); free some space and run again") from error


def _join_parts(out: Path, chunks: list[range]) -> None:
    """Turn the parts into labels.tsv at once, then remove them."""
    parts = [_part(out, numbers) for numbers in chunks]
    with atomic_path(out / LABELS) as temporary, temporary.open("wb") as stream:
        for part in parts:
            stream.write(part.read_bytes())
    shutil.rmtree(out / "parts")  # with temporary files of runs that were killed
