"""Bytes from strangers -> grey images: limits first, the format by content, every refusal one clear sentence.

Nothing of an upload is kept as it came: what is stored later is the decoded image, encoded anew.
"""

import hashlib
import io
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from netchu.core.images import Image, decode
from netchu.serve.pdf_pages import TOO_MANY

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF")
PAGED = ("TIFF",)  # formats whose frames are pages
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # kinds of HEIF file
PDF_SECONDS = 30.0  # for drawing all pages
MIN_SIDE = 4  # pixels


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one request may bring."""

    file_bytes: int = 25_000_000  # a photograph of 50 megapixels has up to 20 MB
    request_bytes: int = 60_000_000
    files: int = 64
    side: int = 12_000  # pixels
    pixels: int = 64_000_000
    pages: int = 20  # of a PDF or TIFF


class RefusalError(Exception):
    """A request that cannot be served as it is: an HTTP status of 400 to 499, one sentence that says why, and a word
    by which the page finds that sentence in its own language."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True, slots=True)
class Upload:
    """The grey pages (h, w) of an uploaded file. `shown`: whether browsers can show the file itself; `is_document`:
    whether it is of pages by its kind."""

    pages: list[Image]
    shown: bool = True
    is_document: bool = False


def decode_upload(data: bytes, limits: UploadLimits, name: str = "image") -> Image:
    """Grey image (h, w) of an uploaded file; raises RefusalError for anything but one sound image within the limits."""
    upload = decode_pages(data, limits, name)
    if len(upload.pages) != 1:
        raise RefusalError(422, f"{name}: holds {len(upload.pages)} pages; send one line", "many_pages")
    return upload.pages[0]


def decode_pages(data: bytes, limits: UploadLimits, name: str = "image") -> Upload:
    """The pages of an uploaded image, multi-page TIFF or PDF; raises RefusalError for anything that is not sound and
    within the limits.

    The header is read before any pixel, so that a small file cannot unfold into gigabytes.
    """
    if not data:
        raise RefusalError(400, f"{name}: the file is empty (0 bytes)", "empty")
    if len(data) > limits.file_bytes:
        raise RefusalError(413, f"{name}: {len(data):,} bytes; at most {limits.file_bytes:,} are taken", "file_large")
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return Upload(decode_pdf(data, limits, name), shown=False, is_document=True)
    formats = list(FORMATS)
    if data[4:8] == b"ftyp" and data[8:12] in HEIC:
        add_heic(name)
        formats = ["HEIF"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)  # our own limit comes right below
            header = PillowImage.open(io.BytesIO(data), formats=formats)
        with header:
            kind, count = str(header.format), getattr(header, "n_frames", 1)
            if kind not in PAGED:
                count = 1
            if count > limits.pages:
                raise RefusalError(413, f"{name}: {count} pages; at most {limits.pages} are taken", "pages_many")
            pixels = 0
            for page in range(count):
                if page:
                    header.seek(page)
                width, height = header.size
                pixels += width * height
                if max(width, height) > limits.side or pixels > limits.pixels:
                    said = f"{name}: {width:,} x {height:,} pixels; at most {limits.side:,} a side and "
                    raise RefusalError(413, f"{said}{limits.pixels:,} in all are taken", "pixels_many")
                if min(width, height) < MIN_SIDE:
                    said = f"{name}: {width} x {height} pixels are too few for a line of writing"
                    raise RefusalError(422, said, "pixels_few")
            header.seek(0)
            header.load()  # Pillow tells a truncated file, which OpenCV would fill up with grey
        pages = decode(data, name, page=True)
        if kind not in PAGED:
            pages = pages[:1]
        if len(pages) != count or sorted(pages[0].shape) != sorted(header.size):
            raise RefusalError(422, f"{name}: the image is truncated or damaged", "damaged")
    except RefusalError:
        raise
    except UnidentifiedImageError:
        raise RefusalError(415, f"{name}: is no PNG, JPEG, WebP, BMP, TIFF, HEIC, AVIF or PDF file", "kind") from None
    except PillowImage.DecompressionBombError:
        raise RefusalError(413, f"{name}: has far too many pixels", "pixels_many") from None
    except Exception as error:  # decoders raise nearly any type on a hostile file
        raise RefusalError(422, f"{name}: the image is truncated or damaged", "damaged") from error
    return Upload(pages, shown=kind not in (*PAGED, "HEIF"), is_document=count > 1)


def add_heic(name: str) -> None:
    """Teach Pillow to open HEIC; raises RefusalError where its decoder is not installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        said = f"{name}: HEIC pictures are not taken here; install pillow-heif, or save the picture as JPEG"
        raise RefusalError(415, said, "no_heic") from None
    register_heif_opener()


def decode_pdf(data: bytes, limits: UploadLimits, name: str) -> list[Image]:
    """Grey pages of a PDF, drawn in a process of its own that has only so much time and memory."""
    if find_spec("pypdfium2") is None:
        said = f"{name}: PDF files are not taken here; install pypdfium2, or send pictures of the pages"
        raise RefusalError(415, said, "no_pdf")
    command = [sys.executable, "-m", "netchu.serve.pdf_pages", str(limits.pages), str(limits.pixels)]
    try:
        made = subprocess.run(command, input=data, capture_output=True, timeout=PDF_SECONDS)
    except subprocess.TimeoutExpired:
        raise RefusalError(422, f"{name}: its pages take too long to draw; send pictures of them", "damaged") from None
    if made.returncode == TOO_MANY:
        raise RefusalError(413, f"{name}: over {limits.pages} pages; send it in parts", "pages_many")
    if made.returncode:
        raise RefusalError(422, f"{name}: the PDF is damaged, locked or too large to draw", "damaged")
    stream, pages = io.BytesIO(made.stdout), []
    while stream.tell() < len(made.stdout):
        pages.append(np.load(stream, allow_pickle=False))
    return pages


def content_id(image: Image) -> str:
    """SHA-256 of an image's size and pixels: the same picture has the same id in any file format."""
    height, width = image.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + image.tobytes()).hexdigest()


def encode_png(image: Image) -> bytes:
    """An image as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()
