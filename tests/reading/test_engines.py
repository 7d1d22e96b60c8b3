"""Engines: what they ask of the system."""

import resource

import numpy as np

from netchu.reading.engines.onnx_engine import OnnxMember
from netchu.reading.recipe import default_recipe, read_recipe


def test_onnxruntime_keeps_its_memory_from_line_to_line() -> None:
    """Pages asked of the system anew for every line take a tenth of its time."""
    member = OnnxMember(read_recipe(default_recipe()).bundles[0], threads=1)
    lines = [np.zeros((1, member.cfg.height, width), np.float32) for width in (1600, 640, 960, 320, 1280)]
    for _ in range(4):  # the room of all widths, found by and by
        member.predict(lines)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    member.predict(lines)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 1000
