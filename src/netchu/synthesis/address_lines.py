"""Makes lines with made-up addresses: `python synthetic_data/gendata_address.py --count 1000 --out DIR`."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from netchu.core.options import add_number
from netchu.synthesis import Rng
from netchu.synthesis.addresses import AddressGrammar
from netchu.synthesis.admin_units import open_gazetteers
from netchu.synthesis.batches import produce
from netchu.synthesis.options import WrittenLines, add_writing, make_parser, read_order, read_writing
from netchu.synthesis.text_style import CINNAMON, KALAPA, TextStyle, measure_style, read_texts

STYLES = {"kalapa": (KALAPA,), "cinnamon": (CINNAMON,), "both": (KALAPA, CINNAMON)}


@dataclass(frozen=True, slots=True)
class AddressLines(WrittenLines):
    """Lines with addresses. Empty paths mean the packaged thing."""

    gazetteer: tuple[str, ...] = ()
    style: str = "both"
    style_from: str = ""
    blank: float = 0.0
    generator: ClassVar[str] = "address"

    def sampler(self) -> Callable[[Rng], str]:
        """Load gazetteer and style."""
        grammar = AddressGrammar(open_gazetteers(self.gazetteer), choose_styles(self.style, self.style_from))
        return lambda rng: "" if rng.random() < self.blank else grammar.sample(rng)


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which addresses are made up."""
    parser.add_argument(
        "--gazetteer", nargs="*", default=[], metavar="DIR",
        help="gazetteer folders, put together; packaged: the package's",
    )  # fmt: skip
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--style", choices=sorted(STYLES), default="both", help="text style of the addresses")
    style.add_argument("--style-from", default="", metavar="LABELS", help="label file whose text style is imitated")


def choose_styles(style: str, style_from: str) -> tuple[TextStyle, ...]:
    """The text styles of a key of STYLES, or the one measured on the label file `style_from`. Raises NetchuError."""
    return (measure_style(read_texts(Path(style_from))),) if style_from else STYLES[style]


def main() -> None:
    """Read the arguments and make the lines."""
    parser = make_parser(__doc__)
    add_writing(parser)
    add_addresses(parser)
    add_number(parser, "--blank", float, 0, 1, default=0.0, help="share of lines without any writing (empty label)")
    arguments = parser.parse_args()
    order = read_order(arguments)
    own = {key: getattr(arguments, key) for key in ("style", "style_from", "blank")}
    produce(AddressLines(**read_writing(arguments), **own, gazetteer=tuple(arguments.gazetteer)), order)
