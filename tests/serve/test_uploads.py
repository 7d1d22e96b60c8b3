"""Uploads: sound images come out as OpenCV reads them; 200 hostile files are refused in one sentence each."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from netchu.core.images import read_image
from netchu.serve.uploads import RefusalError, UploadLimits, content_id, decode_upload, encode_png
from tests.support.tiny import ROOT
from tests.support.uploads import FILES, LINE, PILLOW_FORMATS, archive, carriers, encode

LIMITS = UploadLimits(file_bytes=2_000_000)


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


def test_what_an_image_carries_is_not_kept() -> None:
    for name, data, mark in carriers():
        image = decode_upload(data, LIMITS, name)
        assert image.shape == LINE.shape and mark not in encode_png(image), name
    photograph = encode("JPEG").replace(b"\xff\xda", b"\xff\xfe\0\6<SvG\xff\xda", 1)  # as one in 110 has it by chance
    assert decode_upload(photograph, LIMITS).shape == LINE.shape


def test_a_photograph_of_48_megapixels_is_taken() -> None:
    photograph = encode("JPEG", np.full((6048, 8064), 200, np.uint8))
    assert decode_upload(photograph, UploadLimits()).shape == (6048, 8064)
    with pytest.raises(RefusalError, match="at most 12,000 a side and 40,000,000 in all"):
        decode_upload(photograph, UploadLimits(pixels=40_000_000))


def test_page_and_proxy_have_the_limits_of_the_service() -> None:
    limits = UploadLimits()
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    assert f"| {limits.file_bytes // 10**6} MB, {limits.request_bytes // 10**6} MB |" in page
    assert f"| {limits.pixels // 10**6} million, {limits.side:,} |" in page
    proxy = re.findall(r"client_max_body_size (\d+)m;", (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8"))
    assert [int(megabytes) * 2**20 >= limits.request_bytes for megabytes in proxy] == [True]


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
    assert content_id(LINE[:, ::-1].copy()) != content_id(LINE)
