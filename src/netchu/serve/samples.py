"""Kept lines on disk: `ab/abcd....png` with `ab/abcd....json` beside it, named by the image's content.

The JSON is written last and holds everything, so a pair is complete or does not count, and the database can be made
again from the folder. Every fifth new line is held out from training for good. What is deleted lies in a folder of its
own for a day, so that it can come back. Only whether it was held out is known for longer, by its id: the same image may
come anew, and what was trained on must not judge, nor the other way round.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path, write_json, write_text
from netchu.core.images import Image
from netchu.serve.confidence import DetailedReading
from netchu.serve.store import MAX_CHARACTERS, Sample, Store, Version
from netchu.serve.uploads import RefusalError, content_id, encode_png

HOLD_OUT_EVERY = 5
MAX_NAME = 80  # characters of a batch's or a file's name
UNDO_SECONDS = 24 * 3600.0
PURGE_SECONDS = 300.0  # between two looks for what was deleted longer ago
OLDEST_FIELDS = ("id", "number", "text", "read_text", "version", "held_out", "created")  # in every sidecar
LATER_FIELDS = {"checked": True, "confidence": None, "accept": None, "batch": "", "name": "", "page": None}
SPACES = dict.fromkeys(map(ord, "\u00a0\u202f\u2007"), " ")  # that browsers and word processors put in
LOCK = "samples"
HELD_OUT, TRAINED = "held out", "trained"  # what is known of a deleted line


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a line comes from: its batch, the file's name, its place on a page (number, size, corners)."""

    batch: str = ""
    name: str = ""
    page: dict[str, Any] | None = None


