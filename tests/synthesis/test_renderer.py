"""The renderer: sizes, repeatability, every effect alone, and what it refuses."""

import unicodedata

import cv2
import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.synthesis.effects import CLEAN_EFFECTS, EFFECTS, NAMES, check_effects
from netchu.synthesis.fonts import PACKAGED
from netchu.synthesis.glyphs import thin
from netchu.synthesis.renderer import Renderer
from netchu.synthesis.writers import make_writer, name_writers

FONTS = [PACKAGED / "PatrickHand.ttf", PACKAGED / "DancingScript.ttf"]
TEXT = "Số 246E/2, Khu phố 1B, Tx Thuận An"


@pytest.mark.parametrize("height", [32, 64, 96])
@pytest.mark.parametrize("text", [TEXT, "Ế", "", "Hoà   Thuỷ"])
def test_line_has_the_height_asked_for(height: int, text: str) -> None:
    image = Renderer(FONTS, height).render(text, np.random.default_rng(1))
    assert image.dtype == np.uint8 and image.ndim == 2 and image.shape[0] == height
    assert image.shape[1] >= height // 2


def test_same_numbers_same_line() -> None:
    first, again = (Renderer(FONTS).render(TEXT, np.random.default_rng(5)) for _ in range(2))
    other = Renderer(FONTS).render(TEXT, np.random.default_rng(6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first.shape, other.shape) or not np.array_equal(first, other)


def test_what_was_drawn_before_does_not_matter() -> None:
    fresh, used = Renderer(FONTS), Renderer(FONTS)
    for seed in range(3):
        used.render("Đắk Lắk 07", np.random.default_rng(seed))
    assert np.array_equal(fresh.render(TEXT, np.random.default_rng(9)), used.render(TEXT, np.random.default_rng(9)))


def test_decomposed_text_is_the_same_text() -> None:
    renderer = Renderer(FONTS)
    lines = [renderer.render(unicodedata.normalize(form, TEXT), np.random.default_rng(2)) for form in ("NFC", "NFD")]
    assert np.array_equal(lines[0], lines[1])


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_effect_alone_changes_the_line(name: str) -> None:
    writer = next(w for w in name_writers(["patrickhand"], 50) if make_writer(w).joining > 0.5)
    bare = Renderer(FONTS[:1], 48, {}).render(TEXT, np.random.default_rng(3), writer)
    image = Renderer(FONTS[:1], 48, {name: 1.0}).render(TEXT, np.random.default_rng(3), writer)
    assert image.shape[0] == 48
    assert image.shape != bare.shape or not np.array_equal(image, bare)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_effect_bears_an_empty_line(name: str) -> None:
    assert Renderer(FONTS[:1], 32, {name: 1.0}).render("", np.random.default_rng(3)).shape[0] == 32


@pytest.mark.parametrize("effects", [EFFECTS, CLEAN_EFFECTS], ids=["full", "clean"])
def test_tables_name_real_effects(effects: dict[str, float]) -> None:
    assert set(effects) <= NAMES
    assert set(check_effects(effects)) == NAMES


def test_clean_lines_show_their_ink() -> None:
    renderer = Renderer(FONTS, 64, CLEAN_EFFECTS)
    for seed in range(12):
        image = renderer.render(TEXT, np.random.default_rng(seed))
        assert int(np.percentile(image, 60)) - int(image.min()) > 40


def test_a_writer_keeps_one_hand() -> None:
    one, same, other = make_writer("patrickhand-0042"), make_writer("patrickhand-0042"), make_writer("patrickhand-0043")
    assert one.slant == same.slant and np.array_equal(one.habits, same.habits)
    assert one.slant != other.slant and one.face == other.face == "patrickhand"


def test_writers_use_every_face() -> None:
    names = name_writers(["patrickhand", "whisper", "mali"], 10)
    assert len(set(names)) == 10 and {name.split("-")[0] for name in names} == {"patrickhand", "whisper", "mali"}


def test_mistakes_are_named() -> None:
    with pytest.raises(NetchuError, match="did you mean 'defocus'"):
        Renderer(FONTS, 64, {"defocuss": 0.5})
    with pytest.raises(NetchuError, match="between 0 and 1"):
        Renderer(FONTS, 64, {"defocus": 1.5})
    with pytest.raises(NetchuError, match="no fonts"):
        Renderer([])
    with pytest.raises(NetchuError, match="height 8"):
        Renderer(FONTS, 8)
    with pytest.raises(NetchuError, match="no face 'mali'"):
        Renderer(FONTS).render("a", np.random.default_rng(0), "mali-0001")
    with pytest.raises(NetchuError, match="not a name such as"):
        Renderer(FONTS).render("a", np.random.default_rng(0), "patrickhand")
    with pytest.raises(NetchuError, match="cannot write '漢'"):
        Renderer(FONTS).render("漢", np.random.default_rng(0))
    with pytest.raises(NetchuError, match="cannot be read as a font"):
        Renderer([PACKAGED / "PatrickHand.OFL.txt"])


def test_thinning_leaves_connected_lines_one_pixel_wide() -> None:
    mask = np.zeros((60, 60), np.uint8)
    cv2.line(mask, (10, 50), (50, 8), 1, 2)
    cv2.circle(mask, (30, 30), 18, 1, 7)
    skeleton = thin(mask)
    assert not (skeleton & ~mask).any()
    assert cv2.connectedComponents(skeleton)[0] == cv2.connectedComponents(mask)[0]
    assert not (cv2.erode(skeleton, np.ones((2, 2), np.uint8))).any()


def test_readme_lists_every_effect_with_its_probability() -> None:
    readme = (PACKAGED.parent / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in readme.splitlines() if line.startswith("| `")]
    shown = {row[1].strip("`"): (float(row[3]), float(row[4])) for row in rows if row[1].strip("`") in NAMES}
    assert shown == {name: (EFFECTS[name], CLEAN_EFFECTS.get(name, 0.0)) for name in NAMES}, "and every one has some"
