"""A bundle as an ONNX file of its own, with its charset and the numbers of its preprocessing in the metadata."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.core.preprocess import Geometry

if TYPE_CHECKING:
    from onnx import ModelProto

    from netchu.model.bundle import Bundle

KEY = "netchu"  # of the model's metadata: JSON with format, charset and preprocessing
FORMAT = 1


def describe(bundle: "Bundle", kind: str) -> dict[str, Any]:
    """What an exported model says about itself: charset, preprocessing, origin. JSON-ready."""
    return {
        "format": FORMAT,
        "kind": kind,
        "name": bundle.cfg.name,
        "charset": bundle.charset.characters,
        "preprocessing": Geometry.of(bundle.cfg).to_dict(),
        "width_stride": bundle.cfg.width_stride,
        "metrics": bundle.metrics,
        "bundle_sha256": hash_file(bundle.path) if bundle.path.is_file() else "",
    }


def write_onnx(bundle: "Bundle", path: Path) -> None:
    """Export a bundle in float32, add its metadata, and let ONNX's checker pass it.

    Raises NetchuError when the exporter or the checker refuses the network.
    """
    from netchu.model.graph import export_graph

    write_signed(bundle, export_graph(bundle), path, "onnx")


def write_signed(bundle: "Bundle", model: "ModelProto", path: Path, kind: str, **more: str) -> None:
    """Write an ONNX model with its metadata, `more` of them too, and the names of its free dimensions put in; raises
    NetchuError when the checker refuses it."""
    import onnx

    about = describe(bundle, kind)
    onnx.helper.set_model_props(model, {KEY: json.dumps(about, ensure_ascii=False), **more})
    for value, free in (
        (model.graph.input[0], {0: "batch", 3: "width"}),
        (model.graph.output[0], {0: "batch", 1: "steps"}),
    ):
        for axis, name in free.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's classes have no common one
        raise NetchuError(
            f"{about['name']}: ONNX's checker refuses the export ({str(error).splitlines()[0]})"
        ) from error
    onnx.save(model, path)
