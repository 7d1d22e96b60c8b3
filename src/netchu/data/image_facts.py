"""What the image files of a data set are like, found by opening each of them once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tqdm import tqdm

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.image_files import is_file
from netchu.core.images import read_image
from netchu.core.preprocess import Geometry
from netchu.data.manifest import Line, image_hash
from netchu.data.near_duplicates import Signature, sign

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image's (height, width) in pixels, SHA-256 and signature; or the problem that it has."""

    shape: tuple[int, int] = (0, 0)
    digest: str = ""
    signature: Signature | None = None
    problem: str = ""


def read_image_facts(lines: Sequence[Line]) -> list[ImageFacts]:
    """Open the image of every line; one that is not there has the problem MISSING."""
    with ThreadPoolExecutor(4) as pool:
        return list(tqdm(pool.map(_read_facts, lines), "opening images", len(lines), unit="line"))


def _read_facts(line: Line) -> ImageFacts:
    if not is_file(line.path):
        return ImageFacts(problem=MISSING)
    try:
        image = read_image(line.path)
        return ImageFacts((image.shape[0], image.shape[1]), image_hash(line.path), sign(image))
    except NetchuError as error:
        return ImageFacts(problem=str(error))


def available_steps(facts: ImageFacts, cfg: Config) -> int:
    """Time steps that a line of this size gives a network of this config."""
    geometry = Geometry.of(cfg)
    return geometry.input_width(geometry.resized_width(*facts.shape)) // cfg.width_stride
