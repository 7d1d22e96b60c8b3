"""A bundle as a recognition model that RapidOCR 3 loads by its parameter `Rec.model_path`.

Its input x is (N, 3, 48, W): BGR bytes / 127.5 - 1, and 0, which no byte becomes, where a line was padded. The graph
does the rest of netchu's preprocessing: grey, light writing turned over, levels, the network's own height, paper at
both ends. Its output is (N, T, C) probabilities, class 0 the blank and, where the charset has one, the space last:
RapidOCR puts both around the characters that the metadata name.
"""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netchu.core.charset import BLANK, Charset
from netchu.core.images import FAINTEST, WRITTEN_SHARE, Image
from netchu.core.preprocess import INK_SHARE, MAX_INK, MIN_CONTRAST, PAPER_SHARE, WIDTH_MULTIPLE, Geometry, Input
from netchu.export.onnx_file import KEY, write_signed
from netchu.export.program import Run
from netchu.model.bundle import Bundle
from netchu.model.graph import export_graph, trace
from netchu.reading.engines.sessions import one_line, open_session

HEIGHT = 48  # pixels
NARROWEST = 320  # pixels; RapidOCR pads every batch to at least this width
BGR = (0.114, 0.587, 0.299)  # shares of the channels in grey


class FromBgr(nn.Module):
    """A line as RapidOCR gives it (1, 3, 48, W) -> image (1, 1, H, W') of a network, as `core.preprocess` makes it."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.height, self.pad = geometry.height, geometry.pad

    def forward(self, x: Tensor) -> Tensor:
        """(1, 3, 48, W) -> (1, 1, H, W'), W' a multiple of WIDTH_MULTIPLE; RapidOCR's padding is cut off."""
        x = x.index_select(3, x.abs().amax(dim=(0, 1, 2)).nonzero().flatten())
        grey = ((x * x.new_tensor(BGR)[:, None, None]).sum(dim=1, keepdim=True) * 127.5 + 127.5).round().clamp(0, 255)
        level = grey.flatten().long()
        counts = torch.zeros(256).scatter_add(0, level, torch.ones_like(level, dtype=x.dtype))
        dark, middle, light = _levels(counts, WRITTEN_SHARE, 0.5, 1 - WRITTEN_SHARE)
        negative = light - middle > (middle - dark).clamp(min=FAINTEST)
        counts, grey = torch.where(negative, counts.flip(0), counts), torch.where(negative, 255 - grey, grey)
        ink, paper = _levels(counts, INK_SHARE, PAPER_SHARE)
        image = ((paper - grey) / (paper - ink).clamp(min=MIN_CONTRAST)).clamp(0, MAX_INK)
        if self.height != HEIGHT:
            image = nn.functional.interpolate(image, scale_factor=self.height / HEIGHT, mode="bilinear")
        width = image.shape[3]
        whole = (width + 2 * self.pad + WIDTH_MULTIPLE - 1) // WIDTH_MULTIPLE * WIDTH_MULTIPLE
        return nn.functional.pad(image, (self.pad, whole - width - self.pad))


def _levels(counts: Tensor, *shares: float) -> list[Tensor]:
    """The darkest grey level up to which at least each share of the pixels are; `counts` are (256,)."""
    below = counts.cumsum(0)
    return [(below < share * below[-1]).sum().to(counts.dtype) for share in shares]


def write_rapidocr(bundle: Bundle, path: Path) -> None:
    """Write preparing, network and probabilities as one ONNX file, a loop over the lines of a batch.

    Each line goes through the network alone, without RapidOCR's padding, so that its text does not depend on its
    neighbours in the batch. Raises NetchuError for a network that cannot be exported.
    """
    import onnx

    node, geometry, network = onnx.helper.make_node, Geometry.of(bundle.cfg), export_graph(bundle)
    free = {"line": {3: "width"}, "images": {3: "input_width"}}
    prepare = trace(FromBgr(geometry).eval(), torch.rand(1, 3, HEIGHT, NARROWEST), free)
    prepare = onnx.compose.add_prefix(prepare, "prepare_", rename_inputs=False, rename_outputs=False)
    prepare.ir_version = network.ir_version
    model = onnx.compose.merge_models(prepare, network, [("images", "images")])
    body, classes = model.graph, len(bundle.charset)
    numbers = {
        "zero": 0, "three": 3, "first_axis": [0], "classes": _order(bundle.charset),
        "own": HEIGHT, "height": geometry.height, "ends": 2 * geometry.pad + WIDTH_MULTIPLE - 1,
        "multiple": WIDTH_MULTIPLE, "steps_in_it": WIDTH_MULTIPLE // bundle.cfg.width_stride,
    }  # fmt: skip
    one_line_in = [
        node("Gather", ["x", "number"], ["bare"], axis=0),
        node("Unsqueeze", ["bare", "first_axis"], ["line"]),
    ]
    one_line_out = [
        node("Gather", ["log_probs", "classes"], ["ordered"], axis=2),
        node("Exp", ["ordered"], ["short"]),
        node("Squeeze", ["short", "first_axis"], ["row"]),
        node("Shape", ["row"], ["filled"], end=1),
        node("Sub", ["steps", "filled"], ["missing"]),
        node("Concat", ["first_axis", "missing"], ["behind"], axis=0),
        node("Pad", ["row", "behind", "", "first_axis"], ["whole_row"]),  # zeros, which RapidOCR takes for blanks
        node("Identity", ["going"], ["go_on"]),
    ]
    batch = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["lines"]),
        node("Gather", ["shape", "three"], ["width"]),  # and from it the time steps of a line that fills it
        node("Mul", ["width", "height"], ["scaled"]),
        node("Div", ["scaled", "own"], ["resized"]),
        node("Add", ["resized", "ends"], ["padded"]),
        node("Div", ["padded", "multiple"], ["blocks"]),
        node("Mul", ["blocks", "steps_in_it"], ["most"]),
        node("Unsqueeze", ["most", "first_axis"], ["steps"]),
    ]
    value, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    each = onnx.helper.make_graph(
        [*one_line_in, *body.node, *one_line_out],
        "line",
        [value("number", kinds.INT64, []), value("going", kinds.BOOL, [])],
        [value("go_on", kinds.BOOL, []), value("whole_row", kinds.FLOAT, ["row_steps", classes])],
        body.initializer,
    )
    whole = onnx.helper.make_graph(
        [*batch, node("Loop", ["lines", ""], ["probs"], body=each)],
        "rapidocr",
        [value("x", kinds.FLOAT, ["batch", 3, HEIGHT, "width"])],
        [value("probs", kinds.FLOAT, ["batch", "steps", classes])],
        [onnx.numpy_helper.from_array(np.array(number, np.int64), name) for name, number in numbers.items()],
    )
    model.graph.CopyFrom(whole)
    characters = [character for character in bundle.charset.characters if character != " "]
    write_signed(bundle, model, path, "rapidocr", character="\n".join(characters))


