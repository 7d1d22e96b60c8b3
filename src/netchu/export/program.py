"""A bundle as a PyTorch program that runs without netchu: TorchScript, or ExecuTorch for phones.

Both take images (N, 1, H, W) and give log_probs (N, T, C). TorchScript holds every neck, any batch and width.
ExecuTorch (`pip install netchu[executorch]`) takes one line at a time, any width up to the bundle's `max_width`, and
only necks without recurrence: of a GRU or LSTM it makes one operation a time step.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.preprocess import WIDTH_MULTIPLE
from netchu.export.onnx_file import describe
from netchu.reading.engines.sessions import one_line, open_session

if TYPE_CHECKING:
    from netchu.model.bundle import Bundle

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # images (N, 1, H, W) -> log_probs (N, T, C)
ABOUT = "netchu.json"  # the file inside a TorchScript archive that says what it is
EXECUTORCH_NECKS = ("none", "mixing")


def run_onnx(path: Path, *, threads: int = 0) -> Run:
    """The network in an ONNX file of `netchu export`; raises NetchuError when onnxruntime cannot open it."""
    with one_line(f"{path}: is damaged or no ONNX model", "export it again"):
        session = open_session(path, threads=threads)
    return lambda images: session.run(["log_probs"], {"images": images})[0]


def write_torchscript(bundle: "Bundle", path: Path) -> None:
    """Trace the recogniser and save it with its charset and preprocessing as `netchu.json` inside."""
    import torch

    from netchu.model.graph import LogProbs, example

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that tracing is deprecated, and that sizes may be constants: parity decides
        program = torch.jit.trace(LogProbs(bundle.model.cpu()).eval(), example(bundle), check_trace=False)
        about = json.dumps(describe(bundle, "torchscript"), ensure_ascii=False)
        torch.jit.save(program, str(path), _extra_files={ABOUT: about.encode("utf-8")})


def run_torchscript(path: Path) -> Run:
    """The network in a TorchScript file that this machine wrote."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.jit.load(str(path), map_location="cpu").eval()

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output: NDArray[np.float32] = program(torch.from_numpy(images)).numpy()
        return output

    return run


def write_executorch(bundle: "Bundle", path: Path) -> None:
    """Lower the recogniser to an ExecuTorch program for XNNPACK; raises NetchuError for a recurrent neck."""
    if bundle.cfg.neck not in EXECUTORCH_NECKS:
        raise NetchuError(
            f"{bundle.path}: neck {bundle.cfg.neck} is recurrent, ExecuTorch takes {' and '.join(EXECUTORCH_NECKS)}; "
            "use --to onnx on the phone"
        )
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from netchu.model.graph import LogProbs

    widest = bundle.cfg.max_width // WIDTH_MULTIPLE
    blocks = torch.export.Dim("blocks", min=2, max=widest)
    images = torch.zeros(1, 1, bundle.cfg.height, widest * WIDTH_MULTIPLE)  # memory is planned for the widest line
    exported = torch.export.export(
        LogProbs(bundle.model.cpu()).eval(), (images,), dynamic_shapes=({3: WIDTH_MULTIPLE * blocks},)
    )
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    path.write_bytes(lowered.buffer)


def run_executorch(path: Path) -> Run:
    """The network in an ExecuTorch file; each line of a batch is run by itself."""
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([method.execute([torch.from_numpy(image[None])])[0].numpy().copy() for image in images])

    return run
