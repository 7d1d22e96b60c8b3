"""Out-of-fold files: what comes back is what went in, and damage is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.data.manifest import Line
from netchu.selection.out_of_fold import load_oof, merge_oof, save_oof
from tests.support.tiny import TINY

CHARSET = Charset("abc ")
LINES = [Line(Path(f"x/images/7/{i}.jpg"), f"ab c{i}"[:4], "7", 0, "kalapa") for i in range(3)]


def outputs(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.log(rng.dirichlet(np.full(5, 0.2), steps)).clip(-13).astype(np.float32) for steps in (4, 0, 9)]


def save(path: Path, lines: list[Line] = LINES, seed: int = 0) -> Path:
    save_oof(path, cfg=TINY, charset=CHARSET, lines=lines, widths=[90, 1, 200], log_probs=outputs(seed))
    return path


def test_there_and_back(tmp_path: Path) -> None:
    again = load_oof(save(tmp_path / "a.npz"))
    assert again.ids == [f"kalapa:images/7/{i}.jpg" for i in range(3)]
    assert again.texts == [line.text for line in LINES]
    assert (again.name, again.charset, again.width_stride, again.folds) == ("tiny_f0", CHARSET, 4, [0, 0, 0])
    assert (again.widths, again.writers) == ([90, 1, 200], ["kalapa/7"] * 3)
    for ours, theirs in zip(outputs(), again.log_probs, strict=True):
        assert theirs.shape == ours.shape
        assert np.allclose(np.exp(ours), np.exp(theirs), atol=2e-3)
        assert np.allclose(np.exp(theirs).sum(axis=1), 1, atol=1e-5)


def test_folds_join_and_doubles_are_refused(tmp_path: Path) -> None:
    one = load_oof(save(tmp_path / "a.npz"))
    others = [replace(line, path=line.path.with_suffix(".png"), fold=1) for line in LINES]
    both = merge_oof([one, load_oof(save(tmp_path / "b.npz", others, 1))])
    assert len(both.ids) == 6 and both.folds == [0, 0, 0, 1, 1, 1]
    with pytest.raises(NetchuError, match="hold a line twice"):
        merge_oof([one, one])
    with pytest.raises(NetchuError, match=r"two held-out lines are both kalapa:images/7/0.jpg"):
        save(tmp_path / "c.npz", [LINES[0], LINES[0], LINES[1]])
    assert not (tmp_path / "c.npz").exists()


def test_a_stretch_is_kept_and_named(tmp_path: Path) -> None:
    widths, path = [90, 1, 200], tmp_path / "wide.npz"
    save_oof(path, cfg=TINY, charset=CHARSET, lines=LINES, widths=widths, log_probs=outputs(), stretch=1.15)
    wide = load_oof(path)
    assert (wide.name, wide.geometry.stretch) == ("tiny_f0@1.15", 1.15)
    with pytest.raises(NetchuError, match="differs"):
        merge_oof([load_oof(save(tmp_path / "a.npz")), wide])


def test_missing_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such file"):
        load_oof(tmp_path / "none.npz")
    path = save(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(NetchuError, match="is damaged"):
        load_oof(path)
