"""netchu-lite: reads lines with an exported ONNX model on onnxruntime, numpy and OpenCV; PyTorch is never imported.

`netchu-lite MODEL.onnx IMAGE... [--out answers.csv]`, after `pip install netchu[lite]`. The charset and the
numbers of preprocessing come from the model's own metadata, the code for both is what training used.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError, run_main
from netchu.core.files import atomic_path
from netchu.core.images import Image, confidence_of_nothing, is_blank, read_image
from netchu.core.preprocess import FIXED, Geometry, preprocess
from netchu.ctc.decoders import Reading, build_decoder

KEY = "netchu"  # of the model's metadata: JSON with format, charset and preprocessing
FORMAT = 1


class LiteRecogniser:
    """A recogniser in an ONNX file. `log_probs` is the network alone, `read` goes from images to texts."""

    def __init__(self, path: Path, *, threads: int = 0, decoder: str = "greedy") -> None:
        """Open a model; `threads` of the CPU, 0 for onnxruntime's own choice.

        Raises NetchuError for a missing or damaged file, for a model that netchu did not export, and for one whose
        preprocessing this version does not have.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise NetchuError("onnxruntime is not installed; pip install 'netchu[lite]'") from error
        if not path.is_file():
            raise NetchuError(f"{path}: no such model; make one with netchu export BUNDLE --to onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each cause and no common one
            cause = str(error).splitlines()[0]
            raise NetchuError(f"{path}: is damaged or no ONNX model ({cause}); export it again") from error
        self.path = path
        self.about = _about(path, self.session.get_modelmeta().custom_metadata_map)
        self.charset = Charset(self.about["charset"])
        numbers = self.about["preprocessing"]
        sizes = {key: int(numbers[key]) for key in ("height", "max_width", "pad")}
        self.geometry = Geometry(**sizes, stretch=float(numbers.get("stretch", 1)))  # type: ignore[misc]
        self.decode = build_decoder(decoder)

    def log_probs(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Network inputs (N, 1, H, W) -> log-probabilities (N, T, C)."""
        output: NDArray[np.float32] = self.session.run(["log_probs"], {"images": images})[0]
        return output

    def read(self, images: Sequence[Image]) -> list[Reading]:
        """Readings of grey images (h, w) of any size, in order, one at a time; one without ink reads as nothing."""
        readings = []
        for image in images:
            reading = Reading("", 0.0)
            if not is_blank(image):
                reading = self.decode(self.log_probs(preprocess(image, self.geometry)[None])[0], self.charset)
            if not reading.text:
                reading = replace(reading, confidence=confidence_of_nothing(image))
            readings.append(reading)
        return readings


def _about(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """The metadata of an exported model, checked against this version."""
    if KEY not in metadata:
        raise NetchuError(f"{path}: is an ONNX model, but netchu did not export it; use netchu export")
    about: dict[str, Any] = json.loads(metadata[KEY])
    if about.get("format") != FORMAT:
        raise NetchuError(f"{path}: export format {about.get('format')}, this version reads {FORMAT}; export it again")
    for key, value in FIXED.items():
        found = about["preprocessing"].get(key)
        if found != value:
            raise NetchuError(
                f"{path}: was exported for preprocessing with {key}={found}, this version has {value}; export it again"
            )
    return about


def main() -> None:
    """Read the images; print `id,answer,confidence` as they are read, or write them to a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="instead of printing")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: onnxruntime's choice")
    args = parser.parse_args()
    if args.threads < 0:
        raise NetchuError(f"--threads {args.threads}: expected 0 or more")
    recogniser = LiteRecogniser(args.model, threads=args.threads)
    rows = []
    for path in args.images:
        reading = recogniser.read([read_image(path)])[0]
        rows.append((path.as_posix(), reading.text, f"{reading.confidence:.4f}"))
        if args.out is None:
            csv.writer(sys.stdout, lineterminator="\n").writerow(rows[-1])
    if args.out is None:
        return
    with atomic_path(args.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "answer", "confidence"])
        writer.writerows(rows)
    print(f"{args.out}: {len(rows)} lines")


def run() -> None:
    """The console command `netchu-lite`."""
    run_main(main)


if __name__ == "__main__":
    run()