class Samples:
    """The samples folder and its table."""

    def __init__(self, folder: Path, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.store, self.clock = folder, store, clock
        self.deleted, self.sides = folder.with_name("deleted"), folder.with_name("sides")
        self._next_purge = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def correct(
        self,
        image: Image,
        text: str,
        *,
        read_text: str | None = None,
        version: int | None = None,
        origin: Origin | None = None,
    ) -> tuple[Sample, bool]:
        """Keep a line whose text a person has confirmed; on return it is on the disk. The same image again replaces
        the text, and keeps what is known of the reading where nothing new is said of it; one that was deleted less than
        a day ago stands where it stood on its page. Returns the sample, and whether the image is new.

        Raises RefusalError for a text that is no line or an unknown version, NetchuError when the disk is full.
        """
        text = check_text(text)
        read_text = check_text(read_text, "read_text", empty=True) if read_text is not None else None
        if version is not None and self.store.get(Version, version) is None:
            raise RefusalError(422, f"version: there is no version {version}")
        origin, key = origin or Origin(), content_id(image)
        with self.store.exclusive(LOCK):
            known = self.store.get(Sample, key)
            if known is not None and known.checked and known.text == text:
                return known, False
            before = self._deleted_facts(key)
            if (before.get("batch"), before.get("name")) == (origin.batch, origin.name):
                origin = replace(origin, page=before["page"])
            sample = known or self._new(image, origin)
            if known is None or read_text is not None:
                sample.read_text, sample.version = read_text, version
            sample.text, sample.checked = text, True
            self._write(sample, image)
        return sample, known is None

    def keep(self, image: Image, reading: DetailedReading, version: int, origin: Origin) -> Sample:
        """Keep a line as it was read, for a person to check later. A line that is known stays as it is."""
        with self.store.exclusive(LOCK):
            known = self.store.get(Sample, content_id(image))
            if known is not None:
                return known
            sample = self._new(image, origin)
            sample.text = sample.read_text = reading.text
            sample.version, sample.checked = version, False
            sample.confidence, sample.accept = round(reading.confidence, 6), reading.accept
            self._write(sample, image)
        return sample

    def retype(self, key: str, text: str) -> Sample:
        """Another text for a kept line, which counts as checked then; raises RefusalError (404, 422)."""
        text = check_text(text)
        with self.store.exclusive(LOCK):
            sample = self.get(key)
            sample.text, sample.checked = text, True
            self._write(sample, None)
        return sample

    def get(self, key: str) -> Sample:
        """The sample of that id; raises RefusalError (404)."""
        sample = self.store.get(Sample, key)
        if sample is None:
            raise RefusalError(404, "there is no such sample", "no_sample")
        return sample

    def picture(self, key: str) -> Path:
        """The image file of a sample."""
        return self.folder / key[:2] / f"{key}.png"

    def delete(self, key: str) -> None:
        """Delete a sample with its file; raises RefusalError (404). `restore` brings it back for a day."""
        with self.store.exclusive(LOCK):
            sample = self.get(key)
            self._purge()
            write_text(self.sides / key, HELD_OUT if sample.held_out else TRAINED)
            sync_folder(self.sides)
            self.store.remove_sample(key)
            self.deleted.mkdir(exist_ok=True)
            for suffix in (".json", ".png"):
                file = self.picture(key).with_suffix(suffix)
                if file.is_file():
                    os.utime(file)
                    file.replace(self.deleted / file.name)
            for folder in (self.picture(key).parent, self.deleted):
                sync_folder(folder)

    def restore(self, key: str) -> Sample:
        """Undo a deletion; raises RefusalError (404) when it is too long ago."""
        with self.store.exclusive(LOCK):
            self._purge()
            if (again := self.store.get(Sample, key)) is not None:  # the same picture came anew
                return again
            if not (facts := self._deleted_facts(key)):
                raise RefusalError(404, "there is no such deleted sample")
            sample = Sample(**facts | {"number": self.store.last_number() + 1})
            picture = self.picture(key)
            picture.parent.mkdir(exist_ok=True)
            if not picture.is_file():  # of an attempt that could not write the rest
                (self.deleted / picture.name).replace(picture)
            self._write(sample, None)
            (self.deleted / f"{key}.json").unlink()
        return sample

    def recover(self) -> int:
        """Rows become what the JSON says, which is written first; what was written or moved by half is put in order.

        Returns how many rows were made or mended. Raises NetchuError for a damaged JSON.
        """
        with self.store.exclusive(LOCK):
            self._purge()
            known = {sample.id: sample for sample in self.store.samples()}
            taken = {sample.number for sample in known.values()}
            paths = sorted(self.folder.glob("*/*"))
            whole = {path.stem for path in paths if path.suffix == ".json"}
            mended = 0
            for path in paths:
                if path.suffix == ".png" and (self.deleted / f"{path.stem}.json").is_file() and path.stem not in whole:
                    path.replace(self.deleted / path.name)  # of a deletion or of its undoing
                elif path.name.startswith(".") or (path.suffix == ".png" and path.stem not in whole):
                    path.unlink()
                elif path.suffix == ".json":
                    facts, row = read_sidecar(path), known.get(path.stem)
                    if row is not None:
                        facts["number"] = row.number
                    elif facts["number"] in taken:
                        facts["number"] = max(taken) + 1
                    if row is None or facts != row.facts():
                        taken.add(facts["number"])
                        self.store.save_sample(Sample(**facts))
                        mended += 1
        return mended

    def _new(self, image: Image, origin: Origin) -> Sample:
        key, number = content_id(image), self.store.last_number() + 1
        side = self.sides / key
        return Sample(
            id=key,
            number=number,
            held_out=side.read_text() == HELD_OUT if side.is_file() else number % HOLD_OUT_EVERY == 0,
            created=self.clock(),
            batch=origin.batch,
            name=origin.name,
            page=origin.page,
        )

    def _write(self, sample: Sample, image: Image | None) -> None:
        """Write the files and the row; `image` None: the file is there."""
        self._purge()
        picture = self.picture(sample.id)
        if image is not None and not picture.is_file():
            with atomic_path(picture) as temporary:
                temporary.write_bytes(encode_png(image))
        write_json(picture.with_suffix(".json"), sample.facts())
        for folder in (picture.parent, self.folder):
            sync_folder(folder)
        self.store.save_sample(sample)

    def _purge(self) -> None:
        """Forget for good what was deleted more than a day ago; looks for it once in `PURGE_SECONDS`."""
        if self.clock() < self._next_purge:
            return
        self._next_purge = self.clock() + PURGE_SECONDS
        for path in self.deleted.glob("*"):
            if self._is_old(path):
                path.unlink(missing_ok=True)

    def _deleted_facts(self, key: str) -> dict[str, Any]:
        """Facts of a sample that was deleted less than a day ago; empty where there is none."""
        sidecar = self.deleted / f"{key}.json"
        return read_sidecar(sidecar) if sidecar.is_file() and not self._is_old(sidecar) else {}

    def _is_old(self, deleted: Path) -> bool:
        """Whether a deletion was too long ago to be undone."""
        return deleted.stat().st_mtime < self.clock() - UNDO_SECONDS


def check_text(text: str, field: str = "text", *, empty: bool = False) -> str:
    """NFC text of one line, no-break spaces as spaces; raises RefusalError for an empty (unless `empty`), over-long or
    unprintable one."""
    text = normalise(text).translate(SPACES).strip()
    if not text and not empty:
        raise RefusalError(422, f"{field}: is empty; type what stands on the line", "text_empty")
    if len(text) > MAX_CHARACTERS:
        said = f"{field}: {len(text)} characters; a line has at most {MAX_CHARACTERS}"
        raise RefusalError(422, said, "text_long")
    if not text.isprintable():
        said = f"{field}: holds control characters or line breaks; type one line of text"
        raise RefusalError(422, said, "text_control")
    return text


def check_name(name: str, field: str) -> str:
    """NFC name of a batch or a file; raises RefusalError for one that is too long or not printable."""
    name = normalise(name).translate(SPACES).strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise RefusalError(422, f"{field}: expected up to {MAX_NAME} characters in one line", "name_bad")
    return name


def read_sidecar(path: Path) -> dict[str, Any]:
    """Facts of a sample's JSON; raises NetchuError when it is damaged, FileNotFoundError when there is none."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        oldest = {field: facts[field] for field in OLDEST_FIELDS}
        return oldest | {field: facts.get(field, default) for field, default in LATER_FIELDS.items()}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetchuError(f"{path}: is no sample of this service ({error}); move it out of the folder") from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
