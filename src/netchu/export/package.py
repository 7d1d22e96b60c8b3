"""One zip with everything that somebody else needs to read lines with an exported model, and the model's card.

`<model file>`, `charset.json` (charset and the numbers of preprocessing), `test_vectors.json` (see `vectors`) and
`README.md`, the card: what it reads, what it was trained on, how it was measured, what it must not be used for.
"""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.charset import Charset
from netchu.core.config import portable_path
from netchu.core.files import atomic_path
from netchu.core.metrics import Scores, score_table
from netchu.core.preprocess import Geometry
from netchu.ctc.decoders import LogProbs
from netchu.export.onnx_file import describe
from netchu.export.vectors import write_vectors

if TYPE_CHECKING:
    from netchu.model.bundle import Bundle

WHEN = (2020, 1, 1, 0, 0, 0)  # the time of every member, so that the same export gives the same bytes


def write_package(
    path: Path,
    model: Path,
    kind: str,
    bundle: "Bundle",
    outputs: list[LogProbs],
    *,
    scores: tuple[Scores, Scores] | None,
    trained_on: str,
) -> None:
    """Write the zip atomically. `outputs` are the export's log_probs for the drawn lines, `scores` those of (bundle,
    export) on labelled lines, when there were any."""
    about = describe(bundle, kind)
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder) / "test_vectors.json"
        write_vectors(vectors, Geometry.of(bundle.cfg), Charset(about["charset"]), outputs)
        members = {
            model.name: model.read_bytes(),
            "charset.json": json.dumps(about, ensure_ascii=False, indent=1).encode("utf-8"),
            "test_vectors.json": vectors.read_bytes(),
            "README.md": card(model, about, bundle, scores, trained_on).encode("utf-8"),
        }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, WHEN)
            member.external_attr = 0o644 << 16
            archive.writestr(member, data, zipfile.ZIP_DEFLATED)


def card(
    model: Path, about: Mapping[str, Any], bundle: "Bundle", scores: tuple[Scores, Scores] | None, trained_on: str
) -> str:
    """The model card as Markdown; says "not measured" and "not stated" where nobody measured or stated."""
    cfg, metrics = bundle.cfg, bundle.metrics
    numbers = about["preprocessing"]
    start = portable_path(cfg.load_weight) or "no earlier bundle"
    held_out = f"fold {cfg.fold}" if cfg.holds_out else "no fold"
    measured = {f"held-out {source}": Scores(**part) for source, part in (metrics.get("by_source") or {}).items()}
    export = (
        [f"The same {scores[0].lines} lines, bundle: {scores[0]}", "", f"This file: {scores[1]}"]
        if scores
        else ["This file was compared with its bundle on drawn lines only, not on real ones."]
    )
    return "\n".join(
        [
            f"# {cfg.name or 'netchu model'}",
            "",
            f"`{model.name}` ({model.stat().st_size / 1e6:.1f} MB, {about['kind']}) reads one handwritten Vietnamese "
            "address line an image and answers in CTC log-probabilities.",
            "",
            "## Input and output",
            "",
            f"Ink strength, float32 (batch, 1, {numbers['height']}, width), width a multiple of "
            f"{numbers['width_multiple']}; `charset.json` has every number of the preprocessing. Output: log_probs "
            f"(batch, width / {about['width_stride']}, {len(about['charset']) + 1}), class 0 is CTC's blank, class i "
            "the i-th character of the charset. `test_vectors.json` says what a right reader gets on the way.",
            "",
            "## Training",
            "",
            f"Trained on: {trained_on or 'not stated'}. Network: {cfg.backbone}, neck {cfg.neck} {cfg.hidden}, "
            f"{cfg.epochs} epochs, {held_out} held out, started from {start}. "
            f"SHA-256 of the bundle: {about['bundle_sha256']}.",
            "",
            "## Measured",
            "",
            score_table(measured) if measured else "Not measured.",
            "",
            *export,
            "",
            "## Limits",
            "",
            f"Characters outside of the charset ({len(about['charset'])} of them) are never answered. Other scripts, "
            "printed text and whole pages are not what it learnt. An answer is a suggestion: have a person check what "
            "matters. Whether the weights may be passed on depends on the licence of the lines that they learnt from.",
            "",
        ]
    )
