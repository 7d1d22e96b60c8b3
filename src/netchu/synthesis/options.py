"""What the three generator scripts share: their arguments, and lines that made-up writers write with fonts."""

import argparse
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.options import add_number, add_options, new_folder
from netchu.synthesis import Rng
from netchu.synthesis.batches import LineMaker, Order, SyntheticLine, contents
from netchu.synthesis.effects import PRESETS
from netchu.synthesis.fonts import choose_faces, find_fonts
from netchu.synthesis.renderer import Renderer
from netchu.synthesis.writers import name_writers


@dataclass(frozen=True, slots=True)
class WrittenLines:
    """All that a line written with fonts depends on besides its number; a subclass says with `sampler` which texts."""

    fonts: tuple[str, ...]
    writers: int
    height: int
    effects: str
    seed: int
    generator: ClassVar[str]

    def sampler(self) -> Callable[[Rng], str]:
        """The function that makes up a text."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """The settings, with fonts by file name so that another machine can go on, and what the files hold."""
        own = asdict(self)
        read = contents(**{key: own[key] for key in ("fonts", "gazetteer", "style_from", "poems") if key in own})
        return {**own, **read, "fonts": [Path(path).name for path in self.fonts], "generator": self.generator}

    def build(self) -> LineMaker:
        """Load texts and fonts; returns the line maker."""
        sample = self.sampler()
        renderer = Renderer([Path(path) for path in self.fonts], self.height, PRESETS[self.effects])
        names = name_writers(renderer.faces, self.writers)

        def make(number: int) -> SyntheticLine:
            rng = np.random.default_rng([self.seed, number])
            writer = names[int(rng.integers(len(names)))]
            text = sample(rng)
            return renderer.render(text, rng, writer), text, writer

        return make


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the shared arguments; of the description the first line counts."""
    parser = argparse.ArgumentParser(
        description=(description or "").partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_number(parser, "--count", int, 1, default=1000, help="how many lines")
    parser.add_argument("--out", type=new_folder, required=True, metavar="DIR", help="of images/ and labels.tsv")
    add_options(parser, "--seed", help="same seed, same bytes")
    where = parser.add_mutually_exclusive_group()
    add_number(where, "--jobs", int, -1, default=2, help="processes; -1: as many as cores")
    where.add_argument("--dask", default="", metavar="URL", help="scheduler of a Dask cluster, tcp://host:8786")
    add_number(parser, "--height", int, 16, 512, default=64, help="height of the images in pixels")
    parser.add_argument("--effects", choices=sorted(PRESETS), default="full", help="table of effects")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="make only part I of N (another machine each)")
    parser.add_argument("--lmdb", action="store_true", help="write one lines.lmdb instead of files")
    return parser


def add_writing(parser: argparse.ArgumentParser) -> None:
    """The arguments of the scripts that write with fonts."""
    parser.add_argument(
        "--fonts", type=Path, help="folder of .ttf and .otf faces; without it, those of this repository"
    )
    parser.add_argument("--faces", default="", metavar="NAMES", help="only these, such as mali,itim; empty: all")
    add_number(parser, "--writers", int, 1, default=1000, help="how many made-up writers share the lines")


def read_order(arguments: argparse.Namespace) -> Order:
    """What to make, from parsed arguments. Raises NetchuError for a bad shard, number or folder."""
    match = re.fullmatch(r"(\d+)/(\d+)", arguments.shard)
    which, shards = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= which <= shards:
        raise NetchuError(f"--shard {arguments.shard}: expected I/N with I from 1 to N, such as 2/8")
    if not arguments.jobs:
        raise NetchuError(f"--jobs {arguments.jobs}: expected 1 or more, or -1 for all cores")
    return Order(arguments.out, arguments.count, arguments.jobs, (which, shards), arguments.dask, arguments.lmdb)


def read_writing(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of WrittenLines. Raises NetchuError for too few writers or no complete face in --fonts."""
    fonts = tuple(str(path) for path in choose_faces(find_fonts(arguments.fonts), arguments.faces))
    return {"fonts": fonts, **{key: getattr(arguments, key) for key in ("writers", "height", "effects", "seed")}}
