"""Makes lines with verses: `python synthetic_data/gendata_poems.py --count 1000 --out DIR [--poems FILE.csv]`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netchu.synthesis.batches import LineMaker, SyntheticLine, produce
from netchu.synthesis.effects import PRESETS
from netchu.synthesis.options import add_writing, make_parser, read_fonts, read_order
from netchu.synthesis.renderer import Renderer
from netchu.synthesis.verses import PseudoVerse, read_poems
from netchu.synthesis.writers import name_writers


@dataclass(frozen=True, slots=True)
class PoemLines:
    """All that a verse line depends on besides its number; no `poems` means made-up verse."""

    fonts: tuple[str, ...]
    writers: int
    height: int
    effects: str
    seed: int
    poems: str = ""

    def record(self) -> dict[str, Any]:
        """The settings, with fonts by file name so that another machine can go on."""
        return {**asdict(self), "fonts": [Path(path).name for path in self.fonts], "generator": "poems"}

    def build(self) -> LineMaker:
        """Load verses and fonts; returns the line maker."""
        verses = read_poems(Path(self.poems)) if self.poems else PseudoVerse()
        renderer = Renderer([Path(path) for path in self.fonts], self.height, PRESETS[self.effects])
        names = name_writers(renderer.faces, self.writers)

        def make(number: int) -> SyntheticLine:
            rng = np.random.default_rng([self.seed, number])
            writer = names[int(rng.integers(len(names)))]
            text = verses.sample(rng)
            return renderer.render(text, rng, writer), text, writer

        return make


def main() -> None:
    """Read the arguments and make the lines."""
    parser = make_parser(__doc__.splitlines()[0] if __doc__ else "")
    add_writing(parser)
    parser.add_argument("--poems", default="", metavar="CSV", help="file with a content column; empty: made-up verse")
    arguments = parser.parse_args()
    order = read_order(arguments)
    generator = PoemLines(
        fonts=read_fonts(arguments), writers=arguments.writers, height=arguments.height, effects=arguments.effects,
        seed=arguments.seed, poems=arguments.poems,
    )  # fmt: skip
    generator.build()  # a mistake shows here, before any process starts
    produce(generator, order)
