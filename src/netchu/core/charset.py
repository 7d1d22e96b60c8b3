"""The charset: an ordered set of NFC characters; class 0 is CTC's blank, class i is character i - 1.

Labels are never stripped of diacritics and never changed in tone placement: normalising means NFC and nothing else.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from netchu.core.errors import NetchuError

BLANK = 0
TONES = "\u0300\u0301\u0303\u0309\u0323"  # grave, acute, tilde, hook above, dot below
STROKES = str.maketrans("đĐ", "dD")  # letters that Unicode does not take apart


def normalise(text: str) -> str:
    """NFC form of `text`: composed Vietnamese letters, one code point each."""
    return unicodedata.normalize("NFC", text)


class Charset:
    """Characters in a fixed order. `len` counts the blank as well, so it is the head's number of classes."""

    def __init__(self, characters: str) -> None:
        """Raises NetchuError when `characters` repeats one or holds one that is not composed (NFC)."""
        if normalise(characters) != characters:
            raise NetchuError("charset: holds decomposed characters; normalise the labels to NFC")
        repeated = [c for c, n in Counter(characters).items() if n > 1]
        if repeated:
            raise NetchuError(f"charset: repeats {''.join(repeated)!r}; list each character once")
        self.characters = characters
        self._index = {character: i + 1 for i, character in enumerate(characters)}

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "Charset":
        """Every character of `texts`, in code point order; marks that stand alone come first, since behind a letter
        they might compose with it."""
        found = sorted({c for text in texts for c in normalise(text)})
        marks = sorted(filter(unicodedata.combining, found), key=unicodedata.combining)
        return cls("".join([*marks, *(c for c in found if c not in marks)]))

    def __len__(self) -> int:
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Charset) and self.characters == other.characters

    @property
    def space(self) -> int:
        """Class number of the space; 0, the blank's, where the charset has none."""
        return self._index.get(" ", BLANK)

    def encode(self, text: str) -> list[int]:
        """Class numbers of a text; raises NetchuError that names the first unknown character."""
        try:
            return [self._index[c] for c in normalise(text)]
        except KeyError as error:
            raise NetchuError(f"character {error.args[0]!r} of {text!r} is not in the charset") from None

    def decode(self, classes: Sequence[int]) -> str:
        """Text of class numbers; blanks are skipped, repeats are kept (a best path has dropped them)."""
        return "".join(self.characters[c - 1] for c in classes if c != BLANK)

    def count_unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Characters of `texts` that the charset lacks, with how often each occurs."""
        return Counter(c for text in texts for c in normalise(text) if c not in self._index)


def describe_counts(counts: Counter[str]) -> str:
    """Characters and how often each occurs, the most frequent first: `'é' 3, '#' 1`."""
    return ", ".join(f"{character!r} {count}" for character, count in counts.most_common())


def nearest_letter(character: str, known: Collection[str]) -> str:
    """The letter of `known` that looks most like `character`, "" when none does.

    Tried in this order: the tone taken off, every mark taken off (hat, horn, breve, stroke, cedilla), then the same in
    the other case.
    """
    for letter in (character, character.swapcase()):
        parts = unicodedata.normalize("NFD", letter)
        toneless = normalise("".join(part for part in parts if part not in TONES))
        bare = "".join(part for part in parts if not unicodedata.combining(part)).translate(STROKES)
        for near in (letter, toneless, bare):
            if near and near in known:
                return near
    return ""


def required_steps(text: str) -> int:
    """Time steps that CTC needs for `text`: its length, and one blank between equal neighbours."""
    text = normalise(text)
    return len(text) + sum(a == b for a, b in pairwise(text))
