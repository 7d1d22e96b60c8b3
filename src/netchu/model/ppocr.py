"""Weights of PP-OCRv6 as a bundle to start from.

Known is the small recognition network of PP-OCRv6 (arXiv:2606.13108, Apache-2.0), whose ONNX file the package rapidocr
carries as `rapidocr/models/PP-OCRv6_rec_small.onnx`. Of its 18,709 characters the bundle keeps Latin letters, digits
and the marks of ASCII: the others are three quarters of the file, and no line in Latin script needs them.
"""

import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from netchu.core.charset import Charset, normalise
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.model.recogniser import Recogniser, build_model

Array = NDArray[np.float32]
NETWORK = "PP-OCRv6's small recognition network"
CONFIG = Config(
    manifest="",
    height=48,
    backbone="pplcnet_v4",
    pretrained=False,
    width_stride=8,
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    shortcut_weight=0.0,
)
MARKS = frozenset(string.digits + string.punctuation + " ")


@dataclass(frozen=True, slots=True)
class Layers:
    """The weights of an ONNX graph by kind of layer, each list in the order of computation."""

    convolutions: list[list[Array]] = field(default_factory=list)  # weight, and bias where there is one
    batch_norms: list[list[Array]] = field(default_factory=list)  # weight, bias, mean, variance
    linears: list[list[Array]] = field(default_factory=list)  # weight (inputs, outputs), bias
    layer_norms: list[list[Array]] = field(default_factory=list)  # weight, bias


def import_ppocr(path: Path) -> tuple[Recogniser, Config, Charset, int]:
    """(model in float32 and eval mode, its config, kept characters, how many the file has) of an ONNX file.

    Raises NetchuError for a file that is missing, truncated, another network, or without a Latin letter.
    """
    graph, properties = _read_onnx(path)
    layers = _layers(graph)
    names = properties.get("character", "").split("\n")
    if not layers.linears or len(names) + 2 != layers.linears[-1][0].shape[-1]:
        raise _foreign(path, f"{len(names)} characters are named in it")
    names.append(" ")
    kept = [i for i, name in enumerate(names) if _is_useful(name) and names.index(name) == i]
    if not any(names[i].isalpha() for i in kept):
        raise NetchuError(f"{path}: its charset has no Latin letter; take a recognition model that reads Latin script")
    charset = Charset.from_texts(names[i] for i in kept)
    classes = [0, *(names.index(character) + 1 for character in charset.characters)]
    layers.linears[-1][:] = [array[..., classes] for array in layers.linears[-1]]
    model = build_model(CONFIG, len(charset))
    _fill(model, layers, path)
    return model.eval(), CONFIG, charset, len(names)


def _read_onnx(path: Path) -> tuple[Any, dict[str, str]]:
    """(graph, metadata) of an ONNX file."""
    try:
        import onnx
    except ImportError:
        raise NetchuError("reading an ONNX file wants the package onnx; pip install onnx") from None
    if not path.is_file():
        raise NetchuError(f"{path}: no such file; PP-OCRv6_rec_small.onnx stands in the package rapidocr")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's own errors have no common base
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NetchuError(f"{path}: is truncated or no ONNX file ({cause}); copy it again") from error
    return model.graph, {item.key: item.value for item in model.metadata_props}


def _layers(graph: Any) -> Layers:
    """The weights of a graph, each with the bias that is added to its result."""
    from onnx import numpy_helper

    same = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}

    def origin(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers = Layers()
    waiting: dict[str, list[Array]] = {}  # result of a layer without its bias -> the layer's weights
    for node in graph.node:
        inputs = [origin(name) for name in node.input]
        weights = [stored[name] for name in inputs if name in stored]
        if node.op_type == "Add" and len(weights) == 1 and weights[0].size > 1:
            for name in inputs:
                waiting.pop(name, []).append(weights[0].reshape(-1))
            continue
        kind = _kind(node.op_type, weights)
        if kind:
            getattr(layers, kind).append(weights)
            waiting[node.output[0]] = weights
    return layers


def _kind(operator: str, weights: Sequence[Array]) -> str:
    """Which list of Layers a node's weights belong to, "" for none."""
    shape = weights[0].shape if weights else ()
    if operator == "Conv" and weights:
        return "convolutions"
    if operator == "BatchNormalization" and len(weights) == 4:
        return "batch_norms"
    if operator == "MatMul" and len(shape) == 2:
        return "linears"
    return "layer_norms" if operator == "Mul" and len(shape) == 1 and shape[0] > 1 else ""


def _fill(model: nn.Module, layers: Layers, path: Path) -> None:
    """Put the weights into the model's layers, which stand in the same order; raises NetchuError when they differ."""
    kinds: list[tuple[list[list[Array]], Any, Callable[[nn.Module, list[Array]], dict[str, Array]]]] = [
        (layers.convolutions, nn.Conv1d | nn.Conv2d, _convolution),
        (layers.batch_norms, nn.BatchNorm1d, lambda _, a: _named(a, "weight", "bias", "running_mean", "running_var")),
        (layers.linears, nn.Linear, lambda _, a: _named([a[0].T, *a[1:]], "weight", "bias")),
        (layers.layer_norms, nn.LayerNorm, lambda _, a: _named(a, "weight", "bias")),
    ]
    for stored, kind, names in kinds:
        modules = [module for module in model.modules() if isinstance(module, kind)]
        if len(stored) != len(modules):
            raise _foreign(path, f"{len(stored)} layers where {len(modules)} belong")
        for number, (module, arrays) in enumerate(zip(modules, stored, strict=True), 1):
            own = {name: tensor for name, tensor in module.state_dict().items() if name != "num_batches_tracked"}
            new = {name: torch.from_numpy(array.copy()) for name, array in names(module, arrays).items()}
            if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in new.items()}:
                found = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in new.items())
                raise _foreign(path, f"{type(module).__name__} {number} has {found}")
            module.load_state_dict(new, strict=False)


def _named(arrays: Sequence[Array], *names: str) -> dict[str, Array]:
    return dict(zip(names, arrays, strict=False))


def _convolution(module: nn.Module, arrays: list[Array]) -> dict[str, Array]:
    """A convolution's weights in the shape of the module: grey images have one channel, columns no height."""
    weight = arrays[0]
    wanted = tuple(module.state_dict()["weight"].shape)
    if weight.ndim == 4 and weight.shape[1] == 3 and wanted[1] == 1 and weight.shape[0] == wanted[0]:
        weight = weight.sum(axis=1, keepdims=True)  # three equal channels
    if len(wanted) == 3 and weight.ndim == 4 and weight.shape[2] == 1:
        weight = weight[:, :, 0]
    return _named([weight, *arrays[1:]], "weight", "bias")


def _is_useful(name: str) -> bool:
    """Whether a character of the file is kept: composed, and a Latin letter, a digit or a mark of ASCII."""
    if len(name) != 1 or normalise(name) != name:
        return False
    return name in MARKS or (name.isalpha() and unicodedata.name(name, "").startswith("LATIN "))


def _foreign(path: Path, found: str) -> NetchuError:
    return NetchuError(f"{path}: is an ONNX file, but not {NETWORK} ({found}); take the one of the package rapidocr")
