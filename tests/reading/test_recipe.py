"""Recipes that a person has edited: what cannot be read with is refused by the name of the field."""

import json
from pathlib import Path
from typing import Any

import pytest

from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.reading.line_reader import Settings
from netchu.reading.recipe import plain_recipe, read_recipe, write_recipe


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("accept", "0.9", "accept is '0.9', expected a number from 0 to 1, or null"),
        ("accept", [1], "accept is "),
        ("accept", True, "accept is True"),
        ("accept", -1, "accept is -1"),
        ("accept", float("nan"), "accept is nan"),
        ("weight", float("nan"), "members need weights above 0"),
        ("weight", float("inf"), "members need weights above 0"),
        ("language_bonus", float("nan"), "settings: language_bonus=nan; allowed: a number"),
        ("trust", [float("nan")] * 7, "settings: trust=.*; allowed: 7 numbers, or none"),
    ],
)
def test_values_that_cannot_be_are_refused(field: str, value: Any, says: str, tmp_path: Path) -> None:
    path, bundle = tmp_path / "ensemble.json", tmp_path / "a.safetensors"
    bundle.write_bytes(b"")
    write_recipe(path, plain_recipe([bundle]))
    about = json.loads(path.read_text(encoding="utf-8"))
    assert read_recipe(path).settings == Settings() and about["members"][0]["sha256"] == hash_file(bundle)
    place = about if field == "accept" else about["members"][0] if field == "weight" else about["settings"]
    place[field] = value
    path.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(NetchuError, match=says):
        read_recipe(path)
