"""Members on PyTorch: on the GPU where there is one."""

from pathlib import Path

import torch

from netchu.model.bundle import Bundle, load_bundle


def open_bundle(path: Path, threads: int = 0) -> Bundle:
    """The bundle's model, on the device that it runs on; `threads` of the CPU, for the whole process."""
    if threads:
        torch.set_num_threads(threads)
    bundle = load_bundle(path)
    bundle.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return bundle
