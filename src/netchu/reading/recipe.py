"""`ensemble.json`: which bundles read together, with which weights, how their outputs are combined and decoded.

Files are named relative to the recipe's own folder and held to their SHA-256, so a recipe reads as it was measured.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError
from netchu.core.files import hash_file, write_text
from netchu.reading.line_reader import Settings, settings_from

FORMAT = 1
RELEASE = Path(__file__).resolve().parents[1] / "weights" / "ensemble.json"  # comes with the package


@dataclass(frozen=True, slots=True)
class Recipe:
    """Bundles with their weights, settings, and the files that decoding opens. `accept`: from which confidence on a
    reading need not be looked at (None: not known). `measured`: figures, for people.

    A bundle that reads lines at several stretches is a member for each (`stretches`; empty: none is stretched)."""

    bundles: tuple[Path, ...]
    weights: tuple[float, ...]
    settings: Settings
    language: Path | None = None
    places: Path | None = None
    accept: float | None = None
    measured: dict[str, Any] | None = None
    path: Path | None = None
    stretches: tuple[float, ...] = ()

    @property
    def all_stretches(self) -> tuple[float, ...]:
        """The stretch of each member."""
        return self.stretches or (1.0,) * len(self.bundles)

    @property
    def files(self) -> list[Path]:
        """Every file that reading with it opens."""
        return [p for p in (*self.bundles, self.language, self.places, self.path) if p is not None]


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write the recipe atomically; raises NetchuError when a file of it is missing."""
    folder = path.parent.resolve()

    def named(file: Path) -> dict[str, str]:
        if not file.is_file():
            raise NetchuError(f"{file}: no such file; it cannot be part of {path}")
        return {"file": Path(os.path.relpath(file.resolve(), folder)).as_posix(), "sha256": hash_file(file)}

    members = zip(recipe.bundles, recipe.weights, recipe.all_stretches, strict=True)
    about = {
        "format": FORMAT,
        "members": [{**named(bundle), "weight": weight, "stretch": stretch} for bundle, weight, stretch in members],
        "settings": recipe.settings.to_dict(),
        "language": named(recipe.language) if recipe.language else None,
        "places": named(recipe.places) if recipe.places else None,
        "accept": recipe.accept,
        "measured": recipe.measured or {},
    }
    write_text(path, json.dumps(about, ensure_ascii=False, indent=1) + "\n")


def plain_recipe(bundles: Iterable[Path], decoder: str = "greedy") -> Recipe:
    """Bundles that vote with equal weights."""
    paths = tuple(bundles)
    return Recipe(paths, (1.0,) * len(paths), Settings(decoder=decoder))


def default_recipe() -> Path:
    """The released recipe, which comes with the package; raises NetchuError when it is not there."""
    if not RELEASE.is_file():
        raise NetchuError(
            f"{RELEASE}: no released ensemble; install netchu again, or name other models with --bundles or --ensemble"
        )
    return RELEASE


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises NetchuError for a missing or damaged one, and for a file that is missing or has changed."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such recipe; write one: netchu select") from None
    except (OSError, ValueError) as error:
        raise NetchuError(f"{path}: cannot be read as JSON ({error}); write it again") from error
    try:
        if about["format"] != FORMAT:
            raise NetchuError(f"{path}: format {about['format']}, this version reads {FORMAT}; write it again")
        members = about["members"]
        weights = tuple(float(member["weight"]) for member in members)
        recipe = Recipe(
            bundles=tuple(_checked(path, member) for member in members),
            weights=weights,
            settings=settings_from(about["settings"], str(path)),
            stretches=tuple(float(member.get("stretch", 1)) for member in members),
            language=_checked(path, about["language"]) if about["language"] else None,
            places=_checked(path, about["places"]) if about["places"] else None,
            accept=about["accept"],
            measured=about["measured"],
            path=path,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NetchuError(f"{path}: is no recipe (no usable {error}); write it again") from error
    if not all(0.5 <= stretch <= 2 for stretch in recipe.stretches):
        raise NetchuError(f"{path}: a member's stretch is not from 0.5 to 2; correct or write it again")
    if not weights or not all(0 < weight < inf for weight in weights):
        raise NetchuError(f"{path}: members need weights above 0; correct or write it again")
    accept = recipe.accept
    if accept is not None and (type(accept) not in (int, float) or not 0 <= accept <= 1):
        raise NetchuError(f"{path}: accept is {accept!r}, expected a number from 0 to 1, or null; correct it")
    return recipe


def _checked(path: Path, entry: dict[str, str]) -> Path:
    """The file of an entry, once its hash is right."""
    file = path.parent / entry["file"]
    if not file.is_file():
        raise NetchuError(f"{path}: names {file}, which is not there; copy it or select again")
    if hash_file(file) != entry["sha256"]:
        raise NetchuError(f"{path}: {file} has changed since; restore it or select again")
    return file
