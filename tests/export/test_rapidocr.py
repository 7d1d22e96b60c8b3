"""RapidOCR, the real package, reads with an exported bundle what the bundle reads: lines and pages."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec import TextRecInput

from netchu.core.errors import NetchuError
from netchu.core.images import Image
from netchu.core.metrics import score
from netchu.core.preprocess import Geometry, preprocess
from netchu.ctc.decoders import greedy
from netchu.export.rapidocr import FromBgr, rapidocr_input, run_rapidocr, write_rapidocr
from netchu.export.targets import Material, export
from netchu.model.bundle import Bundle, load_bundle
from netchu.model.necks import NECKS
from netchu.model.predict import predict
from netchu.synthesis.effects import CLEAN_EFFECTS
from netchu.synthesis.renderer import Renderer
from tests.support.bundles import sharp_bundle
from tests.support.forms import FONTS, WORDS, make_form
from tests.support.tiny import ROOT

BUNDLES = {
    "high": ROOT / "src/netchu/weights/slimmer_64_f5.safetensors",
    "low": ROOT / "weights/pp_3_f0.safetensors",
}


@pytest.fixture(scope="module", params=BUNDLES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    """A bundle that reads Vietnamese, 64 or 48 pixels high, and its file for RapidOCR."""
    path = tmp_path_factory.mktemp("rapidocr") / "model.onnx"
    bundle = load_bundle(BUNDLES[request.param])
    write_rapidocr(bundle, path)
    return bundle, path


def open_rapidocr(path: Path) -> Any:
    """RapidOCR with that recognition model, as its users set it."""
    return RapidOCR(params={"Rec.model_path": str(path), "Global.log_level": "critical"})


def rendered(height: int = 48) -> list[Image]:
    """A line of each text in several hands. Those of 48 pixels' height need no resizing by RapidOCR."""
    renderers = [Renderer([font], height=height, effects=CLEAN_EFFECTS) for font in FONTS]
    return [renderers[i % len(FONTS)].render(text, np.random.default_rng(i)) for i, text in enumerate(WORDS)]


def own_texts(bundle: Bundle, lines: list[Image]) -> list[str]:
    """What the bundle itself reads, greedily."""
    inputs = [preprocess(line, Geometry.of(bundle.cfg)) for line in lines]
    return [greedy(p.log_probs, bundle.charset).text for p in predict(bundle.model, inputs, precision="fp32")]


def test_lines_are_read_like_the_bundle_reads_them(exported: tuple[Bundle, Path]) -> None:
    bundle, path = exported
    reader = open_rapidocr(path)

    def alone(lines: list[Image]) -> list[str]:
        return [reader(cv2.merge([line] * 3), use_det=False, use_cls=False).txts[0] for line in lines]

    lines, larger = rendered(), rendered(77)
    own, found = own_texts(bundle, lines), alone(lines)
    assert found == own or bundle.cfg.height != 48, "without resizing, nothing differs"
    assert max(score(own, WORDS).cer, score(found, WORDS).cer) < 0.05
    assert abs(score(alone(larger), WORDS).cer - score(own_texts(bundle, larger), WORDS).cer) < 0.02
    batch = reader.text_rec(TextRecInput(img=[cv2.merge([line] * 3) for line in lines]))
    assert list(batch.txts) == found, "a line's text does not depend on its neighbours"
    assert alone([255 - line for line in lines]) == found, "light writing is turned over"


def test_a_page_goes_through_rapidocrs_own_pipeline(exported: tuple[Bundle, Path]) -> None:
    form = make_form("blank", 3, rows=4)
    found = open_rapidocr(exported[1])(cv2.cvtColor(form.photo, cv2.COLOR_GRAY2BGR))
    assert len(found.boxes) == len(form.texts) and score(found.txts, form.texts).cer < 0.1


def test_the_graph_prepares_as_netchu_does() -> None:
    """A grey line of 48 pixels' height needs no resizing, so that every value is comparable."""
    geometry = Geometry(height=48, max_width=2048, pad=8)
    line = rendered()[4]
    own = preprocess(line, geometry)
    for image in (line, 255 - line):
        x = torch.from_numpy(rapidocr_input(image, geometry)[None])
        graph = FromBgr(geometry)(torch.nn.functional.pad(x, (0, 40)))[0].numpy()
        assert np.abs(graph[:, :, : own.shape[2]] - own).max() < 0.01 and not graph[:, :, own.shape[2] :].any()


def test_the_input_is_what_the_package_makes() -> None:
    recogniser = RapidOCR(params={"Global.log_level": "critical"})._load_rec_model()
    for line in (*rendered(), *rendered(77)):
        ratio = max(320 / 48, line.shape[1] / line.shape[0])
        theirs = recogniser.resize_norm_img(cv2.merge([line] * 3), ratio)
        assert np.abs(rapidocr_input(line, Geometry(64, 2048, 8)) - theirs).max() < 1e-6


@pytest.mark.parametrize("neck", NECKS)
def test_the_order_of_the_classes(neck: str, tmp_path: Path) -> None:
    bundle, path = sharp_bundle(neck), tmp_path / "model.onnx"
    write_rapidocr(bundle, path)
    session = onnxruntime.InferenceSession(path)
    characters = session.get_modelmeta().custom_metadata_map["character"].split("\n")
    assert sorted([*characters, " "]) == sorted(bundle.charset.characters)
    x = rapidocr_input(rendered()[0], Geometry.of(bundle.cfg))[None]
    (probs,) = session.run(None, {"x": x})
    filled = probs.any(axis=2)
    assert filled.sum() > 20 and np.allclose(probs.sum(axis=2), filled, atol=1e-4) and (probs >= 0).all()
    own = np.exp(run_rapidocr(path)(x))
    for place, character in enumerate(["", *characters, " "]):
        index = bundle.charset.encode(character)[0] if character else 0
        assert np.allclose(own[:, :, index], probs[:, :, place], atol=1e-6)


def test_a_bundle_that_loses_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="--to rapidocr: needs labelled lines"):
        export(sharp_bundle("none"), "rapidocr", tmp_path / "a.onnx", Material(), package=None, trained_on="")
    with pytest.raises(NetchuError, match="--package: is for readers"):
        export(sharp_bundle("none"), "rapidocr", tmp_path / "a.onnx", Material(), package=tmp_path, trained_on="")
    assert not list(tmp_path.iterdir())
