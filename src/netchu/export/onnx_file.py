"""A bundle as an ONNX file: images (batch, 1, H, width) -> log_probs (batch, steps, classes), batch and width free.

The exporter is chosen by neck, as measured with torch 2.15 and onnxruntime 1.31 (a test walks NECKS):
the tracing exporter takes half a second and is exact for `none`, `bigru` and `bilstm`, but writes the traced width into
the reshapes of attention; the graph exporter is exact for every neck and takes a hundred times as long.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netchu.core.errors import NetchuError
from netchu.core.preprocess import WIDTH_MULTIPLE, Geometry
from netchu.model.bundle import Bundle, hash_file
from netchu.reading.lite import FORMAT, KEY

TRACED_NECKS = frozenset({"none", "bigru", "bilstm"})
OPSET = 18
EXAMPLE = (2, 8 * WIDTH_MULTIPLE)  # batch and width that the exporters see


class LogProbs(nn.Module):
    """A recogniser that ends in log-probabilities, so that a reader on a phone needs no softmax of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> log_probs (N, T, C)."""
        log_probs: Tensor = self.model(images).log_softmax(-1)
        return log_probs


def describe(bundle: Bundle, kind: str) -> dict[str, Any]:
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


def example(bundle: Bundle) -> Tensor:
    """Images (2, 1, H, 256) for the exporters to look at."""
    batch, width = EXAMPLE
    return torch.zeros(batch, 1, bundle.cfg.height, width)


def write_onnx(bundle: Bundle, path: Path) -> None:
    """Export a bundle in float32, add its metadata, and let ONNX's checker pass it.

    Raises NetchuError when the exporter or the checker refuses the network.
    """
    import_onnx()
    model = LogProbs(bundle.model.cpu()).eval()
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["log_probs"], "opset_version": OPSET}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: that a constant may be one, which parity then measures
        logging.getLogger("onnxscript").setLevel(logging.ERROR)
        try:
            if bundle.cfg.neck in TRACED_NECKS:
                free = {"images": {0: "batch", 3: "width"}, "log_probs": {0: "batch", 1: "steps"}}
                torch.onnx.export(model, (example(bundle),), path, dynamo=False, dynamic_axes=free, **names)
            else:
                shapes = ({0: torch.export.Dim("batch"), 3: torch.export.Dim.DYNAMIC},)
                torch.onnx.export(
                    model, (example(bundle),), path,
                    dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **names,
                )  # fmt: skip
        except NetchuError:
            raise
        except Exception as error:
            cause = str(error).strip().splitlines()[0]
            raise NetchuError(
                f"{bundle.path}: neck {bundle.cfg.neck} with backbone {bundle.cfg.backbone} cannot be exported "
                f"({cause}); try --to torchscript"
            ) from error
    write_signed(bundle, path, path, "onnx")


def write_signed(bundle: Bundle, source: Path, target: Path, kind: str) -> None:
    """Copy an ONNX model with its metadata and the names of its free dimensions written in; raises NetchuError when
    the checker refuses it."""
    onnx = import_onnx()
    graph, about = onnx.load(source), describe(bundle, kind)
    onnx.helper.set_model_props(graph, {KEY: json.dumps(about, ensure_ascii=False)})
    for value, free in (
        (graph.graph.input[0], {0: "batch", 3: "width"}),
        (graph.graph.output[0], {0: "batch", 1: "steps"}),
    ):
        for axis, name in free.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    try:
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # the checker's classes have no common one
        raise NetchuError(
            f"{about['name']}: ONNX's checker refuses the export ({str(error).splitlines()[0]})"
        ) from error
    onnx.save(graph, target)


def import_onnx() -> Any:
    """The onnx package; raises NetchuError that names the extra when it is not installed."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise NetchuError(f"{error.name} is not installed; pip install 'netchu[export]'") from error
    return onnx
