"""The generators as an endless source for training: `open_source(cfg)` for `synthetic_source=address+poems`."""

from dataclasses import dataclass

import numpy as np

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.synthesis.address_lines import AddressLines
from netchu.synthesis.batches import LineGenerator, line_maker
from netchu.synthesis.fonts import REQUIRED, find_fonts
from netchu.synthesis.poem_lines import PoemLines

WRITERS = 10_000  # made-up writers that share the lines
GENERATORS = {"address": AddressLines, "poems": PoemLines}


@dataclass(frozen=True, slots=True)
class GeneratedLines:
    """Lines of several generators in turn: line `i` comes from generator `i % n`, as its line `i // n`."""

    generators: tuple[LineGenerator, ...]
    characters: str = REQUIRED  # what the faces can write

    def make(self, number: int) -> tuple[np.ndarray, str]:
        """Line `number`: image uint8 (H, W), text."""
        generator = self.generators[number % len(self.generators)]
        image, text, _ = line_maker(generator)(number // len(self.generators))  # type: ignore[arg-type]
        return image, text


def open_source(cfg: Config) -> GeneratedLines:
    """The source that `cfg.synthetic_source` names, at the config's height and seed, with all effects.

    Raises NetchuError for a name that is not in GENERATORS.
    """
    names = cfg.synthetic_source.split("+")
    for name in names:
        if name not in GENERATORS:
            raise NetchuError(
                f"synthetic_source={cfg.synthetic_source}: no generator {name!r}; use {'+'.join(GENERATORS)} or one"
            )
    fonts = tuple(str(path) for path in find_fonts())
    return GeneratedLines(
        tuple(GENERATORS[name](fonts, WRITERS, cfg.height, effects="full", seed=cfg.seed) for name in names)
    )
