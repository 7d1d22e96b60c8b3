"""Readers of data sets that hold their images inside: Hugging Face parquet and LMDB; the images become files.

They are written to `<images>/<source>-<8 hex digits of the source's path>/`, all or none.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder
from netchu.core.image_files import list_files, walk
from netchu.data.label_files import find_column, source_name
from netchu.data.lmdb_file import Record, read_records
from netchu.data.manifest import Line

SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"II*\0": ".tif", b"RIFF": ".webp"}
IMAGE_COLUMNS = ("image", "img", "picture", "jpg", "png")
TEXT_COLUMNS = ("text", "label", "transcription", "transcript", "sentence", "ground_truth")


def unpacking_folder(images: Path, source: Path) -> Path:
    """Where the images that come out of a source are kept."""
    digest = hashlib.sha256(source.resolve().as_posix().encode()).hexdigest()[:8]
    return images / f"{source_name(source)}-{digest}"


def unpack(records: Iterable[Record], folder: Path, source: str) -> list[Line]:
    """Write each record's image as a file of `folder`, all or none, and return the lines."""
    lines = []
    with atomic_folder(folder) as temporary:
        for record in tqdm(records, "unpacking", unit="line", leave=False):
            name = record.number + _suffix(record.image)
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(record.image)
            lines.append(Line(folder / name, record.text.strip(), record.writer, source=source))
        if not lines:
            raise NetchuError(f"{folder.name}: its source holds no lines")
    return lines


def _suffix(image: bytes) -> str:
    """File suffix by an image's first bytes."""
    return next((suffix for start, suffix in SIGNATURES.items() if image.startswith(start)), ".jpg")


def is_lmdb(path: Path) -> bool:
    """Whether a path is an LMDB folder or file."""
    return (path / "data.mdb").is_file() or (path.is_file() and path.suffix in (".lmdb", ".mdb"))


def read_lmdb(path: Path, *, images: Path) -> list[Line]:
    """LMDB in the layout of the deep-text-recognition benchmark: a folder with `data.mdb`, or one file."""
    if not path.exists():
        raise NetchuError(f"{path}: no such file")
    return unpack(read_records(path), unpacking_folder(images, path), source_name(path))


def parquet_files(path: Path) -> list[Path]:
    """The parquet files that a path may mean: itself, or all below the folder."""
    return [file for file in (walk(path) if path.is_dir() else list_files(path, ".parquet"))
            if file.suffix.lower() == ".parquet"]  # fmt: skip


def read_parquet(path: Path, *, images: Path, columns: Mapping[str, str]) -> list[Line]:
    """Hugging Face `datasets` parquet: a file or a folder of them, with an image column and a text column.

    `--columns image=NAME text=NAME writer=NAME` says which where their names do not. Needs pyarrow.
    """
    import pyarrow.parquet as pq

    files = parquet_files(path)
    if not files:
        raise NetchuError(f"{path}: no such file; expected a .parquet file or a folder with some")

    def records() -> Iterator[Record]:
        number = 0
        for file in files:
            try:
                table = pq.ParquetFile(file)
            except (OSError, ValueError) as error:
                raise NetchuError(f"{file}: is truncated or no parquet ({error}); copy it again") from error
            chosen = _columns(file, table.schema_arrow, columns)
            for batch in table.iter_batches(batch_size=256, columns=[name for name in chosen.values() if name]):
                for row in batch.to_pylist():
                    if row[chosen["text"]] is not None:  # nobody has written it yet
                        yield _record(f"{number:09d}", row, chosen, f"{file}: row {number}")
                    number += 1

    return unpack(records(), unpacking_folder(images, path), source_name(path))


def _columns(path: Path, schema: Any, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns of image, text and writer: as told, else by their type and usual names."""
    holders = [field.name for field in schema if "binary" in str(field.type)]
    structs = [field.name for field in schema if field.name in holders and "struct" in str(field.type)]
    images = [name for name in IMAGE_COLUMNS if name in holders] or structs or (holders if len(holders) == 1 else [])
    usual = {"image": images, "text": TEXT_COLUMNS, "writer": ("writer_id", "writer")}
    return {key: find_column(path, schema.names, key, columns, words) for key, words in usual.items()}


def _record(number: str, row: dict[str, Any], chosen: Mapping[str, str], where: str) -> Record:
    """One row as a record; an image is its bytes, or a struct of `bytes` and `path`."""
    image, text = row[chosen["image"]], row[chosen["text"]]
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes) or not data:
        raise NetchuError(f"{where}: its image has no bytes inside; save the data set with its images embedded")
    if not isinstance(text, str):
        raise NetchuError(f"{where}: {chosen['text']} is {type(text).__name__}, not a text; say --columns text=NAME")
    writer = row[chosen["writer"]] if chosen["writer"] else ""
    return Record(number, data, text, "" if writer is None else str(writer))
