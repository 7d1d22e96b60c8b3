"""Members on onnxruntime, in float32: the graph in a bundle's metadata with the weights of the bundle."""

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netchu.core.batches import Prediction, run_batches
from netchu.core.charset import Charset
from netchu.core.config import from_dict
from netchu.core.errors import NetchuError
from netchu.core.preprocess import Input
from netchu.model.bundle_file import PREFIX, dequantise, read_arrays
from netchu.reading.engines import PIXELS
from netchu.reading.engines.sessions import one_line, open_session


class OnnxMember:
    """See `engines.Member`."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Raises NetchuError when onnxruntime is missing, the bundle is damaged, or it has no graph."""
        with one_line(f"{path}: its graph is damaged", "copy or release it again", asked_by="engine onnx: "):
            arrays, about = read_arrays(path)
            if not about.get("graph"):
                raise NetchuError(
                    f"{path}: has no graph for onnxruntime; release it (netchu release), or read with --engine torch"
                )
            self.path, self.cfg, self.charset = path, from_dict(about["config"], f"{path}"), Charset(about["charset"])
            graph = zlib.decompress(base64.b64decode(about["graph"]["onnx"], validate=True))
            unused = set(about["graph"]["unused"])
            weights = {PREFIX + n: _float32(array) for n, array in dequantise(arrays).items() if n not in unused}
            self._session = open_session(graph, threads=threads, weights=weights)

    def predict(self, inputs: Sequence[Input], *, precision: str = "auto", batch_size: int = 16) -> list[Prediction]:
        """Log-probabilities of each input (1, H, W), in order; raises NetchuError for another precision than fp32."""
        if precision not in ("auto", "fp32"):
            raise NetchuError(f"precision {precision}: engine onnx computes in fp32; take --engine torch")
        return run_batches(inputs, self._run, batch_size=batch_size, pixels=PIXELS)

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._session.run(["log_probs"], {"images": images})[0]
        return output


def _float32(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array.astype(np.float32) if array.dtype == np.float16 else np.ascontiguousarray(array)
