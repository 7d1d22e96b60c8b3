"""Makes lines with verses: `python synthetic_data/gendata_poems.py --count 1000 --out DIR [--poems FILE.csv]`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from netchu.synthesis import Rng
from netchu.synthesis.batches import produce
from netchu.synthesis.options import WrittenLines, add_writing, make_parser, read_order, read_writing
from netchu.synthesis.verses import PseudoVerse, read_poems


@dataclass(frozen=True, slots=True)
class PoemLines(WrittenLines):
    """Lines with verses of the file `poems`, or made-up ones."""

    poems: str = ""
    generator: ClassVar[str] = "poems"

    def sampler(self) -> Callable[[Rng], str]:
        """Load the verses."""
        if not self.poems:
            return PseudoVerse().sample
        verses = read_poems(Path(self.poems))
        return lambda rng: verses[int(rng.integers(len(verses)))]


def main() -> None:
    """Read the arguments and make the lines."""
    parser = make_parser(__doc__)
    add_writing(parser)
    parser.add_argument("--poems", default="", metavar="CSV", help="file with a content column; empty: made-up verse")
    arguments = parser.parse_args()
    order = read_order(arguments)
    produce(PoemLines(**read_writing(arguments), poems=arguments.poems), order)
