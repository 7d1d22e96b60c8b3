"""Images in all formats, and some 200 files that no service should read."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pillow_heif
from PIL import Image as PillowImage

LINE = np.random.default_rng(0).integers(0, 255, (40, 160), dtype=np.uint8)


PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "AVIF", "HEIF")
pillow_heif.register_heif_opener()


def encode(form: str, image: np.ndarray = LINE) -> bytes:
    """An image in one of the formats."""
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, form)
    return stream.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The grey image of a file's bytes."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return np.asarray(image, np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size; its pixels are a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * min((width + 1) * height, 1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def archive() -> bytes:
    """A small ZIP."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.py", "print()")
    return stream.getvalue()


def hostile() -> Iterator[tuple[str, bytes]]:
    """Some 200 named files that no service should read."""
    rng = np.random.default_rng(1)
    sound = {form: encode(form) for form in PILLOW_FORMATS}
    for form, data in sound.items():
        for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95):
            yield f"{form} cut at {share}", data[: int(len(data) * share)]
        yield f"{form} signature only", data[:8]
        yield f"{form} then zeros", data[:40] + bytes(3000)
        for seed in range(20):  # the head overwritten by noise, signature and all
            broken = bytearray(data)
            broken[0 : 200 + seed] = rng.bytes(200 + seed)
            yield f"{form} with noise for a head {seed}", bytes(broken)
    for name, data in (
        ("zero bytes", b""),
        ("one byte", b"\0"),
        ("text", "Số 12 Huế".encode()),
        ("HTML", b"<!doctype html><html></html>"),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        ("SVG bomb", b"<svg>" + b"<g>" * 100_000),
        ("PDF", b"%PDF-1.7\n"),
        ("ZIP", archive()),
        ("pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00cposix\nsystem\n"),
        ("GIF", encode("GIF")),
        ("GIF with script", b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)"),
        ("TIFF cut", encode("TIFF")[:3000]),
        ("PDF without pages", b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF"),
        ("ICO", encode("ICO")),
        ("PPM", encode("PPM")),
        ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("numpy", b"\x93NUMPY\x01\x00"),
        ("huge file", encode("BMP", np.zeros((1500, 1500), np.uint8))),
        ("65,000 px wide", encode("PNG", np.zeros((40, 65_000), np.uint8))),
        ("65,000 px wide JPEG", encode("JPEG", np.zeros((40, 65_000), np.uint8))),
        ("65,000 px wide BMP", encode("BMP", np.zeros((4, 65_000), np.uint8))),
        ("15,000 px wide WebP", encode("WEBP", np.zeros((40, 15_000), np.uint8))),
        ("65,000 px high", encode("PNG", np.zeros((65_000, 40), np.uint8))),
        ("1 px", encode("PNG", np.zeros((1, 1), np.uint8))),
        ("1 px high", encode("PNG", np.zeros((1, 900), np.uint8))),
        ("PNG of no size", png_of_size(0, 0)),
        ("PNG with wrong checksum", encode("PNG").replace(b"IDAT", b"IDAT\xff", 1)),
    ):
        yield name, data
    for side in (12_001, 30_000, 65_535, 100_000, 2**24, 2**31 - 1):
        for width, height in ((side, 40), (40, side), (side, side)):
            yield f"PNG bomb {width} x {height}", png_of_size(width, height)
    for seed in range(40):
        yield f"noise {seed}", rng.bytes(int(rng.integers(1, 5000)))


def carriers() -> Iterator[tuple[str, bytes, bytes]]:
    """Sound images with something else behind or inside: name, file, and what must not be kept."""
    marks = (
        b"<script>alert(1)</script>",
        b"<?php system($_GET['c']); ?>",
        b"%PDF-1.7\n1 0 obj",
        b"\x7fELF" + bytes(100),
        b"<HTML><body>",
        b"<SvG",
        archive(),
    )
    for form in (*PILLOW_FORMATS, "TIFF"):
        for mark in marks:
            yield f"{form} with {mark[:5]!r} behind", encode(form) + mark, mark
    text = chunk(b"tEXt", b"k\0<svg onload=alert(1)>")
    yield "script in a PNG's text", encode("PNG")[:-12] + text + chunk(b"IEND", b""), b"<svg onload"


FILES = list(hostile())
