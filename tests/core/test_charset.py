"""The charset: NFC, order, unknown characters, and the time steps that a text needs."""

import unicodedata

import pytest

from netchu.core.charset import BLANK, Charset, nearest_letter, required_steps
from netchu.core.errors import NetchuError


def test_from_texts_composes_and_round_trips() -> None:
    text = "Thuỷ Hoà Đắk 0"
    charset = Charset.from_texts([unicodedata.normalize("NFD", text)])
    assert charset.decode(charset.encode(text)) == text
    assert charset.decode(charset.encode(unicodedata.normalize("NFD", text))) == text
    assert len(charset) == len(set(text)) + 1
    assert BLANK not in charset.encode(text)
    assert [charset.space] == charset.encode(" ") and Charset("ab").space == BLANK


def test_tone_placement_is_not_touched() -> None:
    charset = Charset.from_texts(["hoà hòa"])
    assert charset.decode(charset.encode("hoà")) == "hoà"
    assert charset.decode(charset.encode("hòa")) == "hòa"


def test_unknown_characters_are_counted_and_named() -> None:
    charset = Charset("ab ")
    assert dict(charset.count_unknown(["abé", "é z"])) == {"é": 2, "z": 1}
    with pytest.raises(NetchuError, match="'z'"):
        charset.encode("az")


@pytest.mark.parametrize(("characters", "message"), [("aab", "repeats 'a'"), ("e\u0301", "NFC")])
def test_bad_charset_is_refused(characters: str, message: str) -> None:
    with pytest.raises(NetchuError, match=message):
        Charset(characters)


@pytest.mark.parametrize(
    ("letter", "known", "nearest"),
    [
        ("ấ", "âa", "â"),  # the tone first
        ("ấ", "a", "a"),  # then the hat
        ("ự", "ưu", "ư"),
        ("đ", "d", "d"),
        ("Đ", "dD", "D"),
        ("Ộ", "ôO", "O"),  # the case last
        ("Ộ", "ô", "ô"),
        ("ç", "c", "c"),
        ("a", "a", "a"),
        ("1", "abc", ""),
        ("ж", "abc", ""),
    ],
)
def test_nearest_letter(letter: str, known: str, nearest: str) -> None:
    assert nearest_letter(letter, known) == nearest


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("abc", 3), ("aab", 4), ("aaaa", 7), ("11/11", 7)])
def test_required_steps(text: str, steps: int) -> None:
    assert required_steps(text) == steps


def test_a_mark_that_stands_alone_is_a_character_of_its_own() -> None:
    charset = Charset.from_texts(["Tư", "t\u0301ê"])
    assert charset.characters == "\u0301Ttêư"
    assert charset.decode(charset.encode("Tư t\u0301".replace(" ", ""))) == "Tưt\u0301"