def _order(charset: Charset) -> list[int]:
    """RapidOCR's class -> the bundle's class."""
    return [BLANK, *sorted(range(1, len(charset)), key=lambda i: charset.characters[i - 1] == " ")]


def run_rapidocr(path: Path) -> Run:
    """The network in such a file: x (N, 3, 48, W) -> log_probs (N, T, C), the classes in the bundle's order."""
    with one_line(f"{path}: is damaged or no ONNX model", "export it again"):
        session = open_session(path)
    about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
    places = np.argsort(_order(Charset(about["charset"])))

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        probs: NDArray[np.float32] = session.run(["probs"], {"x": images})[0][:, :, places]
        return np.log(np.maximum(probs, np.finfo(np.float32).tiny))

    return run


def rapidocr_input(image: Image, geometry: Geometry) -> Input:
    """What RapidOCR makes of a grey line (h, w) that it reads alone: x (3, 48, W), W at least NARROWEST."""
    height, width = image.shape
    wide = max(NARROWEST, int(HEIGHT * width / height))
    resized = cv2.resize(image, (min(wide, math.ceil(HEIGHT * width / height)), HEIGHT))
    x = np.zeros((3, HEIGHT, wide), np.float32)
    x[:, :, : resized.shape[1]] = resized.astype(np.float32) / 127.5 - 1
    return x
