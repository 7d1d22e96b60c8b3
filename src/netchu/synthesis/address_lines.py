"""Makes lines with made-up addresses: `python synthetic_data/gendata_address.py --count 1000 --out DIR`."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netchu.core.errors import NetchuError
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import open_gazetteers
from netchu.synthesis.batches import LineMaker, SyntheticLine, produce
from netchu.synthesis.effects import PRESETS
from netchu.synthesis.options import add_writing, make_parser, read_fonts, read_order
from netchu.synthesis.renderer import Renderer
from netchu.synthesis.text_style import CINNAMON, KALAPA, TextStyle, measure_style, read_texts
from netchu.synthesis.writers import name_writers

STYLES = {"kalapa": (KALAPA,), "cinnamon": (CINNAMON,), "both": (KALAPA, CINNAMON)}


@dataclass(frozen=True, slots=True)
class AddressLines:
    """All that an address line depends on besides its number. Empty paths mean the packaged thing."""

    fonts: tuple[str, ...]
    writers: int
    height: int
    effects: str
    seed: int
    gazetteer: tuple[str, ...] = ()
    style: str = "both"
    style_from: str = ""
    blank: float = 0.0

    def record(self) -> dict[str, Any]:
        """The settings, with fonts by file name so that another machine can go on."""
        return {**asdict(self), "fonts": [Path(path).name for path in self.fonts], "generator": "address"}

    def build(self) -> LineMaker:
        """Load gazetteer, style and fonts; returns the line maker."""
        gazetteer = open_gazetteers(self.gazetteer)
        grammar = AddressGrammar(gazetteer, choose_styles(self.style, self.style_from))
        renderer = Renderer([Path(path) for path in self.fonts], self.height, PRESETS[self.effects])
        names = name_writers(renderer.faces, self.writers)

        def make(number: int) -> SyntheticLine:
            rng = np.random.default_rng([self.seed, number])
            writer = names[int(rng.integers(len(names)))]
            text = "" if rng.random() < self.blank else grammar.sample(rng)
            return renderer.render(text, rng, writer), text, writer

        return make


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which addresses are made up."""
    parser.add_argument(
        "--gazetteer",
        nargs="*",
        default=[],
        metavar="DIR",
        help="gazetteer folders, put together; packaged: the package's",
    )
    parser.add_argument("--style", choices=sorted(STYLES), default="both", help="text style of the addresses")
    parser.add_argument("--style-from", default="", metavar="LABELS", help="label file whose text style is imitated")


def choose_styles(style: str, style_from: str) -> tuple[TextStyle, ...]:
    """The text styles of a key of STYLES, or the one measured on the label file `style_from`. Raises NetchuError."""
    return (measure_style(read_texts(Path(style_from))),) if style_from else STYLES[style]


def main() -> None:
    """Read the arguments and make the lines."""
    parser = make_parser(__doc__.splitlines()[0] if __doc__ else "")
    add_writing(parser)
    add_addresses(parser)
    parser.add_argument("--blank", type=float, default=0.0, help="share of lines without any writing (empty label)")
    arguments = parser.parse_args()
    if not 0.0 <= arguments.blank <= 1.0:
        raise NetchuError(f"--blank {arguments.blank}: expected a share between 0 and 1")
    order = read_order(arguments)
    generator = AddressLines(
        fonts=read_fonts(arguments), writers=arguments.writers, height=arguments.height, effects=arguments.effects,
        seed=arguments.seed, gazetteer=tuple(arguments.gazetteer), style=arguments.style,
        style_from=arguments.style_from, blank=arguments.blank,
    )  # fmt: skip
    generator.build()  # a mistake shows here, before any process starts
    produce(generator, order)
