"""Lines of unknown writers are grouped by hand, and folds keep the groups together."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from netchu.data.hands import cluster, early_maps
from netchu.data.manifest import inherit_folds, read_lines
from netchu.data.table import read_labels_tsv
from netchu.model.backbones import build_backbone
from tests.support.bundles import untrained
from tests.support.commands import run
from tests.support.tiny import TINY

CFG = replace(TINY, backbone="cnn3", hidden=16, neck="none")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return untrained(tmp_path / "any.safetensors", CFG)


def test_features_that_differ_by_hand_are_found() -> None:
    rng = np.random.default_rng(0)
    hands = np.repeat(np.arange(6), 24)
    features = (rng.normal(size=(6, 60))[hands] * 6 + rng.normal(size=(144, 60))).astype(np.float32)
    groups = cluster(features, 6)
    commonest = [max(Counter(groups[24 * hand : 24 * hand + 24]).values()) for hand in range(6)]
    assert len(set(groups)) == 6 and sum(commonest) > 0.95 * 144
    assert cluster(features[:1], 3) == [0] and len(set(cluster(features[:5], 5))) == 5


@pytest.mark.parametrize("name", ["cnn3", "pplcnet_v4", "tf_efficientnetv2_b0"])
def test_early_maps_of_every_kind_of_backbone(name: str) -> None:
    backbone = build_backbone(replace(CFG, backbone=name, width_stride=8)).eval()
    quarter, eighth = early_maps(backbone, torch.rand(2, 1, 64, 96))
    assert quarter.shape[2] == 16 and eighth.shape[2] == 8


def test_the_script_groups_and_its_folds_keep_groups_together(lines_folder: Path, bundle: Path, tmp_path: Path) -> None:
    target, out = tmp_path / "nameless", tmp_path / "data"
    target.mkdir()
    known = read_labels_tsv(lines_folder)
    rows = [f"{line.path}\t{line.text}\n" for line in known]
    (target / "labels.tsv").write_text("".join(rows), encoding="utf-8")
    plain = run("prepare_ext_data.py", "--labels-tsv", target, "--out", out)
    assert "48 lines have no writer, so the same hand may be on both sides of a fold: --group-hands" in plain.stdout
    words = ["--labels-tsv", target, "--out", out, "--group-hands", bundle]
    refused = run("prepare_ext_data.py", *words)
    assert refused.returncode == 2 and "--group-hands wants --new-folds" in refused.stderr
    done = run("prepare_ext_data.py", *words, "--new-folds", "--hands", 8)
    assert done.returncode == 0, done.stderr
    assert "0 lines have no writer; the writers of 48 lines are groups of like hands" in done.stdout
    lines = read_lines(out / "train_folds.csv")
    folds = {line.writer_id: {other.fold for other in lines if other.writer_id == line.writer_id} for line in lines}
    assert len(folds) == 8 and all(len(numbers) == 1 for numbers in folds.values())
    assert all(line.has_guessed_writer for line in lines)
    assert "folds kept as recorded" in run("prepare_ext_data.py", "--labels-tsv", target, "--out", out).stdout
    assert read_lines(out / "train_folds.csv") == lines


def test_what_was_made_from_an_image_still_follows_it(lines_folder: Path) -> None:
    real = replace(read_labels_tsv(lines_folder)[0], writer_id="hand~003", fold=2)
    recombined = replace(real, aug="aug", fold=-1, writer_id=f"{real.source}/{real.path.stem}")
    assert inherit_folds([recombined], [real])[0].fold == 2
