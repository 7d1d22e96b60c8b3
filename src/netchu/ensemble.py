"""N bundles as one recogniser: images in, readings out. Nobody above needs to know how many members there are."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from netchu.checkpoint import Bundle, load_bundle
from netchu.decode import LogProbs, Reading, build_decoder
from netchu.errors import NetchuError
from netchu.predict import predict
from netchu.preprocess import Geometry, Image, resize, to_input


@dataclass(frozen=True, slots=True)
class TimedReading:
    """A reading and the seconds that its preprocessing and its share of the batches took."""

    reading: Reading
    seconds: float


class Ensemble:
    """Members that share a charset; their CTC outputs are averaged frame by frame on a common time grid.

    Probabilities are averaged, never logits: spikes of two members that stand a frame apart then still both count
    (Kurata and Audhkhasi 2019, arXiv:1904.08311, on why they may stand apart).
    """

    def __init__(
        self, bundles: Sequence[Bundle], *, decoder: str = "greedy", precision: str = "auto", batch_size: int = 16
    ) -> None:
        """Raises NetchuError for no bundle, or for one whose charset differs from the first one's."""
        if not bundles:
            raise NetchuError("no bundle given; name at least one with --bundles")
        first = bundles[0]
        for bundle in bundles[1:]:
            if bundle.charset != first.charset:
                differing = sorted(set(bundle.charset.characters) ^ set(first.charset.characters))
                raise NetchuError(
                    f"{bundle.path}: its charset differs from that of {first.path} "
                    f"(in {''.join(differing)!r} or in order); members must be trained on the same manifest"
                )
        self.bundles = list(bundles)
        self.charset = first.charset
        self.decode = build_decoder(decoder)
        self.precision, self.batch_size = precision, batch_size
        for bundle in self.bundles:
            bundle.model.to("cuda" if torch.cuda.is_available() else "cpu")

    @classmethod
    def load(
        cls, paths: Sequence[Path], *, decoder: str = "greedy", precision: str = "auto", batch_size: int = 16
    ) -> "Ensemble":
        """Read the bundles and build their ensemble."""
        return cls([load_bundle(path) for path in paths], decoder=decoder, precision=precision, batch_size=batch_size)

    def read(self, images: Sequence[Image]) -> list[TimedReading]:
        """Readings of grey images (h, w) of any size, in order."""
        seconds = np.zeros(len(images))
        outputs: list[list[LogProbs]] = [[] for _ in images]
        places: list[list[NDArray[np.float64]]] = [[] for _ in images]
        for bundle in self.bundles:
            geometry, inputs, widths = Geometry.of(bundle.cfg), [], []
            for i, image in enumerate(images):
                began = time.perf_counter()
                line = resize(image, geometry)
                widths.append(line.shape[1])
                inputs.append(to_input(line, geometry))
                seconds[i] += time.perf_counter() - began
            for i, prediction in enumerate(
                predict(bundle.model, inputs, precision=self.precision, batch_size=self.batch_size)
            ):
                outputs[i].append(prediction.log_probs)
                places[i].append(frame_places(len(prediction.log_probs), bundle.cfg.width_stride, geometry, widths[i]))
                seconds[i] += prediction.seconds
        results = []
        for i in range(len(images)):
            began = time.perf_counter()
            reading = self.decode(average_frames(outputs[i], places[i]), self.charset)
            results.append(TimedReading(reading, seconds[i] + time.perf_counter() - began))
        return results


def frame_places(steps: int, width_stride: int, geometry: Geometry, width: int) -> NDArray[np.float64]:
    """Middle of each time step as a share of the line's width: 0 its left edge, 1 its right one, padding outside."""
    return ((np.arange(steps) + 0.5) * width_stride - geometry.pad) / width


def average_frames(outputs: Sequence[LogProbs], places: Sequence[NDArray[np.float64]]) -> LogProbs:
    """Log of the members' mean probability (T, C), on the grid of the member with the most time steps.

    `places` gives for each member where its frames stand on the line; the others are interpolated linearly.
    """
    if len(outputs) == 1:
        return outputs[0]
    grid = places[max(range(len(outputs)), key=lambda m: len(outputs[m]))]
    total = np.zeros((len(grid), outputs[0].shape[1]), dtype=np.float64)
    for log_probs, own in zip(outputs, places, strict=True):
        probs = np.exp(log_probs)
        if len(own) == len(grid) and np.allclose(own, grid):
            total += probs
            continue
        position = np.interp(grid, own, np.arange(len(own)))
        left = np.minimum(position.astype(int), len(own) - 1)
        right = np.minimum(left + 1, len(own) - 1)
        part = (position - left)[:, None]
        total += probs[left] * (1 - part) + probs[right] * part
    mean: LogProbs = np.log(np.maximum(total / len(outputs), 1e-30)).astype(np.float32)
    return mean
