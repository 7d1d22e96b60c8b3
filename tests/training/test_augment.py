"""Every named pipeline keeps the height and type, and repeats exactly with its seed."""

import numpy as np
import pytest

from netchu.core.errors import NetchuError
from netchu.training.augment import AUGMENTS, Augmenter, Misplaced

LINE = np.random.default_rng(0).integers(0, 255, (48, 300), dtype=np.uint8)


@pytest.mark.parametrize("name", AUGMENTS)
def test_contract(name: str) -> None:
    augmenter, other = Augmenter(name), Augmenter(name)
    outputs = [augmenter(LINE, seed) for seed in range(20)]
    assert all(o.dtype == np.uint8 and o.ndim == 2 and o.shape[0] == 48 for o in outputs)
    assert all((other(LINE, seed) == outputs[seed]).all() for seed in (7, 3))
    if name == "none":
        assert all((o == LINE).all() for o in outputs)
    else:
        assert len({o.shape[1] for o in outputs}) > 5, "width varies"


def test_unknown_pipeline() -> None:
    with pytest.raises(NetchuError, match="augment=inc: no such pipeline; there are: none, light, ink, cells"):
        Augmenter("inc")


def test_a_misplaced_line_moves_and_what_it_loses_shows_at_the_other_edge() -> None:
    line = np.full((48, 300), 230, np.uint8)
    line[4:44, 50:60] = 20  # a stroke
    moved = {0: 0, 1: 0}
    for seed in range(40):
        transform = Misplaced(p=1.0)
        transform.set_random_seed(seed)
        output = transform(image=line)["image"]
        rows = np.flatnonzero(output[:, 55] == 20)
        down = int(rows.max() == 47 or rows.min() > 4)
        moved[down] += 1
        assert output.shape == line.shape and (output == 20).sum() == (line == 20).sum(), "no ink is lost as a whole"
        assert len(rows) < 40 or rows[0] != 4, "it moves"
    assert moved[0] > 5 and moved[1] > 5, "both ways"
