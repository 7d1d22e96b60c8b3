"""From manifest lines to batches: decoded-line cache, feasibility filter, width buckets, collation.

What a training line looks like depends only on (seed, epoch, line), and which lines form a batch only on
(seed, epoch), so a resumed run continues as if it had never stopped, whatever the number of workers.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm import tqdm

from netchu.core.charset import Charset, required_steps
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.images import Image, read_image
from netchu.core.preprocess import Geometry, Input, resize, to_input
from netchu.data.manifest import Line
from netchu.training.augment import Augmenter

ORIENTATION = 0x0112  # EXIF tag
POOL_BATCHES = 20  # batches sorted by width together: little padding, still a random order

Key = tuple[int, int]  # (epoch, position in the dataset)


@dataclass(frozen=True, slots=True)
class Batch:
    """What travels to a training step: images (N, 1, H, W), targets (N, L) padded with 0, lengths (N,)."""

    images: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]
    names: list[str]

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, less its lengths (called by the DataLoader on a GPU machine)."""
        return replace(self, images=self.images.pin_memory(), targets=self.targets.pin_memory())


class LineDataset(Dataset[tuple[Input, Line]]):
    """Lines that CTC can fit, decoded once into memory up to `cfg.cache_mb`; items are (input, line).

    `excluded` lists the lines that need more time steps than their width gives. Raises NetchuError for an image
    that cannot be read or when no line is left.
    """

    def __init__(self, lines: Sequence[Line], cfg: Config, *, train: bool) -> None:
        self.geometry = Geometry.of(cfg)
        self.width_stride = cfg.width_stride
        self.seed = cfg.seed
        self.augmenter = Augmenter(cfg.augment) if train and cfg.augment != "none" else None
        self.streams = bool(cfg.synthetic_source) and train
        limit = cfg.cache_mb * 1_000_000
        self.cached_bytes = 0
        self.lines: list[Line] = []
        self.excluded: list[Line] = []
        self.widths: list[int] = []  # of resized lines, pixels
        self._cache: list[Image | None] = []
        with ThreadPoolExecutor(4) as pool:
            loaded = pool.map(lambda line: self._open(line, keep=self.cached_bytes < limit), lines)
            for line, (width, image) in zip(
                lines, tqdm(loaded, "reading lines", len(lines), unit="line", leave=False), strict=True
            ):
                if train and self._steps(width) < required_steps(line.text):
                    self.excluded.append(line)
                    continue
                self.lines.append(line)
                self.widths.append(width)
                self._cache.append(image)
                self.cached_bytes += image.nbytes if image is not None else 0
        self._lasting = len(self.lines)
        if not self.lines and not self.streams:
            raise NetchuError(
                f"{lines[0].path if lines else 'manifest'}: no line is left that CTC can fit; "
                "use --set width_stride=4 or a larger height"
            )

    def replace_synthetic(self, lines: Iterable[tuple[Image, str]]) -> None:
        """Put an epoch's synthetic lines, images uint8 (h, w) and texts, behind the lasting ones and drop the last
        epoch's; a line too narrow for its text is left out."""
        del self.lines[self._lasting :], self.widths[self._lasting :], self._cache[self._lasting :]
        for number, (image, text) in enumerate(lines):
            line = resize(image, self.geometry)
            if self._steps(line.shape[1]) >= required_steps(text):
                self.lines.append(Line(Path(f"synthetic/{number}"), text, source="synthetic", aug="synthetic"))
                self.widths.append(line.shape[1])
                self._cache.append(line)

    def _open(self, line: Line, *, keep: bool) -> tuple[int, Image | None]:
        """(resized width, decoded line or None). Without keeping it, only the file's header is read."""
        if keep:
            image = resize(read_image(line.path), self.geometry)
            return image.shape[1], image
        try:
            with PillowImage.open(line.path) as header:
                width, height = header.size
                if header.getexif().get(ORIENTATION, 1) >= 5:  # lies on its side; decoding turns it
                    width, height = height, width
        except OSError:
            height, width = read_image(line.path).shape
        return self.geometry.resized_width(height, width), None

    def _steps(self, width: int) -> int:
        """Time steps of a resized line of `width` pixels."""
        return self.geometry.input_width(width) // self.width_stride

    def __len__(self) -> int:
        return len(self.lines)

    def __getitems__(self, keys: Sequence[Key]) -> "list[tuple[Input, Line]] | NetchuError":
        """The items of a batch. A mistake of the user is returned, not raised, so that it leaves a worker process as it
        is, without the worker's traceback in its text."""
        try:
            return [self[key] for key in keys]
        except NetchuError as error:
            return error

    def __getitem__(self, key: Key) -> tuple[Input, Line]:
        """The network's input (1, H, W) of line `key[1]`, augmented for epoch `key[0]`."""
        epoch, position = key
        line, image = self.lines[position], self._cache[position]
        if image is None:
            image = resize(read_image(line.path), self.geometry)
        if self.augmenter is not None:
            seed = int(np.random.SeedSequence((self.seed, epoch, position)).generate_state(1)[0])
            changed = self.augmenter(image, seed)
            if self._steps(changed.shape[1]) >= required_steps(line.text):  # a shrink must not make it unreadable
                image = changed
        return to_input(image, self.geometry), line

    def exclusion_report(self, most: int = 5) -> str:
        """How many lines were left out as too narrow for their labels, and the first of them by name."""
        if not self.excluded:
            return ""
        named = "; ".join(f"{line.path} ({required_steps(line.text)} steps needed)" for line in self.excluded[:most])
        more = f"; and {len(self.excluded) - most} more" if len(self.excluded) > most else ""
        return f"{len(self.excluded)} lines left out, too narrow for their labels: {named}{more}"


