"""A network as an ONNX graph: images (batch, 1, H, width) -> log_probs (batch, steps, classes), batch and width free.

The exporter is chosen by neck, as measured with torch 2.15 and onnxruntime 1.31 (a test walks NECKS): the tracing
exporter takes half a second and is exact for `none`, `bigru` and `bilstm`, but writes the traced width into the
reshapes of attention; the graph exporter is exact for every neck and takes a hundred times as long.

`add_graph` puts the graph without its weights into a bundle's metadata, some 20 kB, so that onnxruntime reads with the
weights that PyTorch reads with and no number is stored twice.
"""

import base64
import io
import logging
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional

from netchu.core.errors import NetchuError
from netchu.core.preprocess import WIDTH_MULTIPLE
from netchu.model.bundle import Bundle, load_bundle, read_stored, write_bundle
from netchu.model.bundle_file import PREFIX

TRACED_NECKS = frozenset({"none", "bigru", "bilstm"})
OPSET = 20  # the first with Gelu as one operator: an eighth of the PP network's time
EXAMPLE = (2, 8 * WIDTH_MULTIPLE)  # batch and width that the exporters see


class LogProbs(nn.Module):
    """A recogniser that ends in log-probabilities, so that a reader without PyTorch needs no softmax of its own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) -> log_probs (N, T, C)."""
        log_probs: Tensor = self.model(images).log_softmax(-1)
        return log_probs


def example(bundle: Bundle) -> Tensor:
    """Images (2, 1, H, 256) for the exporters to look at."""
    batch, width = EXAMPLE
    return torch.zeros(batch, 1, bundle.cfg.height, width)


def fix_padding(model: nn.Module, images: Tensor) -> None:
    """Make TensorFlow's padding constant, where all inputs that are a multiple of WIDTH_MULTIPLE wide have the same.

    timm computes it from the size of the image, which a graph would do line by line, and no runtime can move the
    padding into the convolution then. What the network computes stays the same.
    """
    sizes: dict[nn.Module, tuple[int, int]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes[module] = inputs[0].shape[-2], inputs[0].shape[-1] * WIDTH_MULTIPLE // images.shape[-1]

    padded = [module for module in model.modules() if isinstance(module, Conv2dSame)]
    hooks = [module.register_forward_pre_hook(record) for module in padded]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    for module in padded:
        if all(size and size % stride == 0 for size, stride in zip(sizes[module], module.stride, strict=True)):
            module.forward = partial(_convolve, module)  # type: ignore[method-assign]


def _convolve(module: Conv2dSame, images: Tensor) -> Tensor:
    """What `module` gives for images whose size is a multiple of its stride."""
    padding = []
    for axis in (1, 0):
        missing = max((module.kernel_size[axis] - 1) * module.dilation[axis] + 1 - module.stride[axis], 0)
        padding += [missing // 2, missing - missing // 2]
    padded = functional.pad(images, padding, value=0.0)
    return functional.conv2d(padded, module.weight, module.bias, module.stride, 0, module.dilation, module.groups)


def export_graph(bundle: Bundle, *, fold: bool = True) -> Any:
    """The network as an onnx.ModelProto, float32. `fold`: constants are computed; without it every initializer is a
    tensor of the bundle as it is, named with PREFIX.

    Raises NetchuError when the exporter refuses the network.
    """
    import onnxscript  # noqa: F401  # what the exporters need, beside onnx

    model = LogProbs(bundle.model.cpu()).eval()
    fix_padding(model, example(bundle))
    free = {"images": {0: "batch", 3: "width"}, "log_probs": {0: "batch", 1: "steps"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("onnxscript").setLevel(logging.ERROR)
        try:
            if bundle.cfg.neck in TRACED_NECKS:
                return trace(model, example(bundle), free, fold=fold)
            names: dict[str, Any] = {"input_names": ["images"], "output_names": ["log_probs"], "opset_version": OPSET}
            shapes = ({0: torch.export.Dim("batch"), 3: torch.export.Dim.DYNAMIC},)
            program = torch.onnx.export(
                model, (example(bundle),), dynamo=True, dynamic_shapes=shapes, optimize=fold, verbose=False, **names
            )
            assert program is not None
            return program.model_proto
        except Exception as error:
            cause = str(error).strip().splitlines()[0]
            raise NetchuError(
                f"{bundle.path}: neck {bundle.cfg.neck} with backbone {bundle.cfg.backbone} cannot be exported "
                f"({cause}); try --to torchscript"
            ) from error


def trace(model: nn.Module, images: Tensor, free: dict[str, dict[int, str]], *, fold: bool = True) -> Any:
    """The graph that the tracing exporter sees for `images`, as an onnx.ModelProto. `free`: the free dimensions of its
    input and its output, which are named so."""
    import onnx

    buffer, (first, last) = io.BytesIO(), free
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a size may become a constant, which parity then measures
        torch.onnx.export(
            model, (images,), buffer, input_names=[first], output_names=[last], opset_version=OPSET,  # type: ignore[arg-type]
            dynamo=False, dynamic_axes=free, do_constant_folding=fold, training=mode,
        )  # fmt: skip
    return onnx.load_model_from_string(buffer.getvalue())


def add_graph(path: Path) -> None:
    """Write the graph into a bundle's metadata; its weights stay, a graph that is there already too.

    Raises NetchuError for a network that cannot be exported.
    """
    tensors, about = read_stored(path)
    if about.get("graph"):
        return
    bundle = load_bundle(path)
    graph = export_graph(bundle, fold=False)
    used = {tensor.name for tensor in graph.graph.initializer}
    part = {
        "onnx": base64.b64encode(zlib.compress(strip_weights(graph), 9)).decode("ascii"),
        "unused": [name for name in bundle.model.state_dict() if PREFIX + name not in used],
    }
    write_bundle(path, tensors, {**about, "graph": part})


def strip_weights(graph: Any) -> bytes:
    """A serialised graph whose large initializers are only named, as if they lay in a file beside it."""
    import onnx

    del graph.graph.value_info[:]
    for tensor in graph.graph.initializer:
        if not tensor.name.startswith(PREFIX):
            continue
        for kind in ("raw_data", "float_data", "int64_data"):
            tensor.ClearField(kind)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        where = tensor.external_data.add()
        where.key, where.value = "location", "bundle"
    for node in graph.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    data: bytes = graph.SerializeToString()
    return data
