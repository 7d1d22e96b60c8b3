"""The packaged faces write all of Vietnamese, are free to use and small; a user's folder is checked the same way."""

import logging
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from netchu.core.errors import NetchuError
from netchu.synthesis.fonts import PACKAGED, REQUIRED, find_fonts, font_name, known_characters
from netchu.synthesis.glyphs import Glyph, GlyphBook

FACES = sorted(PACKAGED.glob("*.ttf"))
LETTERS = "aàáảãạăằắẳẵặâầấẩẫậbcdđeèéẻẽẹêềếểễệghiìíỉĩịklmnoòóỏõọôồốổỗộơờớởỡợpqrstuùúủũụưừứửữựvxyỳýỷỹỵfjwz"


def make_font(path: Path, characters: str) -> Path:
    """A font whose every character is a box."""
    names = [".notdef", *(f"u{ord(char):04X}" for char in characters)]
    pen = TTGlyphPen(None)
    for index, corner in enumerate([(50, 0), (50, 600), (400, 600), (400, 0)]):
        (pen.lineTo if index else pen.moveTo)(corner)
    pen.closePath()
    box = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(char): name for char, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, box))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (450, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2()
    builder.setupNameTable({"familyName": "Box", "styleName": "Regular"})
    builder.setupPost()
    builder.save(path)
    return path


def written_length(glyph: Glyph) -> float:
    """How far the pen goes along all paths of a glyph."""
    paths = np.split(glyph.points, np.cumsum(glyph.lengths)[:-1])
    return float(sum(np.linalg.norm(path - np.roll(path, 1, axis=0), axis=1).sum() for path in paths))


def test_charset_is_the_whole_alphabet() -> None:
    wanted = set(unicodedata.normalize("NFC", LETTERS)) | set(LETTERS.upper()) | set("0123456789',./-() ")
    assert set(REQUIRED) == wanted
    assert unicodedata.is_normalized("NFC", REQUIRED)


def test_there_are_enough_faces_in_little_space() -> None:
    assert len(FACES) >= 25
    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) < 10_000_000
    assert find_fonts() == FACES


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_face_is_complete_and_free(path: Path) -> None:
    assert set(map(ord, REQUIRED)) <= known_characters(path)
    licence = path.with_name(f"{path.stem}.OFL.txt").read_text(encoding="utf-8")
    assert licence.startswith("Copyright")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "PERMISSION & CONDITIONS" in licence


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_face_draws_every_character_and_its_tone(path: Path) -> None:
    book = GlyphBook(path)
    for char in REQUIRED.replace(" ", ""):
        glyph = book.glyph(char)
        assert len(glyph.points) >= 2 and np.isfinite(glyph.points).all(), char
        assert sum(glyph.lengths) == len(glyph.points) == len(glyph.part)
    for toned, bare in ("áa", "ạa", "ảa", "ãa", "ốô", "ộô", "ữư", "ỆÊ", "ẮĂ", "ỷy"):
        more, less = book.glyph(toned), book.glyph(bare)
        assert len(more.below) > len(less.below) or written_length(more) > written_length(less) + 0.05, toned


def test_face_with_gaps_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_font(tmp_path / "Whole.ttf", REQUIRED)
    make_font(tmp_path / "Latin.ttf", "abc")
    with caplog.at_level(logging.WARNING):
        assert find_fonts(tmp_path) == [whole]
    assert "Latin.ttf" in caplog.text and "Whole" not in caplog.text
    assert font_name(whole) == "whole"


def test_unusable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such folder"):
        find_fonts(tmp_path / "nowhere")
    with pytest.raises(NetchuError, match="no face covers Vietnamese"):
        find_fonts(tmp_path)
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    with pytest.raises(NetchuError, match=r"broken\.ttf"):
        find_fonts(tmp_path)
