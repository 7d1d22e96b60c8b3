"""LMDB files of lines in the layout of the deep-text-recognition benchmark, read and written.

Keys: `num-samples`, `image-000000001` (bytes of an image file), `label-000000001` (UTF-8), counted from 1; `writer-...`
where it is known. The files that the synthesis makes have the same keys with `num-lines`, counted from 0, and are
read as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder, refuse_foreign_folder
from netchu.data.manifest import Line

if TYPE_CHECKING:
    import lmdb

STORE = "lines.lmdb"  # as the synthesis names its file
COUNTS = (b"num-samples", b"num-lines")
CHUNK = 1000  # records a transaction
ROOM = 64 * 1024 * 1024  # bytes of address space beyond the images themselves


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a store: its number, the bytes of its image file, its label as stored and its writer."""

    number: str
    image: bytes
    text: str
    writer: str


def refuse_store(folder: Path) -> None:
    """Raise NetchuError, before any work, when a store cannot be written there; see `write_lmdb`."""
    import lmdb  # noqa: F401  # missed before any work

    refuse_foreign_folder(folder, ("data.mdb", "lock.mdb"))


def open_lmdb(path: Path, *, map_size: int = ROOM, readonly: bool = True) -> "lmdb.Environment":
    """Open an LMDB folder or file; raises NetchuError when the file cannot be used."""
    import lmdb

    try:
        return lmdb.open(
            str(path), map_size=map_size, subdir=path.is_dir(), readonly=readonly, lock=not readonly, readahead=False
        )
    except (lmdb.Error, OSError) as error:
        raise NetchuError(f"{path}: cannot be opened as LMDB ({error})") from error


def read_records(path: Path) -> Iterator[Record]:
    """Every record of a store, in key order; raises NetchuError for an unfinished store, a label without image, or a
    number that is the way out of a folder."""
    with open_lmdb(path) as store, store.begin() as reading:
        if not any(reading.get(key) for key in COUNTS):
            raise NetchuError(f"{path}: has no num-samples; it is not finished or not in the benchmark's layout")
        cursor = reading.cursor()
        if not cursor.set_range(b"label-"):
            return
        for key, text in cursor:
            if not bytes(key).startswith(b"label-"):
                return
            number = bytes(key)[6:]
            if number.startswith((b"/", b"\\")) or b".." in number:
                raise NetchuError(
                    f"{path}: {bytes(key)!r} would name a file outside of its folder; make the file again"
                )
            image = reading.get(b"image-" + number)
            if image is None:
                raise NetchuError(f"{path}: label-{number.decode()} has no image; make the file again")
            try:
                writer = bytes(reading.get(b"writer-" + number) or b"").decode()
                yield Record(number.decode(), bytes(image), bytes(text).decode(), writer)
            except UnicodeDecodeError:
                raise NetchuError(f"{path}: label-{number.decode()} is not UTF-8; make the file again") from None


def put_record(writing: "lmdb.Transaction", record: Record) -> None:
    """Put one line into a store."""
    number = record.number.encode()
    writing.put(b"image-" + number, record.image)
    writing.put(b"label-" + number, record.text.encode())
    if record.writer:
        writing.put(b"writer-" + number, record.writer.encode())


def write_lmdb(folder: Path, lines: Sequence[Line]) -> None:
    """Write lines as an LMDB folder in the benchmark's layout, all or nothing; the image files go in unchanged.

    Raises NetchuError naming an image that cannot be read, or a file of the folder that is no part of an LMDB.
    """
    refuse_store(folder)
    with atomic_folder(folder) as temporary:
        size = ROOM + 2 * sum(_size(line.path) + 16384 for line in lines)
        with open_lmdb(temporary, map_size=size, readonly=False) as store:
            for start in tqdm(range(0, len(lines), CHUNK), "writing", unit=f" x {CHUNK} lines", leave=False):
                with store.begin(write=True) as writing:
                    for number, line in enumerate(lines[start : start + CHUNK], start + 1):
                        put_record(writing, Record(f"{number:09d}", line.path.read_bytes(), line.text, line.writer_id))
            with store.begin(write=True) as writing:
                writing.put(COUNTS[0], str(len(lines)).encode())
        (temporary / "lock.mdb").unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Bytes of a file."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise NetchuError(f"{path}: image cannot be read ({error.strerror})") from error
