"""Conventions of the labels: how they write a text whatever the hand wrote.

Candidates that a convention writes alike are one answer, whose probability is the sum of theirs: where "TP" and "Tp"
divide what the network is sure of, it is sure of the place all the same.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import TONES, normalise
from netchu.ctc.posteriors import Floats

KEPT = " '/"  # what a line in title case holds besides letters and digits


def _swapped_tones() -> dict[str, str]:
    """Syllable ends with the tone on the first vowel (hòa) -> the same with it on the second (hoà)."""
    pairs = {}
    for tone in TONES:
        for first, second in ("oa", "oe", "uy"):
            for a, b in ((first, second), (first.upper(), second), (first.upper(), second.upper())):
                pairs[normalise(a + tone) + b] = a + normalise(b + tone)
    return pairs


_LATE = _swapped_tones()
_EARLY = {late: early for early, late in _LATE.items()}
_END = r"(?<![qQ])({})(?!\w)"
FIND_EARLY = re.compile(_END.format("|".join(_LATE)))
FIND_LATE = re.compile(_END.format("|".join(_EARLY)))
# What Cinnamon's labels write late: names of wards in towns and of districts, and one province.
LATE_NAMES = re.compile(r"\b(?:(?:huyện|quận|phường|thành phố|thị xã|tp|tx)\b[^,]*|thanh hóa\b)", re.IGNORECASE)


def place_tones(text: str, late: bool) -> str:
    """Write the tone of a final oa, oe, uy on its second vowel (Hoà, Thuỷ) if `late`, else on its first (Hòa, Thủy)."""
    if late:
        return FIND_EARLY.sub(lambda found: _LATE[found[1]], text)
    return FIND_LATE.sub(lambda found: _EARLY[found[1]], text)


def as_read(text: str) -> str:
    """The text itself."""
    return text


def title(text: str) -> str:
    """A line without a comma in title case, without other punctuation than ' and /; one with a comma as it is.

    So are the labels of the Kalapa 2023 challenge, all 2,160 that were published, and none of Cinnamon's lacks a comma.
    """
    if "," in text:
        return text
    kept = "".join(c if c.isalnum() or c in KEPT else " " for c in text)
    return " ".join(word[0].upper() + word[1:].lower() for word in kept.split())


def title_tones(text: str) -> str:
    """The same, and in a line with a comma the tone of a final oa, oe, uy where Cinnamon's labels have it: late behind
    the kind of a district or of a ward in a town (Huyện Hoà An) and in Thanh Hoá, else early (Xã Hòa An, Khánh Hòa).

    So are 257 of the 294 published labels with such a syllable, whatever the hand wrote.
    """
    if "," not in text:
        return title(text)
    return LATE_NAMES.sub(lambda found: place_tones(found[0], True), place_tones(text, False))


CONVENTIONS: dict[str, Callable[[str], str]] = {"none": as_read, "title": title, "title_tones": title_tones}


@dataclass(frozen=True, slots=True)
class Answers:
    """What H candidates say once they are written by a convention: G texts, and the number of each candidate's (H,)."""

    texts: list[str]
    groups: NDArray[np.intp]

    def sums(self, scores: Floats) -> Floats:
        """(G,): the log of the sum of the candidates' probabilities, from their log scores (H,)."""
        if not len(scores) or not np.isfinite(highest := scores.max()):
            return np.full(len(self.texts), -np.inf)
        with np.errstate(divide="ignore"):
            shares = np.bincount(self.groups, np.exp(scores - highest), len(self.texts))
            return np.asarray(highest + np.log(shares))


def answers(texts: Sequence[str], convention: str, known: Collection[str] | None = None) -> Answers:
    """The answers that candidates stand for; `convention`: a key of CONVENTIONS.

    `known`: the characters that an answer may hold. A letter that the convention turns into one outside of them keeps
    its own case: some charsets hold a letter in one case only.
    """
    write = CONVENTIONS[convention]
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(_within(write(text), known), len(numbers)) for text in texts]
    return Answers(list(numbers), np.array(groups, np.intp))


def _within(written: str, known: Collection[str] | None) -> str:
    if known is None:
        return written
    return "".join(c if c in known else c.swapcase() for c in written)
