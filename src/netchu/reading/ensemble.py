"""N bundles as one recogniser: images in, readings out. Nobody above needs to know how many members there are."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from netchu.core.errors import NetchuError
from netchu.core.images import Image, confidence_of_nothing, is_blank
from netchu.core.preprocess import Geometry, resize, stretched, to_input
from netchu.ctc.decoders import LogProbs, Reading
from netchu.language.gazetteer import Gazetteer, read_places
from netchu.language.ngram import NGram, load_ngram
from netchu.model.bundle import Bundle, load_bundle
from netchu.reading.combination import APART, FramePositions, frame_positions, spike_offset
from netchu.reading.line_reader import LineReader, Settings
from netchu.reading.predict import predict
from netchu.reading.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TimedReading:
    """A reading, the seconds that its preprocessing, its share of the batches and its decoding took, and the members'
    log_probs (T, C) behind it where they were asked for."""

    reading: Reading
    seconds: float
    outputs: tuple[LogProbs, ...] = ()


class Ensemble:
    """Members that share a charset; `reading.LineReader` combines and decodes their outputs."""

    def __init__(
        self,
        bundles: Sequence[Bundle],
        *,
        decoder: str = "greedy",
        settings: Settings | None = None,
        weights: Sequence[float] | None = None,
        stretches: Sequence[float] | None = None,
        language: NGram | None = None,
        gazetteer: Gazetteer | None = None,
        accept: float | None = None,
        precision: str = "auto",
        batch_size: int = 16,
    ) -> None:
        """`settings` replace `decoder`; `stretches`: at which each member reads, see `preprocess`; `accept`: from which
        confidence on a reading is safe (None: not known).

        Raises NetchuError for no bundle, or for one whose charset differs from the first one's.
        """
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
        shapes = zip(bundles, stretches or [1.0] * len(bundles), strict=True)
        self.geometries = [stretched(Geometry.of(bundle.cfg), stretch) for bundle, stretch in shapes]
        self.charset = first.charset
        self.reader = LineReader(
            first.charset,
            settings or Settings(decoder=decoder),
            weights=weights or [1.0] * len(bundles),
            language=language,
            gazetteer=gazetteer,
        )
        self.accept, self.precision, self.batch_size = accept, precision, batch_size
        self._offsets_measured = self.reader.settings.combination != "frame" or len(bundles) < 2
        for bundle in self.bundles:
            bundle.model.to("cuda" if torch.cuda.is_available() else "cpu")

    @classmethod
    def load(
        cls, paths: Sequence[Path], *, decoder: str = "greedy", precision: str = "auto", batch_size: int = 16
    ) -> "Ensemble":
        """Read the bundles and build their ensemble."""
        return cls([load_bundle(path) for path in paths], decoder=decoder, precision=precision, batch_size=batch_size)

    @classmethod
    def from_recipe(cls, recipe: Recipe, *, precision: str = "auto", batch_size: int = 16) -> "Ensemble":
        """Read all files of a recipe and build its ensemble."""
        opened = {path: load_bundle(path) for path in recipe.bundles}
        return cls(
            [opened[path] for path in recipe.bundles],
            settings=recipe.settings,
            weights=recipe.weights,
            stretches=recipe.all_stretches,
            language=load_ngram(recipe.language) if recipe.language else None,
            gazetteer=read_places(recipe.places) if recipe.places else None,
            accept=recipe.accept,
            precision=precision,
            batch_size=batch_size,
        )

    def read(self, images: Sequence[Image], *, keep_outputs: bool = False) -> list[TimedReading]:
        """Readings of grey images (h, w) of any size, in order; flat paper reads as nothing.

        An empty reading of anything else has the confidence 0. With `keep_outputs` each has its members' log_probs.
        """
        seconds = np.zeros(len(images))
        outputs: list[list[LogProbs]] = [[] for _ in images]
        positions: list[list[FramePositions]] = [[] for _ in images]
        for bundle, geometry in zip(self.bundles, self.geometries, strict=True):
            inputs, widths = [], []
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
                positions[i].append(
                    frame_positions(len(prediction.log_probs), bundle.cfg.width_stride, geometry, widths[i])
                )
                seconds[i] += prediction.seconds
        self._warn_of_offsets(outputs, positions)
        results = []
        for i in range(len(images)):
            began = time.perf_counter()
            blank = is_blank(images[i])
            reading = Reading("", 0.0) if blank else self.reader.read(outputs[i], positions[i])
            if not reading.text:
                reading = replace(reading, confidence=confidence_of_nothing(images[i]))
            kept = tuple(outputs[i]) if keep_outputs else ()
            results.append(TimedReading(reading, seconds[i] + time.perf_counter() - began, kept))
        return results

    def _warn_of_offsets(
        self, outputs: Sequence[Sequence[LogProbs]], positions: Sequence[Sequence[FramePositions]]
    ) -> None:
        """Warn once when frames are averaged although the members' spikes stand apart."""
        if self._offsets_measured:
            return
        pairs = zip(outputs, positions, strict=True)
        offsets = [x for line, own in pairs if (x := spike_offset(line, own)) is not None]
        if offsets:
            self._offsets_measured = True
            if np.mean(offsets) > APART:
                warnings.warn(
                    f"the members' spikes stand {np.mean(offsets):.2f} frames apart (mean of {len(offsets)} lines; "
                    f"up to {APART} is safe to average): read with combination rescore",
                    stacklevel=3,
                )
