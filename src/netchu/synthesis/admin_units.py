"""Where places are: provinces, districts, wards and streets of Vietnam, from a package or from a folder.

The package is `vietnamadminunits` (both the 63 provinces before July 2025 and the 34 after). A folder holds
`Index.json`, a map from province name to `{"code", "file_path"}`, and those province files: `name`, and `district`
with `name`, `pre`, `ward` (each `name`, `pre`) and `street` (names); or it holds the address lists of FPT:
`wards*.txt`, rows of ward, district and province, and `underwards.txt` with a street or hamlet before them, all in
lower case, between tabs, each perhaps with an abbreviation after a bar.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.tables import read_text
from netchu.data.label_files import read_json
from netchu.language.conventions import place_tones
from netchu.synthesis.fonts import REQUIRED

CITIES = ("Hà Nội", "Hồ Chí Minh", "Đà Nẵng", "Hải Phòng", "Cần Thơ", "Huế")
_KNOWN = frozenset(REQUIRED)
PACKAGED = "packaged"  # stands for the package's gazetteer among folders
_KINDS = ("Thành phố", "Thị xã", "Thị trấn", "Phường", "Quận", "Huyện", "Xã")


@dataclass(frozen=True, slots=True)
class Unit:
    """An administrative unit: its kind ("Phường", or "" if unknown) and its bare name ("An Phú", "12")."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class District:
    """A district with its wards and streets. After the 2025 reform there is none: then `unit` is None."""

    province: Unit
    unit: Unit | None
    wards: tuple[Unit, ...]
    streets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdminUnits:
    """Every district of every province."""

    districts: tuple[District, ...]

    def __post_init__(self) -> None:
        if not any(district.wards for district in self.districts):
            raise NetchuError("the gazetteer is empty: no ward in any province; give another folder")


def _clean(name: Any) -> str:
    """NFC, single spaces; no remarks in brackets; "" for what cannot be written."""
    if not isinstance(name, str):
        return ""
    text = re.sub(r"\([^)]*\)", " ", normalise(name))
    text = " ".join(text.replace("–", "-").replace("’", "'").split())
    return text if set(text) <= _KNOWN else ""


def _province(name: str) -> Unit:
    return Unit("Thành phố" if name in CITIES else "Tỉnh", name)


def _unit(kind: Any, name: Any) -> Unit | None:
    """A unit with the kind taken off the front of its name, or None when the name cannot be used."""
    kind, name = _clean(kind), _clean(name)
    name = name.removeprefix(kind).strip() if kind else name
    return Unit(kind, str(int(name)) if name.isdigit() else name) if name else None


def open_gazetteers(names: Sequence[str]) -> AdminUnits:
    """The gazetteers of these folders, or PACKAGED, as one; PACKAGED alone where none is named. Raises NetchuError."""
    return merge(
        [packaged_gazetteer() if name == PACKAGED else read_gazetteer(Path(name)) for name in names or [PACKAGED]]
    )


def merge(gazetteers: Sequence[AdminUnits]) -> AdminUnits:
    """Every district once with the wards and streets of all; names that differ in tone placement or hyphens are one,
    spelt as the first has them."""
    if len(gazetteers) == 1:
        return gazetteers[0]
    found: dict[tuple[str, str], tuple[District, dict[str, Unit], dict[str, str]]] = {}
    for district in (district for gazetteer in gazetteers for district in gazetteer.districts):
        key = (_key(district.province.name), _key(district.unit.name) if district.unit else "")
        _, wards, streets = found.setdefault(key, (district, {}, {}))
        for ward in district.wards:
            wards.setdefault(_key(ward.name), ward)
        for street in district.streets:
            streets.setdefault(_key(street), street)
    return AdminUnits(
        tuple(
            District(first.province, first.unit, tuple(wards.values()), tuple(streets.values()))
            for first, wards, streets in found.values()
        )
    )


def _key(name: str) -> str:
    return place_tones(name.lower(), True).replace(" - ", " ")


