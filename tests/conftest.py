"""Lines that the tests read: rendered here from the fonts of the repository, a handful and small."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

from netchu.core.config import Config
from netchu.data.manifest import assign_folds, write_manifest
from netchu.data.table import read_labels_tsv
from netchu.synthesis.effects import CLEAN_EFFECTS
from netchu.synthesis.renderer import Renderer
from tests.support.checkout import make_checkout
from tests.support.tiny import ROOT, TEXTS, TINY, WRITERS


@pytest.fixture(scope="session")
def lines_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `labels.tsv` and `images/<writer>/<n>.jpg`: 6 writers, 8 short lines each."""
    folder = tmp_path_factory.mktemp("rendered")
    fonts = sorted((ROOT / "synthetic_data" / "fonts").glob("*.ttf"))[:3]
    renderer = Renderer(fonts, height=40, effects=CLEAN_EFFECTS)
    rows = []
    for writer in range(WRITERS):
        (folder / "images" / str(writer)).mkdir(parents=True)
        for number, text in enumerate(TEXTS):
            name = f"images/{writer}/{number}.jpg"
            image = renderer.render(text, np.random.default_rng([writer, number]))
            assert cv2.imwrite(str(folder / name), image)
            rows.append(f"{name}\t{text}\t{writer}\n")
    (folder / "labels.tsv").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def manifest(lines_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train_folds.csv` over the synthetic lines."""
    path = tmp_path_factory.mktemp("manifest") / "train_folds.csv"
    write_manifest(path, assign_folds(read_labels_tsv(lines_folder), seed=0))
    return path


@pytest.fixture
def tiny(manifest: Path, tmp_path: Path) -> Config:
    """A run of seconds on the synthetic lines."""
    return replace(TINY, manifest=str(manifest), output_dir=str(tmp_path / "outputs"))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Path:
    """A bundle that has begun to read the synthetic lines and still has much to learn; fold 0 is held out."""
    from netchu.training.engine import fit

    cfg = replace(
        TINY, manifest=str(manifest), output_dir=str(tmp_path_factory.mktemp("bundle")), epochs=30, validate_every=30,
        neck="none", hidden=64, lr=1e-2,
    )  # fmt: skip
    fit(cfg)
    return cfg.run_dir / "last.safetensors"


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """An `ensemble.json`: the tiny bundle and its int8 copy, beam search, a language model, places, a threshold."""
    from netchu.language.ngram import save_ngram
    from netchu.language.smoothing import train_ngram
    from netchu.model.packing import pack_int8
    from netchu.reading.line_reader import Settings
    from netchu.reading.recipe import Recipe, write_recipe

    folder = tmp_path_factory.mktemp("recipe")
    int8_copy, language, places, path = (folder / name for name in ("b.safetensors", "a.nlm", "a.tsv", "ensemble.json"))
    pack_int8(tiny_bundle, int8_copy)
    save_ngram(language, train_ngram(TEXTS * 3, order=4))
    places.write_text("Hà Nội\tĐống Đa\tThổ Quan\n", encoding="utf-8")
    settings = Settings(decoder="beam", width=8, language_weight=0.1)
    write_recipe(path, Recipe((tiny_bundle, int8_copy), (0.4, 0.6), settings, language, places, accept=0.25))
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained bundle of some kilobytes."""
    from tests.support.bundles import untrained

    return untrained(tmp_path_factory.mktemp("bundle") / "a.safetensors")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, lines_folder: Path) -> Path:
    """A fresh checkout as a user has it, with the challenge's folders in place."""
    return make_checkout(tmp_path_factory.mktemp("checkout"), lines_folder)


LONGEST = ("test_readme.py", "test_processes.py", "test_faults.py")  # many processes, one after another


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no test process ends up alone with one of them."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
