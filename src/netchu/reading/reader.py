"""The public reader: a path, bytes, a Pillow image or an array in, a `Reading` out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.images import Image, decode, on_paper, pillow_array, read_image, to_grey, turn_by_exif
from netchu.ctc.decoders import Reading
from netchu.reading.ensemble import Ensemble, TimedReading
from netchu.reading.recipe import default_recipe, plain_recipe, read_recipe
from netchu.reading.submission import WORKERS, cores

if TYPE_CHECKING:
    from netchu.reading.pages import ReadLine


SHARE = 8  # lines that a thread reads at a time where several read


class Reader:
    """Reads line images with the release, or with another recipe."""

    def __init__(
        self,
        recipe: str | Path | None = None,
        *,
        bundles: Sequence[str | Path] = (),
        decoder: str = "greedy",
        engine: str = "auto",
        threads: int = 0,
    ) -> None:
        """`recipe`: an ensemble.json, by default the release that comes with the package; `bundles`: members of equal
        weight instead, read by `decoder`. `engine`: onnx, torch or auto. `threads` of the CPU, 0: as many as there are.

        Raises NetchuError for files that are missing or damaged, and an engine that is not installed.
        """
        if recipe is not None and bundles:
            raise NetchuError("a reader takes a recipe or bundles, not both")
        if bundles:
            chosen = plain_recipe(map(Path, bundles), decoder)
        else:
            chosen = read_recipe(Path(recipe) if recipe is not None else default_recipe())
        self.ensemble = Ensemble.from_recipe(chosen, engine=engine, threads=threads)
        self._threads = threads
        self._alone: Ensemble | None = None  # on one thread, for many lines

    @overload
    def read(self, images: list[Any] | tuple[Any, ...]) -> list[Reading]: ...

    @overload
    def read(self, images: Any) -> Reading: ...

    def read(self, images: Any) -> Reading | list[Reading]:
        """The reading of a line image, or of each of a list of them, in order.

        An image is a path, the bytes of a file, a Pillow image, or an array: grey (h, w) or BGR (h, w, 3), as OpenCV
        reads it. Raises NetchuError for what is no image, and for one that can be no line by its shape.
        """
        many = isinstance(images, list | tuple)
        named = list(images) if many else [images]
        readings = []
        for image, timed in zip(named, self._read(named), strict=True):
            if timed.problem:
                raise NetchuError(f"{name_of(image)}: {timed.problem}")
            readings.append(timed.reading)
        return readings if many else readings[0]

    def _read(self, images: list[Any]) -> list[TimedReading]:
        """Many images are shared out among threads: that beats several threads for each line."""
        workers = min(WORKERS, self._threads or cores(), len(images) // SHARE)
        if workers < 2 or not self.ensemble.on_cpu:
            return _open_and_read(self.ensemble, images)
        self._alone = self._alone or self.ensemble.on_threads(1)
        parts = [images[start : start + SHARE] for start in range(0, len(images), SHARE)]
        with ThreadPoolExecutor(workers) as pool:
            return [timed for part in pool.map(partial(_open_and_read, self._alone), parts) for timed in part]

    def read_page(self, image: Any) -> "list[ReadLine]":
        """The lines of a photographed page in reading order, each with its `box`, `corners`, `text` and `confidence`;
        `image` as in `read`."""
        from netchu.reading.pages import read_page

        def read_lines(images: list[Image]) -> list[Reading]:  # no error for one that can be no line by its shape
            return [timed.reading for timed in self.ensemble.read(images)]

        return read_page(read_lines, open_image(image, page=True), threads=self._threads)


def _open_and_read(ensemble: Ensemble, images: Sequence[Any]) -> list[TimedReading]:
    """Each image is reduced before the next one is opened."""
    return ensemble.read_prepared([ensemble.prepare(open_image(image)) for image in images])


@cache
def shared_reader() -> Reader:
    """The release's reader, opened once a process."""
    return Reader()


def read(images: Any) -> Any:
    """Read with the release, opened once a process; see `Reader.read`."""
    return shared_reader().read(images)


def name_of(image: Any) -> str:
    """What an error message calls an image."""
    return str(image) if isinstance(image, str | Path) else f"the {type(image).__name__}"


def open_image(image: Any, *, page: bool = False) -> Image:
    """Grey (h, w) of whatever `Reader.read` takes, see `images.decode`; raises NetchuError for anything else."""
    if isinstance(image, str | Path):
        return read_image(Path(image), page=page)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), name_of(image), page=page)[0]
    if hasattr(image, "convert") and hasattr(image, "getbands"):  # a Pillow image, without importing Pillow
        try:
            image = pillow_array(turn_by_exif(image))
        except (OSError, ValueError) as error:  # it is decoded only now
            raise NetchuError(f"{name_of(image)}: cannot be decoded ({error}); replace the file") from error
    if not isinstance(image, np.ndarray):
        raise NetchuError(f"{name_of(image)}: is no image; give a path, bytes, a Pillow image or an array")
    if image.ndim not in (2, 3) or not image.size or image.dtype.kind not in "buif":
        raise NetchuError(f"array {image.shape} of {image.dtype}: expected (h, w) grey, or (h, w, 3) BGR")
    if image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4):
        raise NetchuError(f"array {image.shape}: expected (h, w) grey, or (h, w, 3) BGR")
    return on_paper(to_grey(image), page=page)
