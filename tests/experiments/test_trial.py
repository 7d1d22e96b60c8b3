"""Trials before a training: what they choose and that they work on a small config."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netchu.core.config import Config, parse_overrides
from netchu.experiments import trial
from netchu.experiments.trial import auto_configure, choose_batch, range_test, steepest
from tests.support.commands import assert_refused, netchu


def test_the_smallest_batch_that_none_beats_clearly() -> None:
    assert choose_batch({8: 40.0, 16: 50.0, 32: 51.0}) == 16
    assert choose_batch({8: 40.0, 16: 41.0, 32: 60.0}) == 32
    assert choose_batch({8: 40.0}) == 8


def test_auto_configure_measures_and_says_why(
    tiny: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, bool, str]] = []

    def rate(cfg: Config, size: int, *, channels_last: bool, precision: str, seconds: float) -> float:
        asked.append((size, channels_last, precision))
        return 100.0 if (channels_last, precision) == (False, "fp32") else 10.0

    monkeypatch.setattr(trial, "train_rate", rate)
    words = auto_configure(tiny, seconds=0.0)
    chosen = parse_overrides(words)
    assert (chosen["precision"], chosen["channels_last"], chosen["batch_size"]) == ("fp32", False, 8)
    assert chosen["workers"] >= 1
    assert {size for size, *_ in asked} == {8, 16, 32}
    assert re.search(r"^workers=.*lines/s", capsys.readouterr().out, re.MULTILINE)
    replace(tiny, **chosen)


def test_train_rate_of_a_small_network(tiny: Config) -> None:
    assert trial.train_rate(tiny, 2, channels_last=True, precision="fp32", seconds=0.0) > 0


def test_range_test_finds_where_the_loss_falls(tiny: Config) -> None:
    course = range_test(tiny, 30)
    rates = [rate for rate, _ in course]
    assert rates == sorted(rates) and rates[0] == pytest.approx(1e-5)
    curve = [(rate, 5.0 - 3.0 / (1 + np.exp(-3 * np.log(rate / 1e-3)))) for rate in np.geomspace(1e-5, 1e-1, 50)]
    assert 5e-4 < steepest(curve) < 2e-3


def test_the_command(tiny: Config, tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(f"from netchu.core.config import Config\ncfg = {tiny!r}\n", encoding="utf-8")
    words = ("trial", "lr", "-C", "small", "--configs", tmp_path, "--batches")
    done = netchu(*words, 12)
    assert done.returncode == 0, done.stderr
    assert "--set lr=" in done.stdout
    assert_refused(netchu(*words, 2), "--batches 2: expected a whole number of 10 or more")
