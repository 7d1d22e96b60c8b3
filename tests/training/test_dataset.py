"""The dataset: what is excluded, what a batch holds, and that epochs repeat exactly."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.data.manifest import Line, read_lines
from netchu.training.dataset import BucketSampler, LineDataset, collate


@pytest.fixture
def lines(manifest: Path) -> list[Line]:
    return read_lines(manifest)


@pytest.fixture
def charset(lines: list[Line]) -> Charset:
    return Charset.from_texts(line.text for line in lines)


def test_lines_that_ctc_cannot_fit_are_named_and_left_out(lines: list[Line], tiny: Config) -> None:
    long = replace(lines[3], text="x" * 400)
    assert len(LineDataset([*lines, long], tiny, train=False)) == len(lines) + 1, "it counts as misread"
    dataset = LineDataset([*lines, long], tiny, train=True)
    assert len(dataset) == len(lines)
    assert dataset.excluded == [long]
    assert "1 lines left out" in dataset.exclusion_report()
    assert f"{long.path} (799 steps needed)" in dataset.exclusion_report()


def test_no_line_left_is_an_error(lines: list[Line], tiny: Config) -> None:
    with pytest.raises(NetchuError, match="no line is left that CTC can fit"):
        LineDataset([replace(lines[0], text="x" * 400)], tiny, train=True)


def test_a_turned_photograph_is_as_wide_outside_the_cache_as_inside(
    lines: list[Line], tiny: Config, tmp_path: Path
) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    PillowImage.fromarray(np.full((400, 40), 200, np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    line = replace(lines[0], path=tmp_path / "turned.jpg", text="x")
    widths = [LineDataset([line], replace(tiny, cache_mb=mb), train=True).widths for mb in (0, 1)]
    assert widths[0] == widths[1] == [320]


def test_unreadable_image_is_named(lines: list[Line], tiny: Config, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no")
    with pytest.raises(NetchuError, match=r"broken\.jpg: is not an image"):
        LineDataset([lines[0], replace(lines[1], path=broken)], tiny, train=True)


def test_batch_pads_images_and_labels(lines: list[Line], tiny: Config, charset: Charset) -> None:
    dataset = LineDataset(lines, tiny, train=False)
    items = [dataset[(0, i)] for i in range(5)]
    batch = collate(charset, items)
    assert batch.images.shape == (5, 1, 32, max(image.shape[2] for image, _ in items))
    for i, (image, line) in enumerate(items):
        width = items[i][0].shape[2]
        assert (batch.images[i, :, :, :width].numpy() == image).all()
        assert not batch.images[i, :, :, width:].any()
        codes = batch.targets[i, : batch.target_lengths[i]].tolist()
        assert charset.decode(codes) == line.text == batch.texts[i]


def test_augmentation_depends_on_epoch_and_line_only(lines: list[Line], tiny: Config) -> None:
    cfg = replace(tiny, augment="ink")
    first, second = (LineDataset(lines, cfg, train=True) for _ in range(2))
    uncached = LineDataset(lines, replace(cfg, cache_mb=0), train=True)
    assert uncached.cached_bytes == 0
    assert uncached.widths == first.widths
    for key in ((0, 3), (1, 3), (0, 4)):
        assert (first[key][0] == second[key][0]).all()
        assert (first[key][0] == uncached[key][0]).all()
    assert first[(0, 3)][0].shape != first[(1, 3)][0].shape or (first[(0, 3)][0] != first[(1, 3)][0]).any()


def test_an_epoch_draws_each_line_once_in_batches_of_like_width(lines: list[Line], tiny: Config) -> None:
    dataset = LineDataset(lines, replace(tiny, fold=5), train=True)
    sampler = BucketSampler(dataset, tiny)
    batches = list(sampler)
    assert len(batches) == len(sampler.plan()) == 6
    assert sorted(i for batch in batches for _, i in batch) == list(range(48))
    spread = [max(dataset.widths[i] for _, i in b) - min(dataset.widths[i] for _, i in b) for b in batches]
    assert max(spread) < max(dataset.widths) - min(dataset.widths)
    sampler.epoch = 1
    assert list(sampler) != batches


def test_resumed_epoch_continues_where_it_stopped(lines: list[Line], tiny: Config) -> None:
    dataset = LineDataset(lines, tiny, train=True)
    whole, rest = BucketSampler(dataset, tiny), BucketSampler(dataset, tiny)
    whole.epoch = rest.epoch = 3
    rest.start = 2
    assert list(rest) == list(whole)[2:]


def test_ranks_share_an_epoch_without_overlap(lines: list[Line], tiny: Config) -> None:
    dataset = LineDataset(lines, tiny, train=True)
    shares = [list(BucketSampler(dataset, tiny, rank, 2)) for rank in range(2)]
    assert len(shares[0]) == len(shares[1])
    drawn = Counter(key for share in shares for batch in share for key in batch)
    assert set(drawn.values()) == {1}


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_synthetic_lines(share: float, lines: list[Line], tiny: Config) -> None:
    made = [replace(line, aug="address", writer_id="", fold=-1) for line in lines]
    cfg = replace(tiny, synthetic_share=share, epoch_lines=200)
    dataset = LineDataset(lines + made, cfg, train=True)
    drawn = [dataset.lines[i].is_real for batch in BucketSampler(dataset, cfg) for _, i in batch]
    assert len(drawn) == 200
    assert drawn.count(False) == round(200 * share)


def test_helping_lines_have_a_share_of_their_own(lines: list[Line], tiny: Config) -> None:
    made = [replace(line, aug="address", writer_id="", fold=-1) for line in lines]
    helping = [replace(line, aug="helping", writer_id="", fold=-1) for line in lines]

    def drawn(*kinds: list[Line]) -> Counter[str]:
        cfg = replace(tiny, synthetic_share=0.3, helping_share=0.2, epoch_lines=200)
        dataset = LineDataset([line for kind in kinds for line in kind], cfg, train=True)
        return Counter(dataset.lines[i].aug for batch in BucketSampler(dataset, cfg) for _, i in batch)

    assert drawn(lines, made, helping) == {"": 100, "address": 60, "helping": 40}
    assert drawn(lines, helping) == {"": 160, "helping": 40}
    assert drawn(made, helping) == {"address": 120, "helping": 80}
    assert drawn(helping) == {"helping": 200}


def test_blank_line_goes_through(lines: list[Line], tiny: Config, charset: Charset) -> None:
    dataset = LineDataset([replace(lines[0], text=""), lines[1]], tiny, train=True)
    batch = collate(charset, [dataset[(0, 0)], dataset[(0, 1)]])
    assert batch.target_lengths.tolist() == [0, len(lines[1].text)]
    assert torch.equal(batch.targets[0], torch.zeros_like(batch.targets[0]))
