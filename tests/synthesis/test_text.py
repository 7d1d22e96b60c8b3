"""Texts of synthetic lines: addresses in two styles, measured styles, gazetteers, verses."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.language.gazetteer import read_places
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import (
    AdminUnits,
    District,
    Unit,
    open_gazetteers,
    packaged_gazetteer,
    read_gazetteer,
)
from netchu.synthesis.fonts import REQUIRED
from netchu.synthesis.text_style import CINNAMON, KALAPA, TextStyle, measure_style, read_texts
from netchu.synthesis.verses import PseudoVerse, read_poems
from tests.support.commands import fresh
from tests.support.tiny import ROOT


@pytest.fixture(scope="module")
def gazetteer() -> AdminUnits:
    """The packaged one."""
    return packaged_gazetteer()


def sample(gazetteer: AdminUnits, style: TextStyle, count: int = 1500) -> list[str]:
    """`count` addresses of one style."""
    grammar, rng = AddressGrammar(gazetteer, (style,)), np.random.default_rng(0)
    return [grammar.sample(rng) for _ in range(count)]


def test_packaged_gazetteer_knows_the_country(gazetteer: AdminUnits) -> None:
    assert len({district.province.name for district in gazetteer.districts}) == 63
    assert any(district.unit is None for district in gazetteer.districts), "no district level since 2025"
    assert Unit("Phường", "1") in {ward for district in gazetteer.districts for ward in district.wards}


@pytest.mark.parametrize("style", [KALAPA, CINNAMON], ids=["kalapa", "cinnamon"])
def test_addresses_can_be_written(gazetteer: AdminUnits, style: TextStyle) -> None:
    texts = sample(gazetteer, style)
    assert len(set(texts)) > 0.98 * len(texts)
    for text in texts:
        assert unicodedata.is_normalized("NFC", text) and set(text) <= set(REQUIRED), text
        assert style.shortest <= len(text) <= style.longest, text
        assert text == " ".join(text.split()) and not text.endswith(","), text


def test_kalapa_style(gazetteer: AdminUnits) -> None:
    texts = sample(gazetteer, KALAPA)
    joined = " ".join(texts)
    assert "0" not in joined and "," not in joined
    assert set("123456789") <= set(joined)
    assert all(word[0].isupper() or not word[0].isalpha() for word in joined.split())
    assert "Hoà" in joined and "Hòa" not in joined
    assert {"Tp", "Q", "P", "Tt", "Thị", "Phường"} <= {word.rstrip("0123456789") for word in joined.split()}
    assert 30 <= np.mean([len(text) for text in texts]) <= 44


def test_cinnamon_style(gazetteer: AdminUnits) -> None:
    texts = sample(gazetteer, CINNAMON)
    joined = " ".join(texts)
    assert set("0123456789") <= set(joined)
    assert all("," in text for text in texts)
    assert "Hoà" in joined and "Hòa" in joined
    assert "xã" in joined and "Xã" in joined and "/" in joined


def test_measured_style_is_imitated(gazetteer: AdminUnits) -> None:
    for style in (KALAPA, CINNAMON):
        found = measure_style(sample(gazetteer, style))
        assert found.title == style.title and found.zero == style.zero
        assert abs(found.late_tone - style.late_tone) < 0.1
        assert abs(found.comma - style.comma) < 0.1
        again = measure_style(sample(gazetteer, found))
        assert abs(again.ward_kind - found.ward_kind) < 0.15
        assert again.title == found.title and again.zero == found.zero


def test_label_files_of_each_kind(tmp_path: Path) -> None:
    texts = ["Hoà Bình", "Tp Huế"]
    (tmp_path / "a.json").write_text(json.dumps({"1.jpg": texts[0], "2.jpg": texts[1]}), encoding="utf-8")
    (tmp_path / "a.tsv").write_text("".join(f"{i}.jpg\t{t}\n" for i, t in enumerate(texts)), encoding="utf-8")
    (tmp_path / "a.csv").write_text("img_path,text\n" + "".join(f"x,{t}\n" for t in texts), encoding="utf-8")
    for name in ("a.json", "a.tsv", "a.csv"):
        assert read_texts(tmp_path / name) == texts
    (tmp_path / "b.csv").write_text("img_path,label\nx,y\n", encoding="utf-8")
    for name in ("b.csv", "nowhere.tsv"):
        with pytest.raises(NetchuError, match=name):
            read_texts(tmp_path / name)


def write_gazetteer(folder: Path, province: object) -> Path:
    """A folder with one province file."""
    folder.mkdir(exist_ok=True)
    (folder / "Index.json").write_text(json.dumps({"X": {"code": "X", "file_path": "./X.json"}}), encoding="utf-8")
    (folder / "X.json").write_text(json.dumps(province), encoding="utf-8")
    return folder


def test_gazetteer_folder(tmp_path: Path) -> None:
    ward = {"name": "05", "pre": "Phường"}
    district = {"name": "Quận 1", "pre": "Quận", "ward": [ward], "street": ["Hòa Hảo"]}
    folder = write_gazetteer(tmp_path / "g", {"name": "Hồ Chí Minh", "district": [district]})
    (found,) = read_gazetteer(folder).districts
    assert found == District(Unit("Thành phố", "Hồ Chí Minh"), Unit("Quận", "1"), (Unit("Phường", "5"),), ("Hòa Hảo",))


def test_address_lists_are_a_gazetteer_and_add_to_another(tmp_path: Path) -> None:
    lists, folder = tmp_path / "lists", tmp_path / "g"
    lists.mkdir()
    (lists / "wards.txt").write_text("thị trấn vôi|v\tlạng giang|lg\tbắc giang\nphường 07\tquận 6\thồ chí minh\n")
    (lists / "underwards.txt").write_text("xóm chiếu\tphường 07|p7\tquận 6\thồ chí minh|hcm\n")
    province = {
        "name": "Bắc Giang",
        "district": [{"name": "Huyện Lạng Giang", "pre": "Huyện", "ward": [{"name": "Vôi", "pre": "Thị trấn"}]}],
    }
    found = open_gazetteers([str(write_gazetteer(folder, province)), str(lists)]).districts
    sixth = District(Unit("Thành phố", "Hồ Chí Minh"), Unit("Quận", "6"), (Unit("Phường", "7"),), ("Xóm Chiếu",))
    assert found == (
        District(Unit("Tỉnh", "Bắc Giang"), Unit("Huyện", "Lạng Giang"), (Unit("Thị trấn", "Vôi"),)),
        sixth,
    )


def test_bad_gazetteers_are_named(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "wards.txt").write_text("vôi\tlạng giang\tbắc giang\nvôi, lạng giang\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"wards\.txt: row 2: 1 columns"):
        read_gazetteer(tmp_path / "c")
    with pytest.raises(NetchuError, match=r"Index\.json"):
        read_gazetteer(tmp_path)
    (tmp_path / "README.md").touch()
    with pytest.raises(NetchuError, match=r"README\.md: no such folder; a gazetteer is a folder"):
        read_gazetteer(tmp_path / "README.md")
    with pytest.raises(NetchuError, match="empty"):
        read_gazetteer(write_gazetteer(tmp_path / "a", {"name": "X", "district": []}))
    with pytest.raises(NetchuError, match=r"X\.json: not a province file"):
        read_gazetteer(write_gazetteer(tmp_path / "b", {"name": "X"}))
    (tmp_path / "b" / "X.json").write_text("{", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"X\.json:1: is not JSON"):
        read_gazetteer(tmp_path / "b")


def test_made_up_verse_is_spelt_right() -> None:
    verse, rng = PseudoVerse(), np.random.default_rng(0)
    assert len(verse.syllables) > 5000
    assert {"nghiêng", "quyển", "ghế", "kể", "yến", "qua"} <= set(verse.syllables)
    assert not {"ce", "ngê", "gê", "quu"} & set(verse.syllables)
    for _ in range(300):
        text = verse.sample(rng)
        assert set(text) <= set(REQUIRED) and len(text.split()) in (6, 8) and text[0].isupper()


def test_poem_files(tmp_path: Path) -> None:
    path = tmp_path / "poems.csv"
    path.write_text('content,author\n"Trăm năm,<newline>“Chữ tài” – một","N"\n"Cỏ non\nxanh",\n', encoding="utf-8")
    assert read_poems(path) == ["Trăm năm,", "Chữ tài - một", "Cỏ non", "xanh"]
    path.write_text("text\nTrăm năm\n", encoding="utf-8")
    with pytest.raises(NetchuError, match="no column 'content'"):
        read_poems(path)
    path.write_text("content\n漢字\n", encoding="utf-8")
    with pytest.raises(NetchuError, match="no verse"):
        read_poems(path)


def test_texts_and_places_as_files(tmp_path: Path) -> None:
    """The text-only generator: the same seed gives the same bytes, and the places read as the reader's gazetteer."""
    for name in "ab":
        options = ["--count", 50, "--seed", 3, "--out", tmp_path / f"{name}.txt", "--places", tmp_path / f"{name}.tsv"]
        fresh(ROOT / "synthetic_data" / "gentext_address.py", *options, check=True)
    texts = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert texts == (tmp_path / "b.txt").read_text(encoding="utf-8")
    assert len(set(texts.splitlines())) > 45
    places = read_places(tmp_path / "a.tsv")
    assert "Thiệu Hoá" in places.tree["Thanh Hoá"] and "Thiệu Hóa" in places.tree["Thanh Hóa"]
    assert places.depth("Thị Trấn Thiệu Hoá Huyện Thiệu Hoá Thanh Hoá") >= 2
