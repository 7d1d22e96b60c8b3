"""N bundles as one recogniser: images in, readings out. Nobody above needs to know how many members there are."""

import threading
import time
import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.images import BLANK_CONFIDENCE, Image, is_blank
from netchu.core.preprocess import Geometry, resize, to_input
from netchu.core.tidy import tidy_line
from netchu.ctc.decoders import LogProbs, Reading
from netchu.language.gazetteer import read_places
from netchu.language.ngram import load_ngram
from netchu.reading.combination import APART, FramePositions, frame_positions, spike_offset
from netchu.reading.engines import Member, open_member
from netchu.reading.engines.onnx_engine import OnnxMember
from netchu.reading.line_reader import LineReader
from netchu.reading.long_lines import GAP, join, resize_whole, why_no_line, window_starts, windows, with_spaces
from netchu.reading.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TimedReading:
    """A reading, the seconds that its preprocessing, its share of the batches and its decoding took, and the members'
    log_probs (T, C) behind it where they were asked for. `problem`: why the image can be no line; it has no text then.
    """

    reading: Reading
    seconds: float
    outputs: tuple[LogProbs, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A line as the members read it: (H, w) for each height and stretch among them; the image itself may be dropped."""

    lines: dict[Geometry, Image]
    blank: bool
    seconds: float
    problem: str = ""


class Ensemble:
    """Members that share a charset; `reading.LineReader` combines and decodes their outputs."""

    def __init__(
        self, members: Sequence[Member], recipe: Recipe, *, precision: str = "auto", batch_size: int = 16
    ) -> None:
        """`members`: the recipe's bundles, as `engines.open_member` or `model.load_bundle` opened them.

        Raises NetchuError for no bundle, or for one whose charset differs from the first one's.
        """
        if not members:
            raise NetchuError("no bundle given; name at least one with --bundles")
        first = members[0]
        for member in members[1:]:
            if member.charset != first.charset:
                differing = sorted(set(member.charset.characters) ^ set(first.charset.characters))
                raise NetchuError(
                    f"{member.path}: its charset differs from that of {first.path} "
                    f"(in {''.join(differing)!r} or in order); members must be trained on the same manifest"
                )
        self.members = list(members)
        shapes = zip(members, recipe.all_stretches, strict=True)
        self.geometries = [replace(Geometry.of(member.cfg), stretch=stretch) for member, stretch in shapes]
        self.charset = first.charset
        self.reader = LineReader(
            first.charset,
            recipe.settings,
            weights=recipe.weights,
            language=load_ngram(recipe.language) if recipe.language else None,
            gazetteer=read_places(recipe.places) if recipe.places else None,
        )
        self.accept, self.precision, self.batch_size = recipe.accept, precision, batch_size
        self._decoding = threading.Lock()  # the language model keeps what it has computed
        self._offsets_measured = self.reader.settings.combination != "frame" or len(members) < 2

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, *, precision: str = "auto", batch_size: int = 16, engine: str = "auto", threads: int = 0
    ) -> "Ensemble":
        """Read all files of a recipe and build its ensemble; `engine`, `threads`: see `engines.open_member`."""
        members = _open(recipe.bundles, engine, threads, precision)
        return cls(members, recipe, precision=precision, batch_size=batch_size)

    def on_threads(self, threads: int) -> "Ensemble":
        """The same ensemble with members of its own on so many threads of the CPU; what decoding keeps is shared."""
        other = copy(self)
        other.members = _open([member.path for member in self.members], "onnx", threads, self.precision)
        return other

    @property
    def on_cpu(self) -> bool:
        """Whether all members are onnxruntime's, which several threads may ask at once."""
        return all(isinstance(member, OnnxMember) for member in self.members)

    def read(self, images: Sequence[Image], *, keep_outputs: bool = False) -> list[TimedReading]:
        """Readings of grey images (h, w) of any size, in order; flat paper reads as nothing, and so does an image that
        can be no line by its shape. An empty reading of anything but flat paper has the confidence 0.

        Members are asked in order until a line is clear or sure enough (`clear` and `sure` of the settings). With
        `keep_outputs` each reading has the log_probs of those that were asked. May be called by several threads.
        """
        return self.read_prepared([self.prepare(image) for image in images], keep_outputs=keep_outputs)

    def prepare(self, image: Image) -> Prepared:
        """Reduce a grey image (h, w) to what `read_prepared` needs of it."""
        began = time.perf_counter()
        blank, problem = is_blank(image), why_no_line(image)
        scale = resize if problem else resize_whole
        if not problem:
            image = tidy_line(image)
        lines = {geometry: scale(image, geometry) for geometry in self.geometries}
        return Prepared(lines, blank, time.perf_counter() - began, "" if blank else problem)

    def read_prepared(self, prepared: Sequence[Prepared], *, keep_outputs: bool = False) -> list[TimedReading]:
        """Readings of prepared lines, in order; see `read`."""
        seconds = np.array([line.seconds for line in prepared])
        outputs: list[list[LogProbs]] = [[] for _ in prepared]
        positions: list[list[FramePositions]] = [[] for _ in prepared]
        written = [i for i, line in enumerate(prepared) if keep_outputs or not (line.blank or line.problem)]
        early: dict[int, Reading] = {}
        for number, (member, geometry) in enumerate(zip(self.members, self.geometries, strict=True), 1):
            lines = [prepared[i].lines[geometry] for i in written]
            for i, line, (log_probs, spent) in zip(written, lines, self._predict(member, geometry, lines), strict=True):
                outputs[i].append(log_probs)
                positions[i].append(frame_positions(len(log_probs), member.cfg.width_stride, geometry, line.shape[1]))
                seconds[i] += spent
            if number < len(self.members) and self.reader.ends_early:
                for i in written:
                    began = time.perf_counter()
                    with self._decoding:
                        reading = self.reader.read_early(outputs[i], positions[i])
                    seconds[i] += time.perf_counter() - began
                    if reading:
                        early[i] = reading
                written = [i for i in written if i not in early]
        self._warn_of_offsets(outputs, positions)
        results = []
        for i, one in enumerate(prepared):
            began = time.perf_counter()
            if one.blank or one.problem:
                reading = Reading("", 0.0)
            elif i in early:
                reading = early[i]
            else:
                with self._decoding:
                    reading = self.reader.read(outputs[i], positions[i])
            if not reading.text:
                reading = replace(reading, confidence=BLANK_CONFIDENCE if one.blank else 0.0)
            if self.accept is not None:
                reading = replace(reading, accept=reading.confidence >= self.accept and not one.problem)
            spent = seconds[i] + time.perf_counter() - began
            results.append(TimedReading(reading, spent, tuple(outputs[i]) if keep_outputs else (), one.problem))
        return results

    def _predict(self, member: Member, geometry: Geometry, lines: Sequence[Image]) -> list[tuple[LogProbs, float]]:
        """(log_probs (T, C), seconds) of each resized line, in windows where it is wider than the network takes."""
        pieces, owners, starts, seconds = [], [], [], np.zeros(len(lines))
        for i, line in enumerate(lines):
            began = time.perf_counter()
            whole = to_input(line, geometry)
            starts.append(window_starts(whole.shape[2], geometry.max_width, geometry.height))
            pieces += windows(whole, geometry.max_width, geometry.height)
            owners += [i] * len(starts[-1])
            seconds[i] += time.perf_counter() - began
        found: list[list[LogProbs]] = [[] for _ in lines]
        predictions = member.predict(pieces, precision=self.precision, batch_size=self.batch_size)
        for i, prediction in zip(owners, predictions, strict=True):
            found[i].append(prediction.log_probs)
            seconds[i] += prediction.seconds
        stride, space = member.cfg.width_stride, self.charset.space
        joined = [join(parts, begins, stride) for parts, begins in zip(found, starts, strict=True)]
        for i, begins in enumerate(starts):
            if len(begins) > 1 and space:
                joined[i] = with_spaces(joined[i], space, GAP * geometry.height // stride)
        return list(zip(joined, seconds.tolist(), strict=True))

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


def _open(paths: Sequence[Path], engine: str, threads: int, precision: str) -> list[Member]:
    """The member of each path; a file that stands there twice is opened once. Number formats other than float32 are
    PyTorch's alone, so `auto` follows them."""
    if engine == "auto" and precision not in ("auto", "fp32"):
        engine = "torch"
    opened = {path: open_member(path, engine, threads) for path in dict.fromkeys(paths)}
    return [opened[path] for path in paths]
