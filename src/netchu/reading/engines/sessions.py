"""Sessions of onnxruntime, opened in one way: for bundles, for exported models, for the page detector."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError


def open_session(
    model: Path | bytes, *, threads: int = 0, weights: Mapping[str, NDArray[np.generic]] | None = None
) -> Any:
    """A session on the CPU. `threads`: 0 for onnxruntime's own choice; `weights`: initializers that the graph names.

    Raises what onnxruntime raises, for a damaged model too: open it inside `one_line`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")  # or its threads slow another session down
    options.enable_mem_pattern = False  # images differ in size, and it keeps a plan for each
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


@contextmanager
def one_line(fault: str, remedy: str, *, asked_by: str = "") -> Iterator[None]:
    """Whatever goes wrong inside as one line: `fault`, its cause, `remedy`; or that onnxruntime is not installed, and
    what asked for it."""
    try:
        import onnxruntime  # noqa: F401  # before anything else is said of the model
    except ImportError as error:
        raise NetchuError(f"{asked_by}onnxruntime is not installed; pip install onnxruntime") from error
    try:
        yield
    except NetchuError:
        raise
    except Exception as error:  # onnxruntime has a class for each cause and no common one
        cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise NetchuError(f"{fault} ({cause}); {remedy}") from error
