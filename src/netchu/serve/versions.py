"""Model versions: immutable copies of bundles, and the ensembles that are served from them.

A version is named by a number and known by the hash of its files, so the same bundles are never registered twice.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from netchu.atomic import atomic_path
from netchu.checkpoint import hash_file
from netchu.ensemble import Ensemble
from netchu.errors import NetchuError
from netchu.preprocess import Geometry, Image
from netchu.serve.confidence import DetailedReading, detail
from netchu.serve.store import Promotion, Store, Version


class ServedEnsemble:
    """An ensemble as the batching queue wants it (see `batching.Recogniser`)."""

    def __init__(self, version: int, paths: Sequence[Path], decoder: str) -> None:
        self.version = version
        self.ensemble = Ensemble.load(paths, decoder=decoder)
        self.geometry = Geometry.of(self.ensemble.bundles[0].cfg)

    def read(self, images: Sequence[Image]) -> list[DetailedReading]:
        """Readings of grey images, in order."""
        timed = self.ensemble.read(images, keep_outputs=True)
        return [detail(line.reading, line.outputs[0], self.ensemble.charset) for line in timed]

    def input_width(self, image: Image) -> int:
        """Input width of the first member."""
        return self.geometry.input_width(self.geometry.resized_width(*image.shape))


class Versions:
    """The versions folder and its table."""

    def __init__(self, folder: Path, store: Store, *, decoder: str = "greedy") -> None:
        self.folder, self.store, self.decoder = folder, store, decoder

    def register(
        self, bundles: Sequence[Path], *, parent: int | None = None, job: int | None = None, note: str = ""
    ) -> Version:
        """Copy bundles to a new version; the one that has the same content already is returned instead.

        Raises NetchuError for a missing or damaged bundle, or for bundles that do not fit together.
        """
        Ensemble.load(bundles)
        hashes = [hash_file(path) for path in bundles]
        digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
        known = self.store.version_by_digest(digest)
        if known is not None:
            return known
        files = []
        for member, path in enumerate(bundles):
            files.append(f"{digest[:16]}/{member}.safetensors")
            with atomic_path(self.folder / files[-1]) as temporary:
                shutil.copyfile(path, temporary)
        version = Version(digest=digest, files=files, parent=parent, job=job, note=note)
        self.store.insert(version)
        return version

    def paths(self, version: int) -> list[Path]:
        """Bundles of a version; raises NetchuError when there is none of that number."""
        row = self.store.version(version)
        if row is None:
            raise NetchuError(f"version {version}: there is none of that number")
        return [self.folder / name for name in row.files]

    def load(self, version: int) -> ServedEnsemble:
        """The version's ensemble, ready to read."""
        return ServedEnsemble(version, self.paths(version), self.decoder)

    def note_promotion(self, version: int) -> None:
        """Record that a version serves from now on."""
        self.store.insert(Promotion(version=version))
