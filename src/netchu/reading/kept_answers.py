"""Answers that are kept while a folder is read, so that an interrupted run goes on where it was.

One JSON line names what is read and with what; one line an answer follows. The file lies beside the output and goes
when the output is whole.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from netchu.core.errors import NetchuError
from netchu.core.files import hash_file, writing
from netchu.ctc.decoders import Reading

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read in one image; `problem` says why an image could not be read (the text is then empty)."""

    id: str
    reading: Reading
    seconds: float
    problem: str = ""

    @property
    def text(self) -> str:
        """The text alone."""
        return self.reading.text

    @property
    def confidence(self) -> float:
        """How sure the reading is, 0 to 1."""
        return self.reading.confidence


class KeptAnswers:
    """The file of kept answers, open for more of them; `answers` are those that an earlier run left, without images
    that could not be read: perhaps they can be by now, as with a decoder that was installed meanwhile."""

    def __init__(self, path: Path, about: dict[str, Any], *, resume: bool, restart: bool) -> None:
        """`about`: what is read and with what, JSON-ready, see `fingerprint`.

        Raises NetchuError when answers are there and neither `resume` nor `restart` is set, or when those of `resume`
        are of other images or models, and when the file cannot be written.
        """
        self.path, self.answers, written = path, list[Answer](), 0
        about = {"format": FORMAT, **about}
        if path.is_file() and not restart:
            if not resume:
                raise NetchuError(
                    f"{path}: an earlier run left answers; go on with --resume, or discard with --restart"
                )
            answers, written = _read(path, about)
            self.answers = [answer for answer in answers if not answer.problem]
        self.count = len(self.answers)
        with writing(path, "choose another folder"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: IO[str] = path.open("r+" if written else "w", encoding="utf-8")
            self._stream.truncate(written)  # a row that was cut off
            self._stream.seek(written)
            if not written:
                self._write([about])

    def take(self) -> list[Answer]:
        """The answers that an earlier run left, which are no longer held here then."""
        taken, self.answers = self.answers, []
        return taken

    def add(self, answers: Iterable[Answer]) -> None:
        """Keep answers; they are on the disk when this returns. Raises NetchuError when they cannot be written."""
        rows = [asdict(answer) for answer in answers]
        with writing(self.path, "free some space"):
            self._write(rows)
        self.count += len(rows)

    def close(self, *, whole: bool) -> None:
        """Close the file. It goes when the output is `whole`, and when it keeps nothing."""
        self._stream.close()
        if whole or not self.count:
            self.path.unlink(missing_ok=True)

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        self._stream.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self._stream.flush()


def fingerprint(files: Sequence[Path], settings: dict[str, Any], images: Sequence[Path]) -> dict[str, Any]:
    """Names by content what answers depend on: model files, settings, and images by path, size and time of change."""
    listed = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in images]
    return {
        "models": [hash_file(path) for path in files],
        "settings": settings,
        "images": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
    }


def _read(path: Path, about: dict[str, Any]) -> tuple[list[Answer], int]:
    """(answers, bytes of whole rows) of a file of kept answers."""
    answers, at = [], 0
    try:
        rows = path.read_bytes().splitlines(keepends=True)
        for number, row in enumerate(rows):
            if not row.endswith(b"\n"):
                break
            values = json.loads(row)
            if number == 0:
                other = [key for key, value in about.items() if values.get(key) != value]
                if other:
                    raise NetchuError(
                        f"{path}: is of a run with other {' and '.join(other)}; discard it with --restart, or name "
                        "another --out"
                    )
            else:
                answers.append(_answer(values))
            at += len(row)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetchuError(f"{path}: is damaged ({error}); discard it with --restart") from error
    return answers, at


def _answer(values: dict[str, Any]) -> Answer:
    reading = values.pop("reading")
    characters, alternatives = tuple(reading.pop("characters")), tuple(map(tuple, reading.pop("alternatives")))
    return Answer(reading=Reading(**reading, characters=characters, alternatives=alternatives), **values)
