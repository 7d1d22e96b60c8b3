"""Makes new lines from real ones: `python synthetic_data/gendata_aug.py --manifest CSV --folds 1,2,3,4 --out DIR`.

It reads nothing but the lines of --folds, so lines that are kept for validation cannot leak into training.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.options import add_number, refuse_idle
from netchu.synthesis.batches import LineMaker, contents, is_complete, produce
from netchu.synthesis.effects import PRESETS, check_effects
from netchu.synthesis.options import make_parser, read_order
from netchu.synthesis.recombine import Recombiner, lines_of_folds
from netchu.synthesis.words import load_words, name_weights, save_words


@dataclass(frozen=True, slots=True)
class RecombinedLines:
    """All that a recombined line depends on besides its number."""

    manifest: str
    folds: tuple[int, ...]
    height: int
    effects: str
    seed: int
    recombine: float
    bundle: str = ""
    words: str = ""

    def record(self) -> dict[str, Any]:
        """The settings, and what the manifest holds."""
        own = {key: value for key, value in asdict(self).items() if key != "words"}
        return {**own, **contents(manifest=self.manifest), "generator": "aug"}

    def build(self) -> LineMaker:
        """Read the manifest; returns the line maker."""
        lines = lines_of_folds(Path(self.manifest), set(self.folds))
        seen = load_words(Path(self.words)) if self.words else None
        recombiner = Recombiner(lines, self.height, check_effects(PRESETS[self.effects]), self.recombine, seen)
        return lambda number: recombiner.make(np.random.default_rng([self.seed, number]))


def read_folds(text: str) -> tuple[int, ...]:
    """Fold numbers from "0,1,2". Raises NetchuError for anything else."""
    try:
        folds = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        folds = ()
    if not folds or not all(-1 <= fold <= 4 for fold in folds):
        raise NetchuError(f"--folds {text}: expected training folds such as 0,1,2,3")
    return folds


def main() -> None:
    """Read the arguments and make the lines."""
    parser = make_parser(__doc__)
    parser.add_argument("--manifest", required=True, help="CSV with img_path,text,writer_id,fold")
    parser.add_argument("--folds", required=True, help="training folds to read, such as 1,2,3,4; no other is touched")
    add_number(parser, "--recombine", float, 0, 1, default=0.6, help="share of lines that join words of one writer")
    parser.add_argument(
        "--bundle", type=Path, help="find words by what this bundle reads; train it on the same --folds, not on others"
    )
    arguments = parser.parse_args()
    order = read_order(arguments)
    folds = read_folds(arguments.folds)
    if not arguments.recombine:
        refuse_idle(parser, arguments, "--bundle", "finds the words that --recombine joins, which is 0; leave one out")
    own = {key: getattr(arguments, key) for key in ("manifest", "height", "effects", "seed", "recombine")}
    if arguments.bundle:  # known by its weights, since most are called best.safetensors
        words = order.out / "words.json"
        own |= {"bundle": name_weights(arguments.bundle), "words": str(words)}
    generator = RecombinedLines(folds=folds, **own)
    if arguments.bundle:
        is_complete(order, generator)  # or another run's folder is refused, before the bundle reads
        save_words(words, lines_of_folds(Path(arguments.manifest), set(folds)), arguments.bundle)
    produce(generator, order)
