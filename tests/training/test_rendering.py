"""Lines rendered while training: new in every epoch, the same again after a resume, failures in one line."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.data.manifest import read_lines
from netchu.training.dataset import BucketSampler, LineDataset
from netchu.training.engine import fit
from netchu.training.rendering import RenderAhead
from netchu.training.resume import load_state
from netchu.training.train_step import TrainStep
from tests.support.commands import Result, python
from tests.support.stopping import stopping_after
from tests.support.tiny import ROOT


@dataclass(frozen=True, slots=True)
class Numbers:
    """Line i says i; line `fatal` ends its process."""

    fatal: int = -1

    @property
    def characters(self) -> str:
        return "0123456789"

    def make(self, number: int) -> tuple[np.ndarray, str]:
        if number == self.fatal:
            os._exit(3)
        rng = np.random.default_rng(number)
        return rng.integers(0, 255, (32, 100 + number % 7), np.uint8), str(number)


def open_numbers(cfg: Config) -> Numbers:
    return Numbers()


def test_every_epoch_has_lines_of_its_own() -> None:
    ahead = RenderAhead(Numbers(), count=50, epochs=3, jobs=1)
    texts = [[text for _, text in ahead.take(epoch)] for epoch in (0, 1, 2)]
    ahead.close()
    assert texts == [[str(n) for n in range(50 * e, 50 * e + 50)] for e in (0, 1, 2)]


def test_a_rendering_process_that_dies_is_one_line() -> None:
    ahead = RenderAhead(Numbers(fatal=3), count=8, epochs=1, jobs=1)
    with pytest.raises(NetchuError, match="synthetic_source: a rendering process ended early"):
        ahead.take(0)
    ahead.close()


def test_rendered_lines_take_their_share_of_an_epoch(tiny: Config) -> None:
    cfg = replace(tiny, synthetic_source="address", synthetic_share=0.25, epoch_lines=40)
    real = read_lines(Path(tiny.manifest))
    dataset = LineDataset(real, cfg, train=True)
    sampler = BucketSampler(dataset, cfg)
    assert sampler.synthetic_count == 10
    for epoch in (0, 1):
        dataset.replace_synthetic([Numbers().make(100 * epoch + n) for n in range(sampler.synthetic_count)])
        drawn = [dataset.lines[i] for batch in sampler for _, i in batch]
        assert len(drawn) == 40
        assert {line.text for line in drawn if not line.is_real} == {str(100 * epoch + n) for n in range(10)}
    narrow = np.full((32, 10), 255, np.uint8)
    dataset.replace_synthetic([(narrow, "123456789")])
    assert len(dataset) == len(real)


def test_resume_renders_the_same_lines_again(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = replace(tiny, synthetic_source="numbers", epoch_lines=32, augment="ink", workers=1, name="whole_f0")
    fit(cfg, open_source=open_numbers)
    other = replace(cfg, name="parts_f0")
    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "step", stopping_after(6))  # the second of the second epoch
        with pytest.raises(NetchuError, match="stopped after 6 batches"):
            fit(other, open_source=open_numbers)
    fit(other, resume=True, open_source=open_numbers)
    ends = [load_state(c.run_dir)[0]["parts"]["objective"] for c in (cfg, other)]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


def test_what_a_config_cannot_mean_is_refused(tiny: Config) -> None:
    with pytest.raises(NetchuError, match=r"only train\.py renders lines"):
        fit(replace(tiny, synthetic_source="address"))
    with pytest.raises(NetchuError, match="manifest is empty"):
        fit(replace(tiny, manifest=""))
    with pytest.raises(NetchuError, match="epoch_lines=0"):
        fit(replace(tiny, manifest="", fold=5, synthetic_source="numbers"), open_source=open_numbers)


def run_train(folder: Path, *changes: str) -> Result:
    words = "-C demo --set backbone=cnn3 width_stride=4 hidden=16 neck=none epochs=2 batch_size=8 workers=1 manifest="
    return python(ROOT / "train.py", *words.split(), f"output_dir={folder}", *changes, cwd=folder)


def test_training_on_rendered_lines_alone(tmp_path: Path) -> None:
    done = run_train(tmp_path, "fold=5", "epoch_lines=16", "synthetic_source=address+poems")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "best.safetensors").is_file()


def test_an_unknown_generator_is_one_line(tmp_path: Path) -> None:
    done = run_train(tmp_path, "epoch_lines=16", "synthetic_source=adress")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: synthetic_source=adress: no generator 'adress'; use address+poems or one"