class BucketSampler(Sampler[list[Key]]):
    """Batches of lines of like width, drawn anew each epoch; rank r of n takes every n-th batch.

    An epoch draws `cfg.epoch_lines` lines (0: as many as there are real ones), of them `cfg.synthetic_share`
    synthetic and `cfg.helping_share` helping ones where the data has these kinds beside others. A batch has
    `cfg.batch_size` lines, or fewer when they would have over `cfg.batch_pixels` pixels. `epoch` and `start` (batches
    already done) place it; set them before iterating.
    """

    def __init__(self, dataset: LineDataset, cfg: Config, rank: int = 0, ranks: int = 1) -> None:
        self.dataset = dataset
        self.batch_size, self.batch_pixels = cfg.batch_size, cfg.batch_pixels
        self.seed, self.rank, self.ranks = cfg.seed, rank, ranks
        real = sum(line.is_real for line in dataset.lines)
        helping = sum(line.is_helping for line in dataset.lines)
        synthetic = len(dataset.lines) - real - helping
        total = cfg.epoch_lines or real or synthetic or helping
        if not total:
            raise NetchuError(
                "epoch_lines=0: with synthetic lines alone, say how many an epoch has (--set epoch_lines=N)"
            )
        has_synthetic = bool(synthetic) or dataset.streams
        synthetic_share = cfg.synthetic_share if has_synthetic else 0.0
        helping_share = cfg.helping_share if helping else 0.0
        if not real:  # what is there makes up the epoch
            whole = synthetic_share + helping_share
            synthetic_share = synthetic_share / whole if whole else float(has_synthetic)
            helping_share = 1 - synthetic_share
        self.synthetic_count = round(total * synthetic_share)
        self.helping_count = round(total * helping_share)
        self.real_count = total - self.synthetic_count - self.helping_count
        self.epoch = 0
        self.start = 0

    @property
    def epoch_lines(self) -> int:
        """Lines that an epoch draws."""
        return self.real_count + self.synthetic_count + self.helping_count

    def __iter__(self) -> Iterator[list[Key]]:
        yield from self.plan()[self.start :]

    def plan(self) -> list[list[Key]]:
        """All batches of the present epoch on this rank; every rank has equally many."""
        rng = np.random.default_rng((self.seed, self.epoch))
        widths = np.array(self.dataset.widths)
        real = np.array([line.is_real for line in self.dataset.lines])
        helping = np.array([line.is_helping for line in self.dataset.lines])
        drawn = np.concatenate(
            [
                _draw(np.flatnonzero(real), self.real_count, rng),
                _draw(np.flatnonzero(~real & ~helping), self.synthetic_count, rng),
                _draw(np.flatnonzero(helping), self.helping_count, rng),
            ]
        )
        rng.shuffle(drawn)
        batches: list[list[Key]] = []
        for pool_start in range(0, len(drawn), POOL_BATCHES * self.batch_size):
            pool = drawn[pool_start : pool_start + POOL_BATCHES * self.batch_size]
            pool = pool[np.argsort(widths[pool], kind="stable")]
            while len(pool):
                count = self._lines_that_fit(widths[pool[: self.batch_size]])
                batches.append([(self.epoch, int(i)) for i in pool[:count]])
                pool = pool[count:]
        order = rng.permutation(len(batches))
        if len(order) < self.ranks:
            order = np.resize(order, self.ranks)
        whole = len(order) // self.ranks * self.ranks
        return [batches[i] for i in order[:whole][self.rank :: self.ranks]]

    def _lines_that_fit(self, widths: np.ndarray) -> int:
        """How many of the next lines, of rising widths, make a batch."""
        if not self.batch_pixels:
            return len(widths)
        geometry = self.dataset.geometry
        pixels = [geometry.height * geometry.input_width(int(w)) * n for n, w in enumerate(widths, 1)]
        return max(1, sum(p <= self.batch_pixels for p in pixels))


def _draw(positions: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the positions: each once before any comes again."""
    if count == 0:
        return positions[:0]
    rounds = [rng.permutation(positions) for _ in range(-(-count // len(positions)))]
    return np.concatenate(rounds)[:count]


def collate(charset: Charset, items: Sequence[tuple[Input, Line]]) -> Batch:
    """Items (1, H, W_i) -> Batch with W the largest W_i: widths are padded with paper, labels with zeros."""
    images = torch.zeros(len(items), 1, items[0][0].shape[1], max(image.shape[2] for image, _ in items))
    codes = [charset.encode(line.text) for _, line in items]
    lengths = torch.tensor([len(code) for code in codes])
    targets = torch.zeros(len(items), max(1, int(lengths.max())), dtype=torch.int64)
    for i, ((image, _), code) in enumerate(zip(items, codes, strict=True)):
        images[i, :, :, : image.shape[2]] = torch.from_numpy(image)
        targets[i, : len(code)] = torch.tensor(code, dtype=torch.int64)
    return Batch(images, targets, lengths, [line.text for _, line in items], [str(line.path) for _, line in items])


def collate_or_error(charset: Charset, items: Sequence[tuple[Input, Line]] | NetchuError) -> Batch | NetchuError:
    """The batch, or the mistake that `LineDataset.__getitems__` found instead of its items."""
    return items if isinstance(items, NetchuError) else collate(charset, items)
