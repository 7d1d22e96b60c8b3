"""An ensemble is a model: members of any geometry, averaged on one time grid."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.images import Image
from netchu.core.tidy import tidy_line
from netchu.model.bundle import Bundle
from netchu.model.recogniser import build_model
from netchu.reading.ensemble import Ensemble, TimedReading
from netchu.reading.line_reader import COMBINATIONS, Settings
from netchu.reading.recipe import Recipe

CHARSET = Charset("abc ")


def bundle(cfg: Config, name: str = "m", charset: Charset = CHARSET, seed: int = 0) -> Bundle:
    """An untrained member."""
    torch.manual_seed(seed)
    return Bundle(Path(name), build_model(cfg, len(charset)).eval(), cfg, charset, {})


def ensemble_of(
    members: Sequence[Bundle],
    settings: Settings | None = None,
    weights: tuple[float, ...] = (),
    stretches: tuple[float, ...] = (),
) -> Ensemble:
    """These members as one, of equal weights and not stretched unless told."""
    same = (1.0,) * len(members)
    return Ensemble(members, Recipe((), weights or same, settings or Settings(), stretches=stretches or same))


IMAGES = [np.random.default_rng(w).integers(0, 255, (48, w), dtype=np.uint8) for w in (200, 90, 410)]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_two_copies_read_as_one(tiny: Config, combination: str) -> None:
    settings = Settings(decoder="beam", combination=combination)
    one, two = (ensemble_of([bundle(tiny)] * count, settings=settings) for count in (1, 2))
    for a, b in zip(one.read(IMAGES), two.read(IMAGES), strict=True):
        assert a.reading.text == b.reading.text
        assert a.reading.confidence == pytest.approx(b.reading.confidence, rel=1e-4)


def test_members_of_other_geometry_and_stride_join(tiny: Config) -> None:
    members = [bundle(tiny), bundle(replace(tiny, height=48, width_stride=8, pad=16, neck="mixing"), seed=1)]
    readings = ensemble_of(members).read(IMAGES)
    assert len(readings) == len(IMAGES)
    assert all(r.seconds > 0 and 0 <= r.reading.confidence <= 1 for r in readings)


def test_one_bundle_reads_at_two_stretches(tiny: Config) -> None:
    member = bundle(tiny)
    views = ensemble_of([member, member], stretches=(1.0, 1.5)).read(IMAGES, keep_outputs=True)
    plain = ensemble_of([member]).read(IMAGES, keep_outputs=True)
    for both, one in zip(views, plain, strict=True):
        assert np.array_equal(both.outputs[0], one.outputs[0])
        assert len(both.outputs[1]) > 1.2 * len(both.outputs[0])


def test_of_long_paper_behind_the_writing_little_is_read(tiny: Config) -> None:
    image = np.full((48, 900), 220, np.uint8)
    image[10:40, 20:200:9] = 60
    image[:, 880:884] = 40

    def steps(image: Image) -> int:
        return len(ensemble_of([bundle(tiny)]).read([image], keep_outputs=True)[0].outputs[0])

    assert steps(image) == steps(tidy_line(image)) < 0.5 * steps(np.roll(image, 600, axis=1))


def test_order_and_neighbours_do_not_matter(tiny: Config) -> None:
    ensemble = ensemble_of([bundle(tiny)])
    together = [r.reading.text for r in ensemble.read(IMAGES)]
    assert [r.reading.text for r in ensemble.read(IMAGES[::-1])][::-1] == together
    assert [ensemble.read([image])[0].reading.text for image in IMAGES] == together
    assert ensemble.read([]) == []


def test_another_charset_is_refused_by_name(tiny: Config) -> None:
    with pytest.raises(NetchuError, match=r"other: its charset differs from that of m \(in 'cx'"):
        ensemble_of([bundle(tiny), bundle(tiny, "other", Charset("abx "))])
    with pytest.raises(NetchuError, match="no bundle given"):
        ensemble_of([])


def test_a_member_of_no_weight_has_no_say(tiny: Config) -> None:
    members = [bundle(tiny), bundle(tiny, seed=1)]
    for decoder in ("greedy", "beam"):
        alone = ensemble_of(members[:1], settings=Settings(decoder=decoder)).read(IMAGES)
        both = ensemble_of(members, settings=Settings(decoder=decoder), weights=(1, 0)).read(IMAGES)
        assert [r.reading.text for r in both] == [r.reading.text for r in alone]


def test_frames_that_stand_apart_are_warned_of_once(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netchu.reading.ensemble.spike_offset", lambda outputs, positions: 0.8)
    members, settings = [bundle(tiny), bundle(tiny, seed=1)], Settings(combination="frame")
    ensemble = ensemble_of(members, settings=settings)
    with pytest.warns(UserWarning, match=r"spikes stand 0.80 frames apart \(mean of 3 lines"):
        ensemble.read(IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ensemble.read(IMAGES)
        ensemble_of(members).read(IMAGES)
        ensemble_of(members[:1], settings=settings).read(IMAGES)


def test_paper_without_ink_reads_as_nothing(tiny: Config) -> None:
    """The untrained member would write something."""
    paper = np.full((48, 300), 230, np.uint8)
    ensemble = ensemble_of([bundle(tiny)], settings=Settings(shortest=0))
    assert any(r.reading.text for r in ensemble.read(IMAGES))
    assert ensemble.read([paper, IMAGES[0]])[0].reading.text == ""


def test_a_sure_line_asks_no_further_member(tiny: Config) -> None:
    """`sure` 0 ends every line with a text at the first member, 1 asks all; the members asked alone decide."""
    members = [bundle(tiny), bundle(tiny, seed=1)]

    def read(sure: float, weights: tuple[float, ...] = (0.7, 0.3)) -> list[TimedReading]:
        settings = Settings(decoder="beam", shortest=0, sure=sure)
        return ensemble_of(members, settings=settings, weights=weights).read(IMAGES, keep_outputs=True)

    alone = ensemble_of(members[:1], settings=Settings(decoder="beam", shortest=0)).read(IMAGES)
    early, late = read(0.0), read(1.0)
    assert any(one.reading.text for one in alone)
    for one, first, both in zip(alone, early, late, strict=True):
        assert len(both.outputs) == 2
        assert len(first.outputs) == (1 if one.reading.text else 2)
        if one.reading.text:
            assert first.reading == one.reading
    between = sorted(one.reading.confidence for one in alone)[1]
    assert [len(r.outputs) for r in read(between)] == [1 if o.reading.confidence > between else 2 for o in alone]
    with pytest.raises(NetchuError, match=r"sure=0.9; allowed: 0 to 1, with rescore"):
        Settings(combination="frame", sure=0.9)