def packaged_gazetteer() -> AdminUnits:
    """The gazetteer of the `vietnamadminunits` package. Raises NetchuError when it is not installed or not readable."""
    spec = find_spec("vietnamadminunits")
    if spec is None or not spec.submodule_search_locations:
        raise NetchuError("no gazetteer: pip install vietnamadminunits, or give a folder with --gazetteer")
    path = Path(spec.submodule_search_locations[0]) / "data" / "dataset.db"
    old = "SELECT provinceShort, districtType, districtShort, wardType, ward FROM admin_units_legacy"
    new = "SELECT provinceShort, NULL, NULL, wardType, ward FROM admin_units"
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows = [*connection.execute(old), *connection.execute(new)]
        connection.close()
    except sqlite3.Error as error:
        raise NetchuError(f"{path}: cannot be read ({error}); reinstall vietnamadminunits") from error
    wards: dict[tuple[str, str | None, str | None], list[Unit]] = {}
    for province, district_kind, district, kind, name in rows:
        if ward := _unit(kind, name):
            wards.setdefault((province, district_kind, district), []).append(ward)
    districts = [
        District(_province(_clean(province)), _unit(kind, name) if name else None, tuple(units))
        for (province, kind, name), units in wards.items()
    ]
    return AdminUnits(tuple(districts))


def read_gazetteer(folder: Path) -> AdminUnits:
    """The gazetteer in `folder`. Raises NetchuError that names the file which is missing or has another form."""
    if not folder.is_dir():
        raise NetchuError(f"{folder}: no such folder; a gazetteer is a folder that holds Index.json or wards*.txt")
    if lists := sorted(folder.glob("*wards*.txt")):
        return _read_lists(lists)
    index = read_json(folder / "Index.json")
    if not isinstance(index, dict) or not index:
        raise NetchuError(f"{folder / 'Index.json'}: not a map of provinces; the gazetteer is empty")
    districts: list[District] = []
    for entry in index.values():
        path = folder / str(entry["file_path"] if isinstance(entry, dict) and "file_path" in entry else "?")
        province = read_json(path)
        try:
            name = _clean(province["name"])
            for district in province["district"]:
                wards = tuple(unit for ward in district["ward"] if (unit := _unit(ward.get("pre"), ward["name"])))
                streets = tuple(street for text in district.get("street", ()) if (street := _clean(text)))
                districts.append(
                    District(_province(name), _unit(district.get("pre"), district["name"]), wards, streets)
                )
        except (KeyError, TypeError, AttributeError) as error:
            raise NetchuError(
                f"{path}: not a province file (no {error}); expected name, district, ward, street"
            ) from error
    return AdminUnits(tuple(districts))


def _read_lists(paths: Iterable[Path]) -> AdminUnits:
    """The gazetteer of FPT's lists; the street or hamlet of a row of four belongs to its district."""
    found: dict[tuple[str, str], tuple[list[Unit], list[str]]] = {}
    for path in paths:
        for number, row in enumerate(read_text(path).splitlines(), 1):
            cells = [_clean(_title(cell.split("|")[0])) for cell in row.split("\t")]
            if len(cells) not in (3, 4):
                raise NetchuError(f"{path}: row {number}: {len(cells)} columns, expected ward, district, province")
            *below, ward, district, province = cells
            if district and province and (unit := _titled_unit(ward)):
                wards, streets = found.setdefault((province, district), ([], []))
                wards.append(unit)
                streets.extend(street for street in below if street)
    return AdminUnits(
        tuple(
            District(_province(province), _titled_unit(district), tuple(wards), tuple(streets))
            for (province, district), (wards, streets) in found.items()
        )
    )


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split())


def _titled_unit(name: str) -> Unit | None:
    """`_unit` of a title-cased name, which begins with its kind where it has one."""
    kind = next((kind for kind in _KINDS if name.startswith(f"{_title(kind)} ")), "")
    return _unit(kind, name[len(kind) :])
