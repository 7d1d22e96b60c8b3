"""Multipart forms of requests: bounded, in sound UTF-8, with a refusal in one sentence for anything else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from netchu.core.charset import normalise
from netchu.serve.uploads import RefusalError, UploadLimits

FIELDS = 8  # of a request
FIELD_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Form:
    """The files of a form with their names, and its texts."""

    files: list[tuple[str, UploadFile]]
    words: dict[str, str]


class StrictParser(MultiPartParser):
    """Starlette's parser takes what is no UTF-8 for Latin-1, and follows a request that names another charset, also one
    that breaks it; here texts are UTF-8 or refused."""

    def on_part_begin(self) -> None:
        """Begin a part, whose names are UTF-8 too."""
        super().on_part_begin()
        self._charset = "utf-8"

    def on_part_end(self) -> None:
        """Check a text before it is taken."""
        part = self._current_part
        if part.file is None:
            try:
                part.data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MultiPartException(f"{part.field_name}: is no sound UTF-8 ({error.reason})") from None
        super().on_part_end()


@asynccontextmanager
async def read_form(request: Request, limits: UploadLimits) -> AsyncIterator[Form]:
    """The form of a request, while it is open; raises RefusalError (400) for one that cannot be read."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RefusalError(400, "no file in the request; send the images as multipart files named images")
    parser = StrictParser(
        request.headers, request.stream(), max_files=limits.files, max_fields=FIELDS, max_part_size=FIELD_BYTES
    )
    try:
        content = await parser.parse()
    except MultiPartException as error:
        raise RefusalError(400, error.message) from None
    try:
        items = content.multi_items()
        files = [(_name(value), value) for _, value in items if isinstance(value, UploadFile)]
        yield Form(files, {key: value for key, value in items if isinstance(value, str)})
    finally:
        await content.close()


def _name(upload: UploadFile) -> str:
    """A file's name for messages and lists: NFC, printable and short."""
    return "".join(c for c in normalise(upload.filename or "image") if c.isprintable())[-60:] or "image"
