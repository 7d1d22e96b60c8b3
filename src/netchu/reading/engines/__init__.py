"""What computes a member's outputs -> ENGINES: onnxruntime, the default on a CPU, or PyTorch, on a GPU or when asked.

Both read the same bundle files and answer alike: log-probabilities within 2e-3, `netchu release` checks it.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from netchu.core.batches import Prediction
from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.preprocess import Input

PIXELS = 2 * 64 * 1024  # of a batch on a CPU at most: what two usual lines take stays in its caches, sixteen do not


class Member(Protocol):
    """A bundle that an engine has opened."""

    @property
    def path(self) -> Path:
        """The bundle's file."""

    @property
    def cfg(self) -> Config:
        """The config that it was trained with."""

    @property
    def charset(self) -> Charset:
        """Its characters."""

    def predict(self, inputs: Sequence[Input], *, precision: str = "auto", batch_size: int = 16) -> list[Prediction]:
        """Log-probabilities of each input (1, H, W), in order; may be called by several threads."""


def open_member(path: Path, engine: str = "auto", threads: int = 0) -> Member:
    """Open a bundle. `engine`: a key of ENGINES, or `auto`; `threads` of the CPU, 0 for the engine's own choice.

    Raises NetchuError for an unknown engine or one that is not installed, and for a bundle that it cannot run.
    """
    if engine == "auto":
        engine = choose_engine(path)
    if engine not in ENGINES:
        raise NetchuError(f"engine {engine}: there is none of that name; there are: auto, {', '.join(ENGINES)}")
    return ENGINES[engine](path, threads)


def choose_engine(path: Path) -> str:
    """onnx where it is installed and the bundle has a graph and no GPU is there, else torch where it is installed."""
    from netchu.model.bundle_file import has_graph

    torch, onnx = _installed("torch"), _installed("onnxruntime")
    if not onnx:
        return "torch" if torch else "onnx"  # which says what to install
    if not torch:
        return "onnx"
    return "torch" if _has_gpu() or not has_graph(path) else "onnx"


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _has_gpu() -> bool:
    """Whether a driver for NVIDIA's GPUs is loaded; asking PyTorch would take a second and 300 MB."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists()


def _open_onnx(path: Path, threads: int) -> Member:
    from netchu.reading.engines.onnx_engine import OnnxMember

    return OnnxMember(path, threads)


def _open_torch(path: Path, threads: int) -> Member:
    """On the GPU where there is one; `threads` of the CPU are those of the whole process."""
    try:
        import torch

        from netchu.model.bundle import load_bundle
    except ImportError as error:
        raise NetchuError(f"engine torch: {error.name} is not installed; pip install 'netchu[train]'") from error
    if threads:
        torch.set_num_threads(threads)
    bundle = load_bundle(path)
    bundle.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return bundle


ENGINES: dict[str, Callable[[Path, int], Member]] = {"onnx": _open_onnx, "torch": _open_torch}
