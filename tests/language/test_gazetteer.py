"""The gazetteer proposes near places of one hierarchy and forces none."""

from pathlib import Path

import pytest

from netchu.core.errors import NetchuError
from netchu.language.gazetteer import Gazetteer, read_places

ROWS = [
    ("Thanh Hoá", "Thiệu Hoá", "Thiệu Hoà"),
    ("Thanh Hoá", "Thiệu Hoá", "Minh Tâm"),
    ("Thanh Hoá", "Như Xuân", "Yên Cát"),
    ("Hồ Chí Minh", "8", "4"),
    ("Hồ Chí Minh", "Phú Nhuận", "12"),
    ("Hồ Chí Minh", "", "Tân Sơn"),
    ("Long An", "Cần Đước", "Long Trạch"),
]
PLACES = Gazetteer(ROWS)


def test_names_are_mended_level_by_level() -> None:
    proposals = PLACES.propose("Thôn 3 Thiệu Hoả Thiện Hoá Thanh Hoa")
    assert "Thôn 3 Thiệu Hoà Thiệu Hoá Thanh Hoá" in proposals
    assert "Thôn 3 Thiệu Hoả Thiệu Hoá Thanh Hoá" in proposals
    assert all(p.startswith("Thôn 3 ") for p in proposals)


def test_kinds_and_commas_stay() -> None:
    assert "Xã Long Trạch, H. Cần Đước, Long An" in PLACES.propose("Xã Long Trạc, H. Cần Đưóc, Long An")
    assert "12 Tổ 5 Tân Sơn Tp Hồ Chí Minh" in PLACES.propose("12 Tổ 5 Tăn Sơn Tp Hồ Chí Minh")


def test_only_one_hierarchy() -> None:
    """Như Xuân is near, but no district of Long An."""
    assert not any("Như Xuân" in p for p in PLACES.propose("Yên Cát Như Xuâm Long An"))
    assert "Yên Cát Như Xuân Thanh Hoá" in PLACES.propose("Yên Cát Như Xuâm Thanh Hoá")


def test_nothing_for_unknown_places_or_nothing_to_mend() -> None:
    for text in ("", "Paris", "Long", "Số 5 Đường Lê Lợi"):
        assert PLACES.propose(text) == []
    assert PLACES.propose("Minh Tâm Thiệu Hoá Thanh Hoá") == []


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("Minh Tâm Thiệu Hoá Thanh Hoá", 3), ("x Thị Trấn Minh Tâm, Huyện Thiệu Hoá, Thanh Hoá", 3), ("Long An", 1),
        ("Yên Cát Long An", 1), ("Cần Đước Long An", 2), ("P 4 Q 8 Tp Hồ Chí Minh", 3),
        ("long an", 1), ("Hà", 0), ("", 0),
    ],
)  # fmt: skip
def test_depth(text: str, depth: int) -> None:
    assert PLACES.depth(text) == depth


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "places.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in ROWS), encoding="utf-8")
    assert read_places(path).tree == PLACES.tree
    path.write_text("Long An\tCần Đước\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"places.tsv:1: expected province"):
        read_places(path)
    with pytest.raises(
        NetchuError, match=r"no such gazetteer; make one: python synthetic_data/gentext_address.py --out \S+ --places "
    ):
        read_places(tmp_path / "none.tsv")
