"""A cleaned manifest from findings; the data set itself is never touched.

Left out: lines without image or label, unreadable ones, over-long ones, all but the first of identical images, and
all of them where their labels differ. Changed: labels become NFC without invisible characters, eth becomes Đ, a writer
in several folds goes to the one that has most of his lines. Everything else stays for a person to decide.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.data.findings import Finding
from netchu.data.manifest import TRAIN_ONLY, Line, assign_folds

DROPPED = ("missing-image", "unreadable", "empty-label", "over-long", "copy-other-label")
LOOK_ALIKES = str.maketrans({"\u00d0": "\u0110", "\u00f0": "\u0111"})  # eth to đ


def clean(lines: Sequence[Line], findings: Sequence[Finding]) -> tuple[list[Line], list[tuple[Line, str]]]:
    """(lines that stay, lines left out with the reason); `findings` are those of these very Line objects.

    Lines without any fold get new ones. Raises NetchuError when no line is left.
    """
    reasons = {id(line): f.kind for f in findings if f.kind in DROPPED for line in f.lines}
    for finding in findings:
        if finding.kind == "copy":
            reasons |= {id(line): f"copy of {finding.lines[0].path}" for line in finding.lines[1:]}
    kept = [replace(line, text=clean_label(line.text)) for line in lines if id(line) not in reasons]
    if not kept:
        raise NetchuError("no line is left to write; correct the data set first")
    kept = _whole_writers(kept) if any(line.fold != TRAIN_ONLY for line in kept) else assign_folds(kept, seed=0)
    return kept, [(line, reasons[id(line)]) for line in lines if id(line) in reasons]


def clean_label(text: str) -> str:
    """NFC text with plain spaces, without control and format characters, with Đ for eth."""
    spaced = "".join(" " if unicodedata.category(c) == "Zs" or c in "\t\n\r" else c for c in text)
    visible = "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))
    return normalise(visible.translate(LOOK_ALIKES)).strip()


def _whole_writers(lines: Sequence[Line]) -> list[Line]:
    """Every writer's real lines in the fold that has most of them, and what was made from them there as well."""
    folds: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        if line.is_real and line.writer_id:
            folds[line.origin][line.fold] += 1
    whole = {writer: counts.most_common(1)[0][0] for writer, counts in folds.items()}
    return [
        replace(line, fold=whole.get(line.origin if line.is_real else line.writer_id, line.fold))
        if line.writer_id
        else line
        for line in lines
    ]
