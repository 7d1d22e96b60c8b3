"""Uploads: sound images come out as OpenCV reads them; 200 hostile files are refused in one sentence each."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from netchu.core.preprocess import read_image
from netchu.serve.uploads import RefusalError, UploadLimits, content_id, decode_upload

LIMITS = UploadLimits(file_bytes=2_000_000)
LINE = np.random.default_rng(0).integers(0, 255, (40, 160), dtype=np.uint8)
PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")


def encode(form: str, image: np.ndarray = LINE) -> bytes:
    """An image in one of the formats."""
    stream = io.BytesIO()
    PillowImage.fromarray(image).save(stream, form)
    return stream.getvalue()


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
        for kind, tail in (
            ("ZIP", archive()),
            ("script", b"<script>alert(1)</script>"),
            ("PHP", b"<?php system($_GET['c']); ?>"),
            ("PDF", b"%PDF-1.7\n1 0 obj"),
            ("ELF", b"\x7fELF" + bytes(100)),
            ("HTML", b"<HTML><body>"),
        ):
            yield f"{form} with {kind} behind", data + tail
        for seed in range(14):  # the head overwritten by noise, signature and all
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
        ("TIFF", encode("TIFF")),
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
        (
            "script in a PNG's text",
            encode("PNG")[:-12] + chunk(b"tEXt", b"k\0<script>1</script>") + chunk(b"IEND", b""),
        ),
        ("PNG of no size", png_of_size(0, 0)),
        ("PNG with wrong checksum", encode("PNG").replace(b"IDAT", b"IDAT\xff", 1)),
    ):
        yield name, data
    for side in (12_001, 30_000, 65_535, 100_000, 2**24, 2**31 - 1):
        for width, height in ((side, 40), (40, side), (side, side)):
            yield f"PNG bomb {width} x {height}", png_of_size(width, height)
    for seed in range(40):
        yield f"noise {seed}", rng.bytes(int(rng.integers(1, 5000)))


FILES = list(hostile())


def test_there_are_200() -> None:
    assert len(FILES) >= 200
    assert len({data for _, data in FILES}) >= 200


def test_every_hostile_file_is_refused_in_one_sentence() -> None:
    for name, data in FILES:
        with pytest.raises(RefusalError) as caught:
            decode_upload(data, LIMITS, "line.png")
        assert 400 <= caught.value.status < 500, name
        assert caught.value.message.startswith("line.png: "), name
        assert "\n" not in caught.value.message, name
        assert len(caught.value.message) < 160, name
        assert caught.value.status == 413 or not name.startswith("PNG bomb"), "refused by its header alone"


@pytest.mark.parametrize("form", PILLOW_FORMATS)
def test_a_sound_image_comes_out_as_the_scripts_read_it(form: str, tmp_path: Path) -> None:
    path = tmp_path / "line"
    path.write_bytes(encode(form))
    assert np.array_equal(decode_upload(path.read_bytes(), LIMITS), read_image(path))


def test_flips_of_single_bits_are_read_or_refused_but_never_crash() -> None:
    rng = np.random.default_rng(2)
    for form in PILLOW_FORMATS:
        for _ in range(40):
            data = bytearray(encode(form))
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            try:
                image = decode_upload(bytes(data), LIMITS)
            except RefusalError:
                continue
            assert image.ndim == 2


def test_photographs_of_cameras_are_taken() -> None:
    """Turned by EXIF, with a second picture or notes behind the end."""
    stream = io.BytesIO()
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    PillowImage.fromarray(LINE).save(stream, "JPEG", exif=exif)
    assert decode_upload(stream.getvalue(), LIMITS).shape == (160, 40)
    plain = encode("JPEG")
    assert decode_upload(plain + plain, LIMITS).shape == LINE.shape
    assert decode_upload(plain + b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFH", LIMITS).shape == LINE.shape
    clip = np.random.default_rng(3).bytes(3_000_000)  # a motion photograph; it holds the marks of archives by chance
    limits = UploadLimits()
    assert decode_upload(plain + clip + archive(), limits).shape == LINE.shape
    several = io.BytesIO()
    small = PillowImage.fromarray(LINE[::2, ::2])
    PillowImage.fromarray(LINE).save(several, "MPO", save_all=True, append_images=[small])
    assert decode_upload(several.getvalue(), LIMITS).shape == LINE.shape
    progressive = io.BytesIO()
    PillowImage.fromarray(LINE).save(progressive, "JPEG", progressive=True)
    assert decode_upload(progressive.getvalue(), LIMITS).shape == LINE.shape


def test_content_is_what_counts_not_the_file() -> None:
    assert content_id(decode_upload(encode("PNG"), LIMITS)) == content_id(decode_upload(encode("BMP"), LIMITS))
    assert content_id(LINE) != content_id(LINE.reshape(80, 80))
    assert content_id(cv2.flip(LINE, 1)) != content_id(LINE)
