"""Whether an export still reads what its bundle reads: on drawn lines to the last digit, on real lines by CER."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netchu.core.batches import in_chunks
from netchu.core.errors import NetchuError
from netchu.core.images import Image, read_image
from netchu.core.metrics import Scores, score
from netchu.core.preprocess import Geometry, Input, preprocess
from netchu.ctc.decoders import LogProbs, greedy
from netchu.data.manifest import Line
from netchu.export.program import Run
from netchu.export.vectors import drawn_lines

if TYPE_CHECKING:
    from netchu.model.bundle import Bundle

MAX_DIFFERENCE = 1e-3  # of log-probabilities
Prepare = Callable[[Image, Geometry], Input]  # a grey line (h, w) -> what a model takes of it
CHUNK = 128  # lines in memory at once


@dataclass(frozen=True, slots=True)
class Parity:
    """Drawn lines of several widths through both models: the largest difference, the texts, the exported log_probs."""

    widths: list[int]
    difference: float
    texts: list[tuple[str, str]]  # (bundle, exported)
    outputs: list[LogProbs]

    @property
    def same_text(self) -> bool:
        """Whether every line is read alike."""
        return all(a == b for a, b in self.texts)

    def __str__(self) -> str:
        widths = ", ".join(map(str, self.widths))
        difference = "other time steps" if np.isinf(self.difference) else f"{self.difference:.1e}"
        return f"widths {widths}: largest difference of log_probs {difference}, " + (
            "same text" if self.same_text else "other text"
        )


def compare(bundle: "Bundle", run: Run, prepare: Prepare = preprocess) -> Parity:
    """Read the drawn lines with both, one at a time and then two in one batch; `prepare` makes the export's input.

    Raises NetchuError when the export does not run at one of the widths.
    """
    from netchu.model.predict import predict

    geometry = Geometry.of(bundle.cfg)
    lines = drawn_lines()
    lines.append(np.ascontiguousarray(lines[1][:, ::-1]))
    inputs = [preprocess(image, geometry) for image in lines]
    expected = [p.log_probs for p in predict(bundle.model.cpu(), inputs, precision="fp32")]
    theirs = [prepare(image, geometry) for image in lines]
    try:
        found, batch = [run(image[None])[0] for image in theirs[:3]], run(np.stack([theirs[1], theirs[3]]))
    except Exception as error:  # each runtime has its own class
        cause = str(error).strip().splitlines()[0][:200]
        raise NetchuError(
            f"{bundle.path}: its export was not written, since it does not run at every width ({cause}); "
            "try another format, such as --to torchscript"
        ) from error
    both = list(zip((*expected[:3], expected[1], expected[3]), (*found, *batch), strict=True))
    return Parity(
        widths=[image.shape[2] for image in theirs[:3]],
        difference=max(float(np.abs(a - b).max()) if a.shape == b.shape else float("inf") for a, b in both),
        texts=[(greedy(a, bundle.charset).text, greedy(b, bundle.charset).text) for a, b in both],
        outputs=found,
    )


def refuse_difference(parity: Parity, path: Path) -> None:
    """Raise NetchuError when an export is further than MAX_DIFFERENCE from its bundle, or reads another text."""
    if not parity.difference <= MAX_DIFFERENCE or not parity.same_text:
        raise NetchuError(
            f"{path}: not written, since it does not read like its bundle ({parity}; {MAX_DIFFERENCE:g} is allowed); "
            "export to another format and report this network"
        )


def score_both(
    bundle: "Bundle", run: Run, lines: Sequence[Line], prepare: Prepare = preprocess
) -> tuple[Scores, Scores]:
    """(bundle's, export's) scores on labelled lines, both greedy and float32 where they have floats."""
    from netchu.model.predict import predict

    geometry, labels = Geometry.of(bundle.cfg), [line.text for line in lines]
    ours: list[str] = []
    theirs: list[str] = []
    for chosen in in_chunks(lines, CHUNK, "reading with both"):
        images = [read_image(line.path) for line in chosen]
        inputs = [preprocess(image, geometry) for image in images]
        expected = predict(bundle.model.cpu(), inputs, precision="fp32")
        ours += [greedy(p.log_probs, bundle.charset).text for p in expected]
        found = [run(prepare(image, geometry)[None])[0] for image in images]
        theirs += [greedy(log_probs, bundle.charset).text for log_probs in found]
    return score(ours, labels), score(theirs, labels)
