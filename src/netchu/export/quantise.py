"""int8 forms of an exported ONNX model -> SCHEMES. Each reads a float32 file and writes one with the same contract.

`static`: convolutions and matrix products compute in int8 with ranges measured on calibration lines (QDQ format);
recurrent layers compute in float32, since onnxruntime has no int8 GRU. `weight-only`: the weights are stored as int8
with one scale an output channel and become float32 again when the file is loaded, so it saves size and nothing else.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.preprocess import Input
from netchu.model.bundle_file import SMALLEST, quantise_array


class Calibration:
    """Network inputs, one at a time, as onnxruntime's calibrator asks for them."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._left = iter(inputs)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input as a batch of one, None after the last."""
        image = next(self._left, None)
        return None if image is None else {"images": image[None]}


def quantise_static(source: Path, target: Path, inputs: Sequence[Input]) -> None:
    """int8 convolutions and matrix products, ranges from `inputs`; raises NetchuError without any."""
    if not inputs:
        raise NetchuError(f"{source}: int8 needs lines to calibrate on; give --manifest, or --images and --labels")
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared, ranged = Path(folder) / "prepared.onnx", Path(folder) / "ranged.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(ranged),
            Calibration(inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
        )
        quantise_weights(ranged, target)


def quantise_weights(source: Path, target: Path, inputs: Sequence[Input] = ()) -> None:
    """int8 storage of all large weights, scaled a channel; `inputs` are not needed."""
    import onnx

    graph = onnx.load(source)
    axes = {name: axis for node in graph.graph.node for name, axis in _weights(node)}
    before: list[Any] = []
    kept: list[Any] = []
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if tensor.name not in axes or values.size < SMALLEST or values.dtype != np.float32:
            kept.append(tensor)
            continue
        whole, scale = quantise_array(values, axes[tensor.name])
        name = tensor.name
        kept += [
            onnx.numpy_helper.from_array(whole, f"{name}_int8"),
            onnx.numpy_helper.from_array(scale, f"{name}_scale"),
        ]
        # Cast and Mul of constants are folded when a file is loaded; a DequantizeLinear would run for every line.
        before += [
            onnx.helper.make_node("Cast", [f"{name}_int8"], [f"{name}_whole"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]),
        ]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*before, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.save(graph, target)


@contextmanager
def _quiet() -> Iterator[None]:
    """No advice of the quantiser on standard error."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _weights(node: Any) -> list[tuple[str, tuple[int, ...]]]:
    """(name, axes that have their own scales) of each weight that a node reads."""
    if node.op_type == "Conv":
        return [(node.input[1], (0,))]
    if node.op_type == "MatMul":
        return [(node.input[1], (1,))]
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return [(node.input[1], (0 if transposed else 1,))]
    if node.op_type in ("LSTM", "GRU"):  # (directions, gates x hidden, inputs)
        return [(node.input[1], (0, 1)), (node.input[2], (0, 1))]
    return []


SCHEMES: dict[str, Callable[[Path, Path, Sequence[Input]], None]] = {
    "static": quantise_static,
    "weight-only": quantise_weights,
}
