"""Bytes from strangers -> grey line images: limits first, the format by content, every refusal one clear sentence.

Nothing of an upload is kept as it came: what is stored later is the decoded image, encoded anew.
"""

import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from netchu.core.preprocess import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MIN_SIDE = 4  # pixels
FOREIGN = re.compile(rb"<script|<\?php|<html|<svg|%PDF-", re.IGNORECASE)  # other kinds of file inside an image
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # of a JPEG segment; the rest are stuffing and restarts
MOST_SEGMENTS = 10_000  # of a JPEG
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a", b"7z\xbc\xaf\x27\x1c", b"\x7fELF", b"\x1f\x8b\x08")


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one request may bring."""

    file_bytes: int = 10_000_000
    request_bytes: int = 40_000_000
    files: int = 64
    side: int = 12_000  # pixels
    pixels: int = 40_000_000


class RefusalError(Exception):
    """A request that cannot be served as it is: an HTTP status of 400 to 499 and one sentence that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def decode_upload(data: bytes, limits: UploadLimits, name: str = "image") -> Image:
    """Grey image (h, w) of an uploaded file; raises RefusalError for anything but one sound image within the limits.

    The header is read before any pixel, so that a small file cannot unfold into gigabytes.
    """
    if not data:
        raise RefusalError(400, f"{name}: the file is empty (0 bytes)")
    if len(data) > limits.file_bytes:
        raise RefusalError(413, f"{name}: {len(data):,} bytes; at most {limits.file_bytes:,} are taken")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)  # our own limit comes right below
            header = PillowImage.open(io.BytesIO(data), formats=FORMATS)
        with header:
            width, height = header.size
            if max(width, height) > limits.side or width * height > limits.pixels:
                raise RefusalError(
                    413,
                    f"{name}: {width:,} x {height:,} pixels; at most {limits.side:,} a side and "
                    f"{limits.pixels:,} in all are taken",
                )
            if min(width, height) < MIN_SIDE:
                raise RefusalError(422, f"{name}: {width} x {height} pixels are too few for a line of writing")
            refuse_foreign(data, str(header.format), name)
            header.load()
    except RefusalError:
        raise
    except UnidentifiedImageError:
        raise RefusalError(415, f"{name}: is no PNG, JPEG, WebP or BMP image") from None
    except PillowImage.DecompressionBombError:
        raise RefusalError(413, f"{name}: has far too many pixels") from None
    except Exception as error:  # decoders raise nearly any type on a hostile file
        raise RefusalError(422, f"{name}: the image is truncated or damaged") from error
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)  # as preprocess.read_image does
    except cv2.error:
        image = None
    if image is None or sorted(image.shape) != sorted((width, height)):
        raise RefusalError(422, f"{name}: the image is truncated or damaged")
    return image  # type: ignore[return-value]


def refuse_foreign(data: bytes, form: str, name: str) -> None:
    """Raise RefusalError when an image file carries another kind of file: a script, a document, an archive.

    Cameras put more pictures, a clip or notes behind a JPEG's end, so there only archives are refused, which begin
    right there; the other formats end where their image ends.
    """
    form = "JPEG" if form == "MPO" else form  # a JPEG with a second picture behind it
    end = FIND_END[form](data)
    rest = data[end:]
    if FOREIGN.search(data) or (form == "JPEG" and rest.lstrip(b"\0").startswith(ARCHIVES)):
        raise RefusalError(415, f"{name}: holds another kind of file inside the image; save it again as PNG or JPEG")
    if form != "JPEG" and rest.strip(b"\0"):
        raise RefusalError(415, f"{name}: {len(rest):,} foreign bytes follow the image; save it again as PNG or JPEG")


def png_end(data: bytes) -> int:
    """Offset behind the IEND chunk, or the length when there is none (decoding then finds it truncated)."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + int(length)
        if kind == b"IEND":
            return at
    return len(data)


def jpeg_end(data: bytes) -> int:
    """Offset behind the end-of-image marker, or the length when there is none within a sane number of segments."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        marker = MARKER.search(data, at)
        if marker is None or marker.end() + 2 > len(data):
            return marker.end() if marker and marker[0] == b"\xff\xd9" else len(data)
        if marker[0] == b"\xff\xd9":
            return marker.end()
        at = marker.end() + int(struct.unpack_from(">H", data, marker.end())[0])
    return len(data)


def riff_end(data: bytes) -> int:
    """Offset behind a WebP's RIFF chunk, its padding byte included."""
    size: int = struct.unpack_from("<I", data, 4)[0]
    return 8 + size + size % 2


def bmp_end(data: bytes) -> int:
    """End of a BMP by its own header; the length when the header leaves it open."""
    size: int = struct.unpack_from("<I", data, 2)[0]
    return size or len(data)


FIND_END = {"PNG": png_end, "JPEG": jpeg_end, "WEBP": riff_end, "BMP": bmp_end}


def content_id(image: Image) -> str:
    """SHA-256 of an image's size and pixels: the same picture has the same id in any file format."""
    height, width = image.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + image.tobytes()).hexdigest()


def encode_png(image: Image) -> bytes:
    """An image as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()
