"""Whether a release reads alike on both engines: the same texts, and log-probabilities within 2e-3."""

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from netchu.core.images import Image
from netchu.reading.ensemble import Ensemble
from netchu.reading.recipe import Recipe

MAX_DIFFERENCE = 2e-3  # of log-probabilities: sums in another order; a PP member at 64 px came to 1.0e-3 over 411 lines
CHUNK = 16  # lines in memory at once


def open_both(recipe: Recipe) -> tuple[Ensemble, Ensemble]:
    """The recipe's ensemble on PyTorch and on onnxruntime, both in float32."""
    torch, onnx = (Ensemble.from_recipe(recipe, precision="fp32", engine=engine) for engine in ("torch", "onnx"))
    return torch, onnx


def compare_engines(
    first: Ensemble, second: Ensemble, lines: Sequence[tuple[str, Callable[[], Image]]]
) -> tuple[float, list[str]]:
    """Read named lines with both: the largest difference of their members' log-probabilities (infinite for outputs of
    other shapes), and a sentence for each line whose texts differ. Images are opened as they are read."""
    largest, found = 0.0, []
    with tqdm(total=len(lines), unit="line", desc="comparing engines") as bar:
        for start in range(0, len(lines), CHUNK):
            chosen = lines[start : start + CHUNK]
            images = [opened() for _, opened in chosen]
            pairs = zip(*(e.read(images, keep_outputs=True) for e in (first, second)), strict=True)
            for (name, _), (a, b) in zip(chosen, pairs, strict=True):
                if a.reading.text != b.reading.text:
                    found.append(f"{name}: torch reads {a.reading.text!r}, onnx {b.reading.text!r}")
                # A line whose likelihood is that of a threshold may ask one member more on one of them.
                for one, other in zip(a.outputs, b.outputs, strict=False):
                    apart = float(np.abs(one - other).max(initial=0)) if one.shape == other.shape else float("inf")
                    largest = max(largest, apart)
            bar.update(len(chosen))
    return largest, found
