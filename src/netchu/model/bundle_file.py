"""The file of a bundle without PyTorch: its weights as arrays, its metadata, the graph that onnxruntime runs.

A bundle is one safetensors file. Its metadata is JSON with `format`, `config`, `charset`, `metrics` and `hashes`, and,
once `model.graph` has added it, `graph`: the network in ONNX without its weights.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from netchu.core.errors import NetchuError

FORMAT = 1
KEY = "netchu"
LEVELS = 127  # int8 from -127 to 127
SMALLEST = 1024  # elements under which a tensor is not stored as int8
PREFIX = "model."  # of a weight's name in the graph
SCALE = ".scale"  # suffix of the tensor that holds the scales of an int8 tensor, one a row

Arrays = dict[str, NDArray[Any]]


def read_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """(weights as they are stored, metadata) of a bundle, checked against its own hash.

    Raises NetchuError for a missing, truncated or foreign file, another format, or changed weights.
    """
    if not path.is_file():
        raise NetchuError(f"{path}: no such bundle; train one, it is written to outputs/NAME/best.safetensors")
    try:
        with safe_open(path, framework="np") as stream:
            about = json.loads((stream.metadata() or {}).get(KEY, "null"))
            arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError, TypeError, AttributeError) as error:
        raise NetchuError(
            f"{path}: is truncated or no safetensors file ({error}); copy it again or train it again"
        ) from error
    if about is None:
        raise NetchuError(f"{path}: is a safetensors file, but no netchu bundle; give one that train.py wrote")
    if about.get("format") != FORMAT:
        raise NetchuError(
            f"{path}: bundle format {about.get('format')}, this version reads {FORMAT}; train it again or update"
        )
    if hash_arrays(arrays) != about["hashes"]["weights"]:
        raise NetchuError(f"{path}: its weights do not match the hash inside; copy it again or train it again")
    return arrays, about


def quantise_array(values: NDArray[np.float32], axes: tuple[int, ...]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(int8, scale) of weights with one scale for each index of `axes`; their product is within half a scale."""
    others = tuple(axis for axis in range(values.ndim) if axis not in axes)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12).astype(np.float32) / LEVELS
    return np.round(values / scale).astype(np.int8), scale


def dequantise(arrays: Arrays) -> Arrays:
    """The arrays with int8 weights as float32 again; what was never quantised comes back as it is."""
    restored: Arrays = {}
    for name, array in arrays.items():
        scale = arrays.get(name + SCALE)
        if array.dtype == np.int8 and scale is not None:
            rows = array.reshape(len(array), -1).astype(np.float32)
            restored[name] = (rows * scale[:, None]).reshape(array.shape)
        elif not (name.endswith(SCALE) and arrays.get(name.removesuffix(SCALE), array).dtype == np.int8):
            restored[name] = array
    return restored


def hash_arrays(arrays: Arrays) -> str:
    """SHA-256 over names, types (as PyTorch names them) and bytes of all arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:torch.{array.dtype}:{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def has_graph(path: Path) -> bool:
    """Whether a bundle can be run by onnxruntime; False for what is no bundle."""
    try:
        with safe_open(path, framework="np") as stream:
            return bool(json.loads((stream.metadata() or {}).get(KEY, "{}")).get("graph"))
    except (SafetensorError, OSError, ValueError, AttributeError):
        return False
