"""Out-of-fold outputs of a run: what its model says of the lines that it never trained on, in one compact file.

Combination, decoding and selection are tuned on these files, so that no figure rests on lines that a member has seen.
One .npz without pickles: `about` (JSON), `ids`, `texts`, `writers`, `sources`, `folds`, `widths` (pixels of the
resized line), `starts` (first frame of each line) and `log_probs` (all frames, classes) as float16.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from netchu.core.batches import in_chunks
from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.images import read_image
from netchu.core.metrics import Scores, score
from netchu.core.preprocess import Geometry, resize, to_input
from netchu.core.tidy import tidy_line
from netchu.ctc.decoders import LogProbs, greedy
from netchu.data.manifest import Line, read_lines, split
from netchu.model.bundle import load_bundle
from netchu.model.predict import predict

FORMAT = 1
CHUNK = 256  # images held in memory at once
PAIRED = ("ids", "texts", "writers", "folds", "widths", "log_probs")  # what an OutOfFold has of each line
FLOOR = -14.0  # log-probabilities below it are stored as it: they cost space and decide nothing


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Held-out lines of a run, paired by position. `log_probs` are (T, C) float32, normalised."""

    name: str
    charset: Charset
    width_stride: int
    geometry: Geometry
    ids: list[str]
    texts: list[str]
    writers: list[str]
    folds: list[int]
    widths: list[int]
    log_probs: list[LogProbs]

    def at(self, order: Sequence[int]) -> "OutOfFold":
        """The same with only these lines, in this order."""
        kept: dict[str, Any] = {name: [getattr(self, name)[i] for i in order] for name in PAIRED}
        return replace(self, **kept)


def line_id(line: Line) -> str:
    """A name of the line that is the same on every machine: its source and the end of its path."""
    return f"{line.source}:{'/'.join(line.path.parts[-3:])}"


def save_oof(
    path: Path,
    *,
    cfg: Config,
    charset: Charset,
    lines: Sequence[Line],
    widths: Sequence[int],
    log_probs: Sequence[LogProbs],
    stretch: float = 1.0,
) -> None:
    """Write held-out outputs atomically. `widths`: of each line once resized (`Geometry.resized_width`), in pixels;
    `stretch`: how it was resized.

    Raises NetchuError when two lines have one id, ValueError when the sequences are not paired.
    """
    if not len(lines) == len(widths) == len(log_probs):
        raise ValueError(f"{len(lines)} lines, {len(widths)} widths, {len(log_probs)} outputs")
    ids = [line_id(line) for line in lines]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise NetchuError(f"{path}: two held-out lines are both {twice}; give their sources different names")
    about = {
        "format": FORMAT,
        "name": cfg.name if stretch == 1 else f"{cfg.name}@{stretch:g}",
        "charset": charset.characters,
        "width_stride": cfg.width_stride,
        "geometry": [cfg.height, cfg.max_width, cfg.pad, stretch],
    }
    frames = np.concatenate(log_probs) if log_probs else np.zeros((0, len(charset)), np.float32)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            about=np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), np.uint8),
            ids=np.array(ids, dtype=str),
            texts=np.array([line.text for line in lines], dtype=str),
            writers=np.array([line.origin for line in lines], dtype=str),
            folds=np.array([line.fold for line in lines], np.int8),
            widths=np.array(widths, np.int32),
            starts=np.cumsum([0, *(len(frame) for frame in log_probs)], dtype=np.int64),
            log_probs=np.maximum(frames, FLOOR).astype(np.float16),
        )


def load_oof(path: Path) -> OutOfFold:
    """Read such a file; raises NetchuError when it is missing, damaged or of another format."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            data: dict[str, NDArray[Any]] = dict(stored.items())
        about = json.loads(data["about"].tobytes())
        if about["format"] != FORMAT:
            raise NetchuError(f"{path}: format {about['format']}, this version reads {FORMAT}; write it again")
        outputs = [_normalised(data["log_probs"][a:b].astype(np.float32)) for a, b in pairwise(data["starts"])]
        return OutOfFold(
            name=about["name"],
            charset=Charset(about["charset"]),
            width_stride=about["width_stride"],
            geometry=Geometry(*about["geometry"]),
            **{name: data[name].tolist() for name in PAIRED[:-1]},
            log_probs=outputs,
        )
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such file; write it with: netchu oof") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise NetchuError(f"{path}: is damaged or no out-of-fold file ({error}); write it again") from error


def merge_oof(parts: Sequence[OutOfFold]) -> OutOfFold:
    """The held-out lines of one config's runs over several folds as one; raises NetchuError when they overlap."""
    first = parts[0]
    joined: dict[str, Any] = {name: [x for part in parts for x in getattr(part, name)] for name in PAIRED}
    merged = replace(first, **joined)
    for part in parts[1:]:
        if (part.charset, part.width_stride, part.geometry) != (first.charset, first.width_stride, first.geometry):
            raise NetchuError(f"{part.name}: differs from {first.name} in charset or geometry; merge one config only")
    if len(set(merged.ids)) < len(merged.ids):
        raise NetchuError(f"{first.name}: its out-of-fold files hold a line twice; give each fold once")
    return merged


def _normalised(log_probs: LogProbs) -> LogProbs:
    """Rows that sum to 1 again after rounding."""
    total: LogProbs = np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    return (log_probs - total).astype(np.float32)  # type: ignore[no-any-return]


def measure_oof(bundle_path: Path, manifest: Path, out: Path, source: str = "", stretch: float = 1.0) -> Scores:
    """Read the fold that a bundle held out (or only its lines of one source) and write what it says of them.

    Returns the greedy scores. Raises NetchuError when the bundle was trained on every line, or the manifest has no line
    of its fold.
    """
    bundle = load_bundle(bundle_path)
    cfg, geometry = bundle.cfg, replace(Geometry.of(bundle.cfg), stretch=stretch)
    if not cfg.holds_out:
        raise NetchuError(f"{bundle_path}: was trained on every line; give the bundle of a run that held a fold out")
    lines = [line for line in split(read_lines(manifest), cfg.fold)[1] if source in ("", line.source)]
    if not lines:
        of = f" and source {source}" if source else ""
        raise NetchuError(f"{manifest}: has no real line of fold {cfg.fold}{of}; give the manifest of that run")
    widths: list[int] = []
    outputs: list[LogProbs] = []
    for chosen in in_chunks(lines, CHUNK, "reading"):
        images = [tidy_line(read_image(line.path)) for line in chosen]
        resized = [resize(image, geometry) for image in images]
        widths += [image.shape[1] for image in resized]
        outputs += [p.log_probs for p in predict(bundle.model, [to_input(image, geometry) for image in resized])]
    save_oof(out, cfg=cfg, charset=bundle.charset, lines=lines, widths=widths, log_probs=outputs, stretch=stretch)
    return score([greedy(x, bundle.charset).text for x in outputs], [line.text for line in lines])
