"""An ensemble is a model: members of any geometry, averaged on one time grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from netchu.charset import Charset
from netchu.checkpoint import Bundle
from netchu.config import Config
from netchu.ensemble import Ensemble, average_frames, frame_places
from netchu.errors import NetchuError
from netchu.model import build_model
from netchu.preprocess import Geometry

CHARSET = Charset("abc ")


def bundle(cfg: Config, name: str = "m", charset: Charset = CHARSET, seed: int = 0) -> Bundle:
    """An untrained member."""
    torch.manual_seed(seed)
    return Bundle(Path(name), build_model(cfg, len(charset)).eval(), cfg, charset, {})


IMAGES = [np.random.default_rng(w).integers(0, 255, (48, w), dtype=np.uint8) for w in (200, 90, 410)]


def test_twins_read_as_one(tiny: Config) -> None:
    one, two = Ensemble([bundle(tiny)]), Ensemble([bundle(tiny), bundle(tiny)])
    for a, b in zip(one.read(IMAGES), two.read(IMAGES), strict=True):
        assert a.reading.text == b.reading.text
        assert a.reading.confidence == pytest.approx(b.reading.confidence, rel=1e-4)


def test_members_of_other_geometry_and_stride_join(tiny: Config) -> None:
    members = [bundle(tiny), bundle(replace(tiny, height=48, width_stride=8, pad=16, neck="mixing"), seed=1)]
    readings = Ensemble(members).read(IMAGES)
    assert len(readings) == len(IMAGES)
    assert all(r.seconds > 0 and 0 <= r.reading.confidence <= 1 for r in readings)


def test_order_and_neighbours_do_not_matter(tiny: Config) -> None:
    ensemble = Ensemble([bundle(tiny)])
    together = [r.reading.text for r in ensemble.read(IMAGES)]
    assert [r.reading.text for r in ensemble.read(IMAGES[::-1])][::-1] == together
    assert [ensemble.read([image])[0].reading.text for image in IMAGES] == together
    assert ensemble.read([]) == []


def test_another_charset_is_refused_by_name(tiny: Config) -> None:
    with pytest.raises(NetchuError, match=r"other: its charset differs from that of m \(in 'cx'"):
        Ensemble([bundle(tiny), bundle(tiny, "other", Charset("abx "))])
    with pytest.raises(NetchuError, match="no bundle given"):
        Ensemble([])


def test_average_is_the_mean_probability() -> None:
    rng = np.random.default_rng(0)
    members = [np.log(rng.dirichlet(np.ones(5), 7)).astype(np.float32) for _ in range(3)]
    places = [np.arange(7.0)] * 3
    mean = average_frames(members, places)
    assert np.allclose(np.exp(mean), np.mean([np.exp(m) for m in members], axis=0), atol=1e-6)


def test_interpolated_member_still_sums_to_one_and_stays_in_place() -> None:
    """A spike at the same place of the line, seen on grids of stride 4 and stride 8, stays one spike."""
    geometry = Geometry(height=32, max_width=512, pad=8)
    places = [frame_places(256 // stride, stride, geometry, 240) for stride in (4, 8)]
    members = []
    for own in places:
        probs = np.full((len(own), 3), 0.01)
        probs[:, 0] = 0.98
        probs[np.abs(own - 0.5).argmin()] = [0.01, 0.98, 0.01]
        members.append(np.log(probs).astype(np.float32))
    mean = np.exp(average_frames(members, places))
    assert mean.shape == (64, 3)
    assert np.allclose(mean.sum(axis=1), 1, atol=1e-5)
    assert abs(places[0][mean[:, 1].argmax()] - 0.5) < 8 / 240
