"""How a set of address labels is written: letter case, tone placement, commas, abbreviations, digits, length.

`KALAPA` and `CINNAMON` are two styles measured on public sets; `measure_style` measures any other label file.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.tables import read_csv_rows, read_text
from netchu.data.label_files import read_json
from netchu.language.conventions import FIND_EARLY, FIND_LATE

BIG_CITIES = ("Hồ Chí Minh", "Hcm", "Hà Nội", "Đà Nẵng", "Hải Phòng", "Cần Thơ")
WARD_KINDS = ("Phường", "Xã", "Thị trấn")
DISTRICT_KINDS = ("Quận", "Huyện", "Thị xã", "Thành phố")
SHORT_FORMS: dict[str, tuple[str, ...]] = {
    "Phường": ("P", "P."),
    "Xã": ("X",),
    "Thị trấn": ("TT", "Tt", "T.T"),
    "Quận": ("Q", "Q."),
    "Huyện": ("H", "H."),
    "Thị xã": ("TX", "Tx"),
    "Thành phố": ("TP", "Tp", "TP.", "Tp."),
    "Khu phố": ("KP", "Kp"),
    "Tổ dân phố": ("TDP", "Tdp"),
    "Đường": ("Đ",),
    "Hồ Chí Minh": ("HCM", "Hcm"),
}


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Measured habits of a label file. Every rate is a probability.

    title: every word starts with a capital. lower_kind: a kind (phường) is in lower case, where not `title`.
    late_tone: Hoà rather than Hòa. comma: parts are joined by commas. ward_kind, district_kind: the kind is written
    before the name. city: the place is in one of the big cities. forms: for each kind, its spellings with weights.
    zero: whether the digit 0 is used. shortest, longest: characters.
    """

    title: float
    lower_kind: float
    late_tone: float
    comma: float
    ward_kind: float
    district_kind: float
    city: float
    zero: bool
    shortest: int
    longest: int
    forms: dict[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)


KALAPA = TextStyle(
    title=1.0, lower_kind=0.0, late_tone=1.0, comma=0.0, ward_kind=0.22, district_kind=0.32, city=0.28, zero=False,
    shortest=6, longest=68,
    forms={
        "Phường": (("Phường", 0.62), ("P", 0.38)),
        "Quận": (("Quận", 0.85), ("Q", 0.15)),
        "Huyện": (("Huyện", 0.6), ("H", 0.4)),
        "Thị trấn": (("Thị Trấn", 0.75), ("Tt", 0.25)),
        "Thị xã": (("Thị Xã", 0.8), ("Tx", 0.2)),
        "Thành phố": (("Tp", 0.6), ("Thành Phố", 0.4)),
        "Khu phố": (("Khu Phố", 0.5), ("Kp", 0.5)),
        "Tổ dân phố": (("Tdp", 0.6), ("Tổ Dân Phố", 0.4)),
        "Hồ Chí Minh": (("Hồ Chí Minh", 0.85), ("Hcm", 0.15)),
    },
)  # fmt: skip
CINNAMON = TextStyle(
    title=0.0, lower_kind=0.12, late_tone=0.6, comma=1.0, ward_kind=0.98, district_kind=0.99, city=0.45, zero=True,
    shortest=24, longest=69,
    forms={
        "Thành phố": (("Thành phố", 0.35), ("Thành Phố", 0.12), ("TP", 0.48), ("Tp", 0.05)),
        "Thị xã": (("Thị xã", 0.4), ("Thị Xã", 0.4), ("Tx", 0.1), ("TX", 0.1)),
        "Thị trấn": (("Thị trấn", 0.8), ("Thị Trấn", 0.1), ("TT", 0.1)),
        "Khu phố": (("Khu phố", 0.6), ("KP", 0.3), ("Kp", 0.1)),
        "Tổ dân phố": (("Tổ dân phố", 0.9), ("TDP", 0.1)),
    },
)  # fmt: skip


def read_texts(path: Path) -> list[str]:
    """The label texts in a file: JSON name -> text, TSV `image<TAB>text...`, or CSV with a `text` column; NFC.

    A folder means every .txt file in it. Raises NetchuError when nothing can be read as labels.
    """
    if path.is_dir():
        if not (files := sorted(path.glob("*.txt"))):
            raise NetchuError(f"{path}: holds no .txt file with labels; name the folder that does, or a file")
        return [text for file in files for text in read_texts(file)]
    texts: list[Any]
    if path.suffix == ".json":
        content = read_json(path)
        texts = list(content.values()) if isinstance(content, dict) else []
    elif path.suffix == ".csv":
        texts = [row.get("text") for row in read_csv_rows(path)[1]]
    else:
        texts = [line.split("\t")[1] for line in read_text(path).split("\n") if "\t" in line]
    texts = [normalise(text) for text in texts if isinstance(text, str) and text.strip()]
    if not texts:
        raise NetchuError(f"{path}: no labels in it; expected JSON, TSV or CSV with a text column")
    return texts


def measure_style(texts: list[str]) -> TextStyle:
    """The habits of one label text (NFC) or more."""
    lines = [f" {' '.join(re.split('[, ]+', text))} " for text in texts]
    words = [word for line in lines for word in line.split() if word[0].isalpha()]
    upper = sum(word[0].isupper() for word in words) / max(len(words), 1)
    late, early = (sum(len(find.findall(text)) for text in texts) for find in (FIND_LATE, FIND_EARLY))
    forms: dict[str, tuple[tuple[str, float], ...]] = {}
    seen: dict[str, int] = {}
    lower = spelt = 0
    for kind, shorts in SHORT_FORMS.items():
        counts: Counter[str] = Counter()
        found = re.compile(rf"(?<= ){kind}(?= )", re.IGNORECASE)
        for line in lines:
            for form in found.findall(line):
                lower, spelt = lower + form[0].islower(), spelt + 1
                counts[form[0].upper() + form[1:]] += 1
            for short in shorts:
                counts[short] += len(re.findall(rf"(?<= ){re.escape(short)}(?=\d| )", line))
        seen[kind] = counts.total()
        if counts.total() >= 3:
            forms[kind] = tuple((form, number / counts.total()) for form, number in counts.most_common(6) if number)
    lengths = sorted(len(text) for text in texts)

    def rate(kinds: tuple[str, ...]) -> float:
        return min(1.0, sum(seen[kind] for kind in kinds) / len(texts))

    return TextStyle(
        title=1.0 if upper > 0.985 else 0.0,
        lower_kind=lower / max(spelt, 1),
        late_tone=late / (late + early) if late + early else 0.5,
        comma=sum("," in text for text in texts) / len(texts),
        ward_kind=rate(WARD_KINDS),
        district_kind=rate(DISTRICT_KINDS),
        city=sum(any(name.casefold() in text.casefold() for name in BIG_CITIES) for text in texts) / len(texts),
        zero=any("0" in text for text in texts),
        shortest=lengths[len(lengths) // 200],
        longest=lengths[-1 - len(lengths) // 200],
        forms=forms,
    )
