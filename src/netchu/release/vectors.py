"""Test vectors of a release, synthetic lines and what it reads in them; and whether it reads alike on both engines.

A JSON file with `tolerance` (of a confidence) and `lines`: each an image file (`image`, base64 of JPEG or PNG bytes, as
the generator stored it), its `label`, the `text` that is read and its `confidence`. Readings are made in float32, so
that a processor with bfloat16 reads the same as one without; a port to another language has `export.vectors` instead.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from netchu.core.batches import in_chunks
from netchu.core.errors import NetchuError
from netchu.core.files import write_json
from netchu.core.images import Image
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe
from netchu.reading.submission import read_labels

FORMAT = 1
COUNT = 12  # lines
CHUNK = 16  # lines in memory at once
MAX_DIFFERENCE = 2e-3  # of log-probabilities: sums in another order; a PP member at 64 px came to 1.0e-3 over 411 lines
TOLERANCE = 0.02  # by which a confidence may differ on another machine; a text may not
MAKE = "python synthetic_data/gendata_address.py --count 12 --out"


@dataclass(frozen=True, slots=True)
class Vector:
    """A line image as stored (`data`), its label, and the reading of a release."""

    data: bytes
    label: str
    text: str
    confidence: float

    @property
    def image(self) -> Image:
        """The image, grey (h, w)."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def open_exact(recipe: Recipe, engine: str = "auto") -> Ensemble:
    """The recipe's ensemble in float32."""
    return Ensemble.from_recipe(recipe, precision="fp32", engine=engine)


def make_vectors(folder: Path, ensemble: Ensemble) -> list[Vector]:
    """Read the first lines of a folder of synthetic lines, `labels.tsv` and images.

    Raises NetchuError when there are too few, or an image cannot be decoded.
    """
    labels = dict(list(read_labels(folder / "labels.tsv", folder).items())[:COUNT])
    if len(labels) < COUNT:
        raise NetchuError(f"{folder / 'labels.tsv'}: {len(labels)} lines, {COUNT} are needed; make more: {MAKE} DIR")
    vectors = []
    for name, label in labels.items():
        data = (folder / name).read_bytes()
        if not data or cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) is None:
            raise NetchuError(f"{folder / name}: is not an image that can be decoded; make the lines again: {MAKE} DIR")
        vectors.append(Vector(data, label, "", 0.0))
    readings = [timed.reading for timed in ensemble.read([vector.image for vector in vectors])]
    return [Vector(v.data, v.label, r.text, r.confidence) for v, r in zip(vectors, readings, strict=True)]


def differences(ensemble: Ensemble, vectors: Sequence[Vector]) -> list[str]:
    """One sentence for each line that the ensemble does not read as the vectors say; empty when it reads all so."""
    found = []
    for number, (vector, timed) in enumerate(zip(vectors, ensemble.read([v.image for v in vectors]), strict=True), 1):
        reading = timed.reading
        if reading.text != vector.text:
            found.append(f"line {number}: reads {reading.text!r}, the vectors say {vector.text!r}")
        elif abs(reading.confidence - vector.confidence) > TOLERANCE:
            found.append(f"line {number}: confidence {reading.confidence:.3f}, the vectors say {vector.confidence:.3f}")
    return found


def compare_engines(
    first: Ensemble, second: Ensemble, lines: Sequence[tuple[str, Callable[[], Image]]]
) -> tuple[float, list[str]]:
    """Read named lines with both: the largest difference of their members' log-probabilities (infinite for outputs of
    other shapes), and a sentence for each line whose texts differ. Images are opened as they are read."""
    largest, found = 0.0, []
    for chosen in in_chunks(lines, CHUNK, "comparing engines"):
        images = [opened() for _, opened in chosen]
        pairs = zip(*(e.read(images, keep_outputs=True) for e in (first, second)), strict=True)
        for (name, _), (a, b) in zip(chosen, pairs, strict=True):
            if a.reading.text != b.reading.text:
                found.append(f"{name}: torch reads {a.reading.text!r}, onnx {b.reading.text!r}")
            # A line whose likelihood is that of a threshold may ask one member more on one of them.
            for one, other in zip(a.outputs, b.outputs, strict=False):
                apart = float(np.abs(one - other).max(initial=0)) if one.shape == other.shape else float("inf")
                largest = max(largest, apart)
    return largest, found


def save_vectors(path: Path, vectors: Sequence[Vector]) -> None:
    """Write the file, atomically."""
    rows = [
        {"image": base64.b64encode(v.data).decode("ascii"), "label": v.label, "text": v.text,
         "confidence": round(v.confidence, 4)}
        for v in vectors
    ]  # fmt: skip
    about = {"format": FORMAT, "tolerance": TOLERANCE, "lines": rows}
    write_json(path, about)


def load_vectors(path: Path) -> list[Vector]:
    """Read the file; raises NetchuError when it is missing, damaged or of another format."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise NetchuError(f"{path}: format {about['format']}, this version reads {FORMAT}; release again")
        return [
            Vector(base64.b64decode(row["image"]), row["label"], row["text"], row["confidence"])
            for row in about["lines"]
        ]
    except FileNotFoundError:
        raise NetchuError(f"{path}: no test vectors; netchu release writes them") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NetchuError(f"{path}: is no file of test vectors ({error!r}); release again") from error
