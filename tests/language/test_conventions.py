"""How labels write a text, whatever the hand wrote."""

import pytest

from netchu.language.conventions import CONVENTIONS, answers, place_tones


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("Hòa Bình", "Hoà Bình"),
        ("THỦY", "THUỶ"),
        ("khỏe", "khoẻ"),
        ("Quý", "Quý"),
        ("Hoàng", "Hoàng"),
        ("Tòa, a", "Toà, a"),
    ],
)
def test_tones_move_only_where_both_places_are_used(early: str, late: str) -> None:
    assert place_tones(early, late=True) == late
    assert place_tones(late, late=False) == early


def test_title_case_leaves_lines_with_a_comma_alone() -> None:
    assert CONVENTIONS["title"]("12B tổ dân phố 3 - TP. M'ĐRẮK") == "12b Tổ Dân Phố 3 Tp M'đrắk"
    assert CONVENTIONS["title"]("12B tổ 3, TP. Huế") == "12B tổ 3, TP. Huế"
    assert CONVENTIONS["title"]("") == ""


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("Thôn Hoà An, Xã Yên Hoà, Huyện Phú Hòa, Khánh Hoà", "Thôn Hòa An, Xã Yên Hòa, Huyện Phú Hoà, Khánh Hòa"),
        ("45 Lê Quý, Phường Hòa Khê, TP Huế", "45 Lê Quý, Phường Hoà Khê, TP Huế"),
        ("ấp 1, Thị trấn Đức Hoà Huyện Đức Hoà Long An", "ấp 1, Thị trấn Đức Hòa Huyện Đức Hoà Long An"),
        ("Thuỷ, Thị xã Hương Thủy, Thanh Hóa", "Thủy, Thị xã Hương Thuỷ, Thanh Hoá"),
        ("XÃ HOÀ, tp HÒA, Xpress Hoà", "XÃ HÒA, tp HOÀ, Xpress Hòa"),
        ("thôn hoà phú", "Thôn Hoà Phú"),
    ],
)
def test_tones_of_a_line_with_a_comma_follow_the_kind_of_place(read: str, written: str) -> None:
    assert CONVENTIONS["title_tones"](read) == written
    assert CONVENTIONS["title_tones"](written) == written
    assert answers([read, written], "title_tones").texts == [written]
