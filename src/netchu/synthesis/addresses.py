"""Made-up Vietnamese addresses: house or hamlet, street, ward, district, province, in a measured text style."""

import re
from collections.abc import Sequence

import numpy as np

from netchu.language.conventions import place_tones
from netchu.synthesis import Rng
from netchu.synthesis.admin_units import AdminUnits, District, Unit
from netchu.synthesis.street_names import HAMLET_WORDS, ROAD_KINDS, STREETS
from netchu.synthesis.text_style import BIG_CITIES, CINNAMON, KALAPA, TextStyle

TRIES = 60
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


class AddressGrammar:
    """Samples addresses from a gazetteer in one of several text styles (both packaged ones by default)."""

    def __init__(self, gazetteer: AdminUnits, styles: Sequence[TextStyle] = (KALAPA, CINNAMON)) -> None:
        self.styles = tuple(styles)
        self._districts = tuple(district for district in gazetteer.districts if district.wards)
        provinces: dict[str, list[District]] = {}
        for district in self._districts:
            provinces.setdefault(district.province.name, []).append(district)
        self._cities = [pool for name, pool in provinces.items() if name in BIG_CITIES]
        self._others = [pool for name, pool in provinces.items() if name not in BIG_CITIES]

    def sample(self, rng: Rng) -> str:
        """One address, NFC, within the length limits of its style."""
        style = self.styles[int(rng.integers(len(self.styles)))]
        text = ""
        for _ in range(TRIES):
            text = self._compose(style, rng)
            if style.shortest <= len(text) <= style.longest and (style.zero or "0" not in text):
                return text
        words = text.replace("0", "" if not style.zero else "0")[: style.longest].split(" ")
        return " ".join(word for word in words if word).rstrip(" ,")

    def _district(self, style: TextStyle, rng: Rng) -> District:
        """A district: of a big city as often as the style has them; larger provinces more often."""
        kind = self._cities if rng.random() < style.city else self._others
        pools = kind or self._cities or self._others
        weights = np.sqrt([len(pool) for pool in pools])
        pool = pools[int(rng.choice(len(pools), p=weights / weights.sum()))]
        return pool[int(rng.integers(len(pool)))]

    def _compose(self, style: TextStyle, rng: Rng) -> str:
        district = self._district(style, rng)
        ward = district.wards[int(rng.integers(len(district.wards)))]
        urban = ward.kind == "Phường" or rng.random() < 0.2
        parts = self._detail(district, urban, style, rng)
        parts.append(_spell(ward, style, style.ward_kind, rng))
        if district.unit is not None:
            parts.append(_spell(district.unit, style, style.district_kind, rng))
        parts.append(_province(district.province, style, rng))
        if rng.random() < 0.02:
            parts = parts[: int(rng.integers(1, len(parts) + 1))]
        joined = (", " if rng.random() < style.comma else " ").join(part for part in parts if part)
        joined = place_tones(joined, rng.random() < style.late_tone)
        if rng.random() < style.title:
            joined = " ".join(_title(word) for word in joined.split(" "))
        return joined

    def _detail(self, district: District, urban: bool, style: TextStyle, rng: Rng) -> list[str]:
        """What stands before the ward: nothing, a house on a street, a hamlet, a group, or some of them."""
        parts: list[str] = []
        if urban and rng.random() < 0.75:
            parts.append(self._house_on_street(district, style, rng))
            if rng.random() < 0.3:
                parts.append(_group(("Khu phố", "Tổ dân phố", "Tổ", "Khóm", "Khu vực", "Khu"), style, rng))
            if rng.random() < 0.1:
                parts.insert(-1, _group(("Tổ",), style, rng))
        elif rng.random() < 0.75:
            kind = ("Thôn", "Xóm", "Ấp", "Bản", "Khu", "Đội", "Buôn", "Tổ", "Khóm", "Làng", "Tdp")[
                int(rng.choice(11, p=[0.3, 0.17, 0.19, 0.05, 0.08, 0.05, 0.03, 0.06, 0.03, 0.02, 0.02]))
            ]
            name = self._hamlet(style, rng) if rng.random() < 0.6 else _number(style, rng, 2)
            parts.append(f"{_cased(_form(kind, style, rng), style, rng)} {name}")
            if rng.random() < 0.15:
                parts.insert(0, _group(("Tổ", "Đội", "Số", "Xóm"), style, rng))
        return [part for part in parts if part]

    def _hamlet(self, style: TextStyle, rng: Rng) -> str:
        """A hamlet's name: another ward's, or two syllables that hamlets like; sometimes with a letter or number."""
        if rng.random() < 0.55:
            wards = self._district(style, rng).wards
            name = wards[int(rng.integers(len(wards)))].name
        else:
            name = " ".join(HAMLET_WORDS[int(i)] for i in rng.integers(len(HAMLET_WORDS), size=2))
        if rng.random() < 0.12:
            name += " " + str(rng.choice(["A", "B", "C", "1", "2", "3", "4", "Đông", "Tây", "Thượng", "Hạ"]))
        return name

    def _house_on_street(self, district: District, style: TextStyle, rng: Rng) -> str:
        """A house number and a street, as in "Số 246E/2 đường Lê Lợi"."""
        own = district.streets and rng.random() < 0.7
        streets = district.streets if own else STREETS
        street = streets[int(rng.integers(len(streets)))]
        house = _house(style, rng)
        if rng.random() < (0.35 if style.comma > 0.5 else 0.12):
            house = f"{_cased('Số', style, rng)} {house}"
        if street[0].isdigit() or street.startswith("Số ") or rng.random() < (0.2 if style.comma > 0.5 else 0.08):
            kind = "Đường" if street[0].isdigit() or street.startswith("Số ") else str(rng.choice(ROAD_KINDS))
            if not street.startswith(("Đường", "Quốc lộ", "Tỉnh lộ", "Hương lộ", "Phố")):
                street = f"{_cased(kind, style, rng)} {street}"
        if rng.random() < 0.07:
            house = f"{rng.choice(['Ngõ', 'Hẻm', 'Ngách', 'Kiệt', 'Lô', 'Căn', 'Phòng'])} {house}"
        between = ", " if style.comma > 0.5 and rng.random() < 0.15 else " "
        return f"{house}{between}{street}" if rng.random() < 0.95 else street


