"""Corrected lines on disk: `ab/abcd....png` with `ab/abcd....json` beside it, named by the image's content.

The JSON is written last and holds everything, so a pair is complete or does not count, and the database can be made
again from the folder. Every fifth new line is held out from training for good.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.preprocess import Image
from netchu.serve.store import Sample, Store
from netchu.serve.uploads import RefusalError, content_id, encode_png
from netchu.training.run_folder import write_json

HOLD_OUT_EVERY = 5
MAX_CHARACTERS = 300
FIELDS = ("id", "number", "text", "read_text", "version", "held_out", "created")


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a correction: `is_new` is False when the same image had been corrected before."""

    sample: Sample
    is_new: bool


class Corrections:
    """The samples folder and its table."""

    def __init__(self, folder: Path, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.store, self.clock = folder, store, clock
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, image: Image, text: str, *, read_text: str | None = None, version: int | None = None) -> Saved:
        """Keep a corrected line; on return it is on the disk. The same image again replaces the text.

        Raises RefusalError for a text that is no line, NetchuError when the disk is full.
        """
        text = check_text(text)
        key = content_id(image)
        with self._lock:
            known = self.store.sample(key)
            if known is not None and known.text == text:
                return Saved(known, False)
            number = known.number if known else self.store.last_number() + 1
            sample = Sample(
                id=key,
                number=number,
                text=text,
                read_text=normalise(read_text) if read_text is not None else None,
                version=version,
                held_out=number % HOLD_OUT_EVERY == 0,
                created=self.clock(),
            )
            self._write(sample, image)
            self.store.save(sample)
        return Saved(sample, known is None)

    def _write(self, sample: Sample, image: Image) -> None:
        picture = self.folder / sample.id[:2] / f"{sample.id}.png"
        if not picture.is_file():
            with atomic_path(picture) as temporary:
                temporary.write_bytes(encode_png(image))
        write_json(picture.with_suffix(".json"), sample.to_dict())
        for folder in (picture.parent, self.folder):
            sync_folder(folder)

    def recover(self) -> int:
        """Samples whose JSON is there but whose row is not get their row; leftovers of broken writes are deleted.

        Returns how many rows were made.
        """
        samples = self.store.samples()
        known, taken = {sample.id for sample in samples}, {sample.number for sample in samples}
        made = 0
        for path in sorted(self.folder.glob("*/*")):
            if path.name.startswith(".") or (path.suffix == ".png" and not path.with_suffix(".json").is_file()):
                path.unlink()
            elif path.suffix == ".json" and path.stem not in known:
                facts = read_sidecar(path)
                if facts["number"] in taken:
                    facts["number"] = max(taken) + 1
                taken.add(facts["number"])
                self.store.insert(Sample(**facts))
                made += 1
        return made


def check_text(text: str) -> str:
    """NFC text of one line; raises RefusalError for an empty, over-long or unprintable one."""
    text = normalise(text).strip()
    if not text:
        raise RefusalError(422, "text: is empty; type what stands on the line")
    if len(text) > MAX_CHARACTERS:
        raise RefusalError(422, f"text: {len(text)} characters; a line has at most {MAX_CHARACTERS}")
    if not text.isprintable():
        raise RefusalError(422, "text: holds control characters or line breaks; type one line of text")
    return text


def read_sidecar(path: Path) -> dict[str, Any]:
    """Facts of a sample's JSON; raises NetchuError when it is damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {field: facts[field] for field in FIELDS}
    except (OSError, ValueError, KeyError, TypeError) as error:
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
