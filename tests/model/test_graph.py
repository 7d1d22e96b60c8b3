"""The graph of a bundle: exact where a network pads as TensorFlow does, and in operators that runtimes are quick at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.model.bundle import Bundle
from netchu.model.graph import export_graph
from netchu.model.recogniser import build_model

pytest.importorskip("onnx")

CHARSET = Charset("abc ")
B0 = Config(
    backbone="tf_efficientnetv2_b0", pretrained=False, height=64, stages=4, width_stride=8, hidden=16, neck="none"
)


@pytest.mark.parametrize(("height", "fixed"), [(64, True), (36, False)])
def test_padding_of_convolutions_is_constant_where_it_can_be(height: int, fixed: bool) -> None:
    """36 rows are halved to 9, which need other padding than the columns: there the graph computes it, as timm does."""
    torch.manual_seed(0)
    cfg = replace(B0, height=height)
    model = build_model(cfg, len(CHARSET)).eval()
    inputs = [torch.rand(2, 1, height, width) for width in (32, 96, 320)]
    with torch.no_grad():
        expected = [model(images).log_softmax(-1).numpy() for images in inputs]
    graph = export_graph(Bundle(Path("m"), model, cfg, CHARSET, {}))
    assert ("Ceil" not in {node.op_type for node in graph.graph.node}) == fixed
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for images, log_probs in zip(inputs, expected, strict=True):
        assert np.abs(session.run(None, {"images": images.numpy()})[0] - log_probs).max() < 1e-4


def test_an_activation_is_one_operator() -> None:
    """GELU in pieces takes an eighth of the time of a network of pointwise convolutions."""
    cfg = replace(B0, backbone="cnn3", height=32, neck="mixing", neck_layers=1)
    graph = export_graph(Bundle(Path("m"), build_model(cfg, len(CHARSET)).eval(), cfg, CHARSET, {}))
    kinds = {node.op_type for node in graph.graph.node}
    assert "Gelu" in kinds and "Erf" not in kinds
