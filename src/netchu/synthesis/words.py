"""Where the words of real lines end, as a trained bundle sees it; more lines can be cut so than by their ink alone.

`find_words` reads each line with the bundle, lays the label along the outputs (CTC's best path), and notes where the
first and the last letter of each word stand. They are kept in a JSON file, since many processes need them.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netchu.core.batches import in_chunks
from netchu.core.errors import NetchuError
from netchu.core.files import write_text
from netchu.core.images import read_image
from netchu.core.preprocess import Geometry, resize, to_input
from netchu.ctc.alignment import align
from netchu.data.manifest import Line
from netchu.model.bundle import load_bundle, read_bundle
from netchu.model.predict import predict

CHUNK = 256
LEAST = -1.0  # mean log-probability per letter below which a label and its line do not fit
REACH = 1.5  # how far the ink of an outermost letter reaches from its middle, in mean distances between letters

Words = list[tuple[float, float]]  # middles of the first and last letter of each word, as shares of the line's width


def find_words(lines: Sequence[Line], bundle_path: Path) -> dict[str, Words]:
    """Words of each line by image path; lines whose label the bundle does not find there are left out."""
    bundle = load_bundle(bundle_path)
    geometry, stride = Geometry.of(bundle.cfg), bundle.cfg.width_stride
    found: dict[str, Words] = {}
    for chosen in in_chunks(lines, CHUNK, "finding words"):
        resized = [resize(read_image(line.path), geometry) for line in chosen]
        predictions = predict(bundle.model, [to_input(line, geometry) for line in resized])
        for line, image, prediction in zip(chosen, resized, predictions, strict=True):
            text = " ".join(line.text.split())
            if not text or bundle.charset.count_unknown([text]):
                continue
            try:
                steps, total = align(prediction.log_probs, bundle.charset.encode(text))
            except ValueError:
                continue
            if total / len(text) > LEAST:
                middles = pull_ends((steps + 0.5) * stride - geometry.pad) / image.shape[1]
                ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
                starts = [0, *(ends[:-1] + 1)]
                found[str(line.path)] = [
                    (float(middles[a]), float(middles[b - 1])) for a, b in zip(starts, ends, strict=True)
                ]
    return found


def pull_ends(middles: np.ndarray) -> np.ndarray:
    """Letter positions (L,), with outer ones drawn in to at most three usual distances from their inner neighbour.

    A recurrent neck may well say the outermost letters of a line only at the edge of its image.
    """
    pulled = middles.astype(float)
    if len(pulled) < 3:
        return pulled
    far = 3 * float(np.median(np.diff(pulled)))
    for i in range(len(pulled) // 2, len(pulled)):
        pulled[i] = min(pulled[i], pulled[i - 1] + far)
    for i in range(len(pulled) // 2, -1, -1):
        pulled[i] = max(pulled[i], pulled[i + 1] - far)
    return pulled


def name_weights(bundle: Path) -> str:
    """The hash of a bundle's weights."""
    weights: str = read_bundle(bundle)[1]["hashes"]["weights"]
    return weights


def save_words(path: Path, lines: Sequence[Line], bundle_path: Path) -> None:
    """Write the words of `lines` to `path`, unless they stand there already from the same bundle and lines."""
    labels = json.dumps([(str(line.path), line.text) for line in lines])
    about = {"bundle": name_weights(bundle_path), "lines": hashlib.sha256(labels.encode()).hexdigest()}
    try:
        began = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        began = {}
    if isinstance(began, dict) and about.items() <= began.items():
        return
    found = find_words(lines, bundle_path)
    write_text(path, json.dumps({**about, "words": found}, ensure_ascii=False))
    print(f"{bundle_path}: sees the words of {len(found)} of {len(lines)} lines")


def load_words(path: Path) -> dict[str, Words]:
    """The words that `save_words` wrote. Raises NetchuError for a file that is gone or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["words"]
        return {name: [(first, last) for first, last in words] for name, words in found.items()}
    except (OSError, ValueError, KeyError) as error:
        raise NetchuError(f"{path}: cannot be read ({error}); run again into another --out") from error


def cut_at(ink: np.ndarray, words: Words, letters: int) -> list[tuple[int, int]]:
    """Columns (start, stop) of each word of ink (H, W) that holds `letters` letters and spaces.

    It is cut where least ink stands between two words. What lies farther out than the first and last letter can reach
    is not theirs. Returns [] when a word is empty.
    """
    width = ink.shape[1]
    filled = ink.sum(0)
    cuts = []
    for (_, before), (after, _) in itertools.pairwise(words):
        left = int(np.clip(before * width, 0, width - 2))
        right = int(np.clip(after * width, left + 2, width))
        between = filled[left:right]
        least = np.flatnonzero(between <= between.min() + 0.5)
        cuts.append(left + int(least[len(least) // 2]))
    first, last = words[0][0] * width, words[-1][1] * width
    reach = max(REACH * (last - first) / letters, 0.3 * len(ink))
    edges = [max(0, round(first - reach)), *cuts, min(width, round(last + reach))]
    spans = []
    for start, stop in itertools.pairwise(edges):
        columns = np.flatnonzero((ink[:, start:stop] > 0.3).any(0))
        if not len(columns):
            return []
        spans.append((start + int(columns[0]), start + int(columns[-1]) + 1))
    return spans
