"""Whether a retrained recipe may serve: the held-out lines of its job, read with the whole recipe before and after."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netchu.core.metrics import score, score_by_source
from netchu.core.preprocess import read_image
from netchu.ctc.decoders import Reading
from netchu.data.manifest import Line, read_manifest, split
from netchu.reading.confidence import measure_coverage
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe

READ_AT_ONCE = 256  # lines


def compare(folder: Path, old: Recipe, new: Recipe, fold: int) -> dict[str, Any]:
    """Scores of the held-out lines as the two recipes read them, by source too; `better` says that CER has not grown,
    `accept` is what remains of the old recipe's threshold."""
    _, held_out = split(read_manifest(folder / "manifest.csv"), fold)
    readings: list[Reading] = []
    sides = {}
    for side, recipe in (("before", old), ("after", new)):
        ensemble, readings = Ensemble.from_recipe(recipe), []
        for start in range(0, len(held_out), READ_AT_ONCE):
            images = [read_image(line.path) for line in held_out[start : start + READ_AT_ONCE]]
            readings += [timed.reading for timed in ensemble.read(images)]
        sides[side] = _by_source([reading.text for reading in readings], held_out)
    return {
        **sides,
        "better": sides["after"]["all"]["cer"] <= sides["before"]["all"]["cer"],
        "accept": keep_threshold(old.accept, readings, [line.text for line in held_out]),
    }


def keep_threshold(accept: float | None, readings: Sequence[Reading], labels: Sequence[str]) -> float | None:
    """From which confidence on new readings are safe: the old threshold, raised until 99 % of the accepted held-out
    lines are right; None when no confidence makes them so."""
    if accept is None:
        return None
    right = [reading.text == label for reading, label in zip(readings, labels, strict=True)]
    needed, _ = measure_coverage([reading.confidence for reading in readings], right).accept()
    return None if math.isinf(needed) else max(accept, needed)


def _by_source(texts: Sequence[str], lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    labels = [line.text for line in lines]
    parts = score_by_source(texts, labels, [line.source or "base" for line in lines])
    return {name: scores.to_dict() for name, scores in {"all": score(texts, labels), **parts}.items()}
