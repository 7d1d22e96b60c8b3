"""Where places are: provinces, districts, wards and streets of Vietnam, from a package or from a folder.

The package is `vietnamadminunits` (both the 63 provinces before July 2025 and the 34 after). A folder holds
`Index.json`, a map from province name to `{"code", "file_path"}`, and those province files: `name`, and `district`
with `name`, `pre`, `ward` (each `name`, `pre`) and `street` (names).
"""

import json
import re
import sqlite3
import unicodedata
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError
from netchu.synthesis.fonts import REQUIRED

CITIES = ("Hà Nội", "Hồ Chí Minh", "Đà Nẵng", "Hải Phòng", "Cần Thơ", "Huế")
_KNOWN = frozenset(REQUIRED)


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
    """Every district of every province, and the street names known anywhere."""

    districts: tuple[District, ...]

    def __post_init__(self) -> None:
        if not any(district.wards for district in self.districts):
            raise NetchuError("the gazetteer is empty: no ward in any province; give another folder")


def _clean(name: Any) -> str:
    """NFC, single spaces; no remarks in brackets; "" for what cannot be written."""
    if not isinstance(name, str):
        return ""
    text = re.sub(r"\([^)]*\)", " ", unicodedata.normalize("NFC", name))
    text = " ".join(text.replace("–", "-").replace("’", "'").split())
    return text if set(text) <= _KNOWN else ""


def _province(name: str) -> Unit:
    return Unit("Thành phố" if name in CITIES else "Tỉnh", name)


def _unit(kind: Any, name: Any) -> Unit | None:
    """A unit with the kind taken off the front of its name, or None when the name cannot be used."""
    kind, name = _clean(kind), _clean(name)
    name = name.removeprefix(kind).strip() if kind else name
    return Unit(kind, str(int(name)) if name.isdigit() else name) if name else None


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
    index = _read_json(folder / "Index.json")
    if not isinstance(index, dict) or not index:
        raise NetchuError(f"{folder / 'Index.json'}: not a map of provinces; the gazetteer is empty")
    districts: list[District] = []
    for entry in index.values():
        path = folder / str(entry["file_path"] if isinstance(entry, dict) and "file_path" in entry else "?")
        province = _read_json(path)
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


def _read_json(path: Path) -> Any:
    """The content of a JSON file, or a NetchuError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NetchuError(f"{path}: cannot be read ({error.strerror}); is this a gazetteer folder?") from error
    except ValueError as error:
        raise NetchuError(f"{path}: not valid JSON ({error}); fetch it again") from error
