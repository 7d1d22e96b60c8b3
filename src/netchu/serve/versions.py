"""Model versions: immutable copies of recipes, and the ensembles that are served from them.

A version is named by a number and known by the hash of what it reads with, so the same recipe is never registered
twice. The folder is a registry too: every bundle of any version is an entry of it, once by its weights.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from netchu.core.files import atomic_path, hash_file
from netchu.core.images import Image
from netchu.experiments.registry import Registry
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe, read_recipe, write_recipe
from netchu.serve.confidence import DetailedReading, detail
from netchu.serve.samples import sync_folder
from netchu.serve.store import Promotion, Store, Version
from netchu.serve.uploads import RefusalError


class ServedEnsemble:
    """An ensemble as the batching queue wants it (see `batching.ServedModel`)."""

    def __init__(self, version: int, recipe: Recipe, *, threads: int = 0) -> None:
        self.version = version
        self.ensemble = Ensemble.from_recipe(recipe, threads=threads)
        self.geometry = self.ensemble.geometries[0]
        self.heaviest = recipe.weights.index(max(recipe.weights))

    def read(self, images: Sequence[Image]) -> list[DetailedReading]:
        """Readings of grey images, in order; the member with the largest weight says where characters stand."""
        ensemble = self.ensemble
        timed = ensemble.read(images, keep_outputs=True)
        return [
            detail(
                line.reading,
                line.outputs[min(self.heaviest, len(line.outputs) - 1)],
                ensemble.charset,
                accept=ensemble.accept,
                flat=not line.reading.text and line.reading.confidence > 0,
            )
            for line in timed
        ]

    def input_width(self, image: Image) -> int:
        """Input width of the first member."""
        return self.geometry.input_width(self.geometry.resized_width(*image.shape))


def digest_of(recipe: Recipe) -> str:
    """SHA-256 over the files, weights, stretches and settings of a recipe, wherever its files lie."""
    extras = [hash_file(path) if path else "" for path in (recipe.language, recipe.places)]
    numbers = [recipe.weights, recipe.all_stretches, recipe.settings.to_dict(), recipe.accept]
    content = [*map(hash_file, recipe.bundles), *extras, *numbers]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Versions:
    """The versions folder and its table."""

    def __init__(self, folder: Path, store: Store, *, threads: int = 0) -> None:
        """`threads` of the processor that a loaded version reads with, 0 for as many as there are."""
        self.folder, self.store, self.threads = folder, store, threads
        self.registry = Registry(folder)
        self._figures: dict[int, dict[str, float] | None] = {}

    def register(self, recipe: Recipe, *, parent: int | None = None, job: int | None = None, note: str = "") -> Version:
        """Copy a recipe with all its files to a new version; the one that reads alike already is returned instead.

        `note` is kept with the version and with the bundles that are new to the registry. Raises NetchuError for a
        missing or damaged file, or for bundles that do not fit together.
        """
        Ensemble.from_recipe(recipe, threads=self.threads)
        digest = digest_of(recipe)
        with self.store.exclusive("versions"):
            return self.store.version_by_digest(digest) or self._copy(recipe, digest, parent, job, note)

    def _copy(self, recipe: Recipe, digest: str, parent: int | None, job: int | None, note: str) -> Version:
        """A new version of a recipe that is none yet."""
        path = self._file(digest)
        kept = replace(
            recipe,
            bundles=tuple(self.folder / self.registry.add(bundle, note=note).file for bundle in recipe.bundles),
            language=self._keep("language", recipe.language),
            places=self._keep("places", recipe.places),
            path=path,
        )
        write_recipe(path, kept)
        sync_folder(self.folder)
        version = Version(digest=digest, files=[file.name for file in kept.files], parent=parent, job=job, note=note)
        self.store.insert(version)
        return version

    def _file(self, digest: str) -> Path:
        """The recipe of the version with that digest."""
        return self.folder / f"{digest[:16]}.json"

    def get(self, version: int) -> Version:
        """The version of that number; raises RefusalError (404) for an unknown one."""
        row = self.store.get(Version, version)
        if row is None:
            raise RefusalError(404, f"version {version}: there is none of that number", "no_version")
        return row

    def path(self, version: int) -> Path:
        """The recipe's file of a version."""
        return self._file(self.get(version).digest)

    def recipe(self, version: int) -> Recipe:
        """Recipe of a version; raises NetchuError when a file of it has changed."""
        return read_recipe(self.path(version))

    def figures(self, version: Version) -> dict[str, float] | None:
        """What was measured of a version before it came here: lines and CER; None where nothing was."""
        if version.id not in self._figures:
            try:
                about = json.loads(self._file(version.digest).read_text(encoding="utf-8"))
            except (OSError, ValueError):  # `promote` says what is wrong with it
                return None
            measured = about.get("measured") or {}
            known = next((measured[key] for key in ("nested", "chosen_on") if "cer" in measured.get(key, {})), None)
            self._figures[version.id] = {key: known[key] for key in ("lines", "cer")} if known else None
        return self._figures[version.id]

    def load(self, version: int) -> ServedEnsemble:
        """The version's ensemble, ready to read."""
        return ServedEnsemble(version, self.recipe(version), threads=self.threads)

    def note_promotion(self, version: int, *, named: bool = False) -> None:
        """Record that a version serves from now on; `named`: because the command line names it."""
        self.store.insert(Promotion(version=version, named=named))

    def _keep(self, kind: str, path: Path | None) -> Path | None:
        """A copy of a file that decoding opens, named by its content; None for none."""
        if path is None:
            return None
        kept = self.folder / f"{kind}-{hash_file(path)[:12]}{path.suffix}"
        if not kept.is_file():
            with atomic_path(kept) as temporary:
                shutil.copyfile(path, temporary)
        return kept


def describe_parts(version: Version) -> dict[str, int | bool]:
    """What a version reads with: how many members, whether with a language model, whether with places."""
    return {
        "members": sum(name.endswith(".safetensors") for name in version.files),
        "language": any(name.startswith("language-") for name in version.files),
        "places": any(name.startswith("places-") for name in version.files),
    }
