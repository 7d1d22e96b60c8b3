"""What may be wrong with a data set: each check takes lines and facts about their images, and gives findings.

Lines come with labels as they stand in the source, not yet made NFC. Checks never change or drop anything.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netchu.core.charset import normalise, required_steps
from netchu.core.config import Config
from netchu.core.image_files import is_foreign, is_image_name
from netchu.core.metrics import distance
from netchu.core.preprocess import Geometry
from netchu.data.image_facts import MISSING, ImageFacts, available_steps
from netchu.data.manifest import Line, find_leaks
from netchu.data.near_duplicates import find_near_duplicates

RARE = 5  # a character seen less often is hardly learnt
SUSPICIOUS = 0.3  # edits a label character between a label and its reading


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: whether it is an error, its heading, and what to do about it."""

    error: bool
    title: str
    remedy: str


KINDS: dict[str, Kind] = {
    "missing-image": Kind(True, "image named but missing", "add the image or remove the row"),
    "unreadable": Kind(True, "image that cannot be read", "replace or remove the file"),
    "empty-label": Kind(True, "empty label", "write the label or remove the row"),
    "over-long": Kind(True, "label too long for the widest line", "cut the line, or take a smaller width stride"),
    "copy-other-label": Kind(True, "identical images, different labels", "keep the right label"),
    "leak": Kind(True, "writer or image on both sides of a fold", "make the folds again, or use --fix"),
    "too-narrow": Kind(False, "more time steps needed than the line has", "a smaller width stride, or a wider image"),
    "on-its-side": Kind(False, "line that is taller than wide", "turn the image"),
    "unlabelled": Kind(False, "image without a label", "label it, or leave it for a test"),
    "not-nfc": Kind(False, "label that is not NFC", "nothing: it is made NFC when it is read"),
    "odd-character": Kind(False, "invisible, combining or foreign characters", "correct the label"),
    "rare-character": Kind(False, f"character seen under {RARE} times", "more lines that have it, also synthetic ones"),
    "copy": Kind(False, "identical images, same label", "keep one"),
    "near-duplicate": Kind(False, "nearly identical images", "look at both; keep one if they are the same line"),
    "suspicious": Kind(False, "label far from what the model reads", "look at the image; correct the label"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: its kind (a key of KINDS), a sentence, and the lines that it concerns."""

    kind: str
    message: str
    lines: tuple[Line, ...]


def find_all(lines: Sequence[Line], image_facts: Sequence[ImageFacts], cfg: Config) -> list[Finding]:
    """Every finding that needs no model, in the order of KINDS; time steps are those of the config."""
    found = [
        *check_images(lines, image_facts),
        *check_lengths(lines, image_facts, cfg),
        *check_characters(lines),
        *check_copies(lines, image_facts),
        *check_folds(lines, image_facts),
    ]
    order = list(KINDS)
    return sorted(found, key=lambda finding: order.index(finding.kind))


def check_images(lines: Sequence[Line], image_facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Missing and unreadable images, and images in the same folders that no line names."""
    for line, facts in zip(lines, image_facts, strict=True):
        if facts.problem:
            missing = facts.problem == MISSING
            message = str(line.path) if missing else facts.problem
            yield Finding("missing-image" if missing else "unreadable", message, (line,))
    named = {line.path.absolute() for line in lines}
    for folder in sorted({path.parent for path in named}):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if is_image_name(path) and not is_foreign(path) and path not in named:
                yield Finding("unlabelled", str(path), (Line(path, ""),))


def check_lengths(lines: Sequence[Line], image_facts: Sequence[ImageFacts], cfg: Config) -> Iterator[Finding]:
    """Empty labels, and labels that need more time steps than CTC has: on this line, or on any."""
    most = Geometry.of(cfg).input_width(cfg.max_width - 2 * cfg.pad) // cfg.width_stride
    for line, facts in zip(lines, image_facts, strict=True):
        needed = required_steps(line.text)
        if not line.text.strip():
            yield Finding("empty-label", f"{line.path}: no label", (line,))
        elif needed > most:
            yield Finding("over-long", f"{needed} time steps needed, the widest line has {most}", (line,))
        elif not facts.problem:
            if facts.shape[0] > facts.shape[1] and len(line.text.strip()) > 2:
                yield Finding("on-its-side", f"{facts.shape[1]} x {facts.shape[0]} pixels", (line,))
            steps = available_steps(facts, cfg)
            if needed > steps:
                height, width = facts.shape
                yield Finding(
                    "too-narrow", f"{needed} time steps needed, {steps} in {width} x {height} pixels", (line,)
                )


def check_characters(lines: Sequence[Line]) -> Iterator[Finding]:
    """Labels that are not NFC, characters that do not belong in a label, and characters seen under RARE times."""
    holders: dict[str, list[Line]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for line in lines:
        text = normalise(line.text)
        if text != line.text:
            yield Finding("not-nfc", f"{line.text!a}", (line,))
        odd = sorted({character for character in text if is_odd(character)})
        if odd:
            yield Finding("odd-character", ", ".join(map(name_character, odd)), (line,))
        counts.update(text)
        for character in set(text):
            holders[character].append(line)
    for character, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if count < RARE:
            message = f"{name_character(character)}: {count} in all"
            yield Finding("rare-character", message, tuple(holders[character]))


def is_odd(character: str) -> bool:
    """Whether a character looks like a slip of the keyboard: invisible, a mark by itself, or a letter not Latin.

    Eth (U+00D0), which looks like Đ, counts as foreign; so does every space but the plain one.
    """
    category = unicodedata.category(character)
    if category.startswith("L"):
        return not unicodedata.name(character, "").startswith("LATIN") or "LETTER ETH" in unicodedata.name(character)
    return category[0] in "CM" or (category[0] == "Z" and character != " ")


def name_character(character: str) -> str:
    """`'Ð' U+00D0 LATIN CAPITAL LETTER ETH`."""
    return f"{character!r} U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"


def check_copies(lines: Sequence[Line], image_facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Identical files, with the same or with different labels, and images that are nearly the same."""
    readable = [i for i, facts in enumerate(image_facts) if not facts.problem]
    by_digest: dict[str, list[int]] = defaultdict(list)
    for i in readable:
        by_digest[image_facts[i].digest].append(i)
    for copies in by_digest.values():
        if len(copies) > 1:
            texts = {normalise(lines[i].text).strip() for i in copies}
            message = f"{len(copies)} copies" + (f", {len(texts)} different labels" if len(texts) > 1 else "")
            yield Finding("copy" if len(texts) == 1 else "copy-other-label", message, tuple(lines[i] for i in copies))
    first = [copies[0] for copies in by_digest.values() if lines[copies[0]].is_real]
    signatures = [signature for i in first if (signature := image_facts[i].signature) is not None]
    for a, b, likeness in sorted(find_near_duplicates(signatures), key=lambda pair: -pair[2]):
        one, other = lines[first[a]], lines[first[b]]
        apart = "" if one.fold == other.fold else f", in folds {one.fold} and {other.fold}"
        yield Finding("near-duplicate", f"{100 * likeness:.0f} % alike{apart}", (one, other))


def check_folds(lines: Sequence[Line], image_facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    """Writers and identical images that stand in several folds."""
    whole = [
        replace(line, text=normalise(line.text))
        for line, facts in zip(lines, image_facts, strict=True)
        if facts.problem != MISSING
    ]
    for leak in find_leaks(whole).leaks:
        yield Finding("leak", leak.message, leak.lines)


def check_readings(lines: Sequence[Line], answers: dict[Path, str]) -> list[Finding]:
    """Labels at least SUSPICIOUS edits a character away from what a model reads in the image, the farthest first."""
    found = []
    for line in lines:
        label = normalise(line.text).strip()
        if label and line.path in answers:
            edits = distance(answers[line.path], label)
            if edits / len(label) >= SUSPICIOUS:
                found.append((edits / len(label), Finding("suspicious", f"read as: {answers[line.path]}", (line,))))
    return [finding for _, finding in sorted(found, key=lambda item: -item[0])]


def has_errors(findings: Sequence[Finding], *, strict: bool = False) -> bool:
    """Whether something must be put right; with `strict` every finding counts."""
    return any(strict or KINDS[finding.kind].error for finding in findings)