def _number(style: TextStyle, rng: Rng, digits: int) -> str:
    """A number of 1 to `digits` digits, small ones often; without 0 where the style has none."""
    count = int(rng.integers(1, digits + 1))
    low = 0 if style.zero else 1
    first = str(rng.integers(1, 10))
    return first + "".join(str(rng.integers(low, 10)) for _ in range(count - 1))


def _house(style: TextStyle, rng: Rng) -> str:
    """A house number: 12, 7B, 48A9, 246E/2, 51/18/116, 126-128, K760/26."""
    number = _number(style, rng, 3 if rng.random() < 0.9 else 4)
    if style.zero and rng.random() < 0.06:
        number = f"0{number[0]}"
    if rng.random() < 0.2:
        number += str(rng.choice(list("ABCDEFGHK"))) + (_number(style, rng, 1) if rng.random() < 0.15 else "")
    while rng.random() < 0.27 and len(number) < 11:
        number += f"/{_number(style, rng, 3)}" + (str(rng.choice(list("ABCDE"))) if rng.random() < 0.08 else "")
    if rng.random() < 0.03:
        number += f"{rng.choice(['-', ' - '])}{_number(style, rng, 3)}"
    if rng.random() < 0.06:
        number = str(rng.choice(list("ABCDEKLNPSTX"))) + number
    return number if style.comma > 0.5 else re.sub("[A-Z]$", lambda found: found[0].lower(), number)


def _group(kinds: Sequence[str], style: TextStyle, rng: Rng) -> str:
    """A numbered group of houses: Tổ 31, KP 9, Khóm 2B."""
    form = _form(kinds[int(rng.integers(len(kinds)))], style, rng)
    number = _number(style, rng, 2) + (str(rng.choice(list("ABC"))) if rng.random() < 0.1 else "")
    glue = "" if len(form) <= 3 and form.isascii() and rng.random() < 0.4 else " "
    return f"{_cased(form, style, rng)}{glue}{number}"


def _form(kind: str, style: TextStyle, rng: Rng) -> str:
    """How the style spells a kind: in full or one of its short forms."""
    forms = style.forms.get(kind)
    if not forms:
        return kind
    weights = np.array([weight for _, weight in forms])
    return forms[int(rng.choice(len(forms), p=weights / weights.sum()))][0]


def _cased(kind: str, style: TextStyle, rng: Rng) -> str:
    """The kind in lower case as often as the style does that; abbreviations stay."""
    if (len(kind) < 3 and kind.isascii()) or kind.isupper() or rng.random() >= style.lower_kind:
        return kind
    return kind.lower()


def _spell(unit: Unit, style: TextStyle, rate: float, rng: Rng) -> str:
    """A ward or district with or without its kind; a bare number never stands alone."""
    name = unit.name if style.comma > 0.5 else unit.name.replace(" - ", " ")
    if name.isdigit():
        if not style.zero and "0" in name:
            name = _number(style, rng, 2)
        elif style.zero and len(name) == 1 and rng.random() < 0.15:
            name = f"0{name}"
        elif style.zero and len(name) < 3 and int(name) <= 10 and rng.random() < 0.03:
            name = _ROMAN[int(name) - 1]
    elif not unit.kind or rng.random() >= rate:
        return name
    form = _form(unit.kind or "Phường", style, rng)
    glue = "" if name.isdigit() and len(form) == 1 and rng.random() < 0.6 else " "
    return f"{_cased(form, style, rng)}{glue}{name}"


def _province(province: Unit, style: TextStyle, rng: Rng) -> str:
    """A province; the big cities often with their kind or shortened."""
    name = province.name
    if name == "Hồ Chí Minh":
        short = _form("Hồ Chí Minh", style, rng)
        known = short if len(short) <= 3 else name
        return f"{rng.choice(['Tp', 'TP'])} {known}" if rng.random() < 0.75 else known
    if name.startswith("Bà Rịa"):
        return "Bà Rịa - Vũng Tàu" if style.comma > 0.5 else "Bà Rịa Vũng Tàu"
    if name == "Huế" and rng.random() < 0.6:
        return "Thừa Thiên - Huế" if style.comma > 0.5 and rng.random() < 0.7 else "Thừa Thiên Huế"
    if style.comma <= 0.5:
        name = name.replace(" - ", " ")
    if province.kind == "Tỉnh" and rng.random() < 0.03:
        return f"{_cased('Tỉnh', style, rng)} {name}"
    return name


def _title(word: str) -> str:
    """One word as the title style writes it: TP -> Tp, 7D -> 7d, phường -> Phường."""
    return word[:1].upper() + word[1:].lower() if not word[:1].isdigit() else word.lower()
