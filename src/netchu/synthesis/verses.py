"""Lines of verse: read from a CSV with a `content` column, or made up from valid Vietnamese syllables."""

import re
from pathlib import Path

from netchu.core.charset import TONES, normalise
from netchu.core.errors import NetchuError
from netchu.core.tables import read_csv_rows
from netchu.synthesis import Rng
from netchu.synthesis.fonts import REQUIRED

COLUMN = "content"
LONGEST = 70
_KNOWN = frozenset(REQUIRED)
_EXCHANGED = str.maketrans("–—’‘…;:!?", "--''.,,..", '“”"')

# A rime is written without its tone; `*` stands behind the vowel that carries it.
_OPEN = """\
a* i* u* o* ô* ơ* ư* e* ê* a*i a*o a*u â*u â*y a*y e*o ê*u i*u i*a iê*u o*i ô*i ơ*i u*i ư*i ư*a u*a oa* oe* uê*
uy* ư*u ươ*i uô*i a*m a*n a*ng a*nh ă*m ă*n ă*ng â*m â*n â*ng e*m e*n ê*m ê*n ê*nh i*m i*n i*nh iê*m iê*n iê*ng
o*m o*n o*ng ô*m ô*n ô*ng ơ*m ơ*n u*m u*n u*ng ư*ng ươ*m ươ*n ươ*ng uô*m uô*n uô*ng oa*n oa*ng uâ*n uyê*n uâ*ng
oă*n oă*ng oa*nh"""
_STOPPED = """\
a*c a*ch a*p a*t ă*c ă*p ă*t â*c â*p â*t e*c e*p e*t ê*ch ê*p ê*t i*ch i*p i*t iê*c iê*p iê*t o*c o*p o*t ô*c
ô*p ô*t ơ*p ơ*t u*c u*p u*t ư*c ư*t ươ*c ươ*p ươ*t uô*c uô*t oa*t oa*c uâ*t uyê*t"""
_ONSETS = "b c ch d đ g gi h kh l m n ng nh ph qu r s t th tr v x"
ONSETS, OPEN_RIMES, STOPPED_RIMES = ("", *_ONSETS.split()), _OPEN.split(), _STOPPED.split()
_FRONT = tuple("iêey")


def _spell(onset: str, rime: str, tone: str) -> str | None:
    """One NFC syllable, or None when the spelling rules forbid the pair."""
    if onset == "qu":
        if rime.startswith("uy"):
            onset = "q"
        elif rime[0] in "uươoô":
            return None
    elif rime[0] in _FRONT:
        onset = {"c": "k", "g": "gh", "ng": "ngh", "gi": "gi"}.get(onset, onset)
        if onset == "gi":
            return None
    if onset == "" and rime.startswith("iê"):
        rime = "yê" + rime[2:]
    if onset == "c" and rime.startswith(("oa", "oe", "uy", "uê", "uâ", "oă")):
        return None
    return normalise(onset + rime.replace("*", tone))


class PseudoVerse:
    """Makes lines of six or eight syllables that are spelt as Vietnamese is, without meaning."""

    def __init__(self) -> None:
        pairs = [(rime, tone) for rime in OPEN_RIMES for tone in ("", *TONES)]
        pairs += [(rime, tone) for rime in STOPPED_RIMES for tone in ("\u0301", "\u0323")]
        every = (_spell(onset, rime, tone) for onset in ONSETS for rime, tone in pairs)
        self.syllables = tuple(sorted({text for text in every if text}))

    def sample(self, rng: Rng) -> str:
        """One verse, NFC, first letter a capital, often with a comma or a full stop at its end."""
        count = 6 if rng.random() < 0.5 else 8
        words = [self.syllables[int(i)] for i in rng.integers(len(self.syllables), size=count)]
        if rng.random() < 0.15:
            words[count // 2 - 1] += ","
        text = " ".join(words)
        return text[0].upper() + text[1:] + str(rng.choice(["", ",", "."], p=[0.3, 0.4, 0.3]))


def read_poems(path: Path) -> list[str]:
    """Verses of a CSV's `content` column, split at line ends (real ones or `<newline>`), NFC.

    Marks that no face is sure to have are exchanged for near ones; verses with other signs, or longer than a line
    can be, are left out. Raises NetchuError for a missing file or column, or when no verse is left.
    """
    names, rows = read_csv_rows(path)
    if COLUMN not in names:
        raise NetchuError(f"{path}: no column {COLUMN!r}; it has {', '.join(names) or 'none'}")
    verses = [verse for row in rows for verse in re.split(r"<\s*newline\s*>|<\s*\n\s*>|\n", row[COLUMN])]
    verses = [" ".join(normalise(verse).translate(_EXCHANGED).split()) for verse in verses]
    usable = [verse for verse in verses if 2 <= len(verse) <= LONGEST and set(verse) <= _KNOWN]
    if not usable:
        raise NetchuError(f"{path}: no verse in column {COLUMN!r} that can be written")
    return usable
