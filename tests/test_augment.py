"""Every named pipeline keeps the height and type, and repeats exactly with its seed."""

import numpy as np
import pytest

from netchu.errors import NetchuError
from netchu.training.augment import AUGMENTS, Augmenter

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
    with pytest.raises(NetchuError, match="augment=inc: no such pipeline; there are: none, light, ink"):
        Augmenter("inc")
