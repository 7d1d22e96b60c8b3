"""Places of Vietnam as a source of further hypotheses: what an address would be if its end named known places.

An address ends in ward, district, province, each perhaps after its kind (Phường, Tp), with or without commas. From the
right, near names are proposed level by level, always of one hierarchy: a district of that province, a ward of that
district. Nothing is forced: a proposal is one more text whose CTC likelihood decides (see `reading`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import editdistance

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.tables import read_text

KINDS = tuple(
    tuple(kind.split())
    for kind in (
        "thành phố", "thị xã", "thị trấn", "tp", "tx", "tt", "quận", "q", "huyện", "h", "phường", "p", "xã", "x", "tỉnh"
    )
)  # fmt: skip
NEAR = 0.34  # edits a character up to which a name is near
NAMES = 3  # near names tried on each level
PROPOSALS = 12  # texts proposed for one hypothesis

Tree = dict[str, dict[str, tuple[str, ...]]]  # province -> district ("" where there is none) -> wards


@dataclass(frozen=True, slots=True)
class Match:
    """A name found before the word `start`: the text with it in place, edits so far."""

    words: tuple[str, ...]
    start: int
    edits: int


class Names:
    """Names of one level, in lower case by their number of words."""

    def __init__(self, names: Iterable[str]) -> None:
        self.by_words: dict[int, dict[str, str]] = {}
        for name in names:
            self.by_words.setdefault(name.count(" ") + 1, {})[name.lower()] = name

    def near(self, match: Match, end: int) -> list[tuple[str, Match]]:
        """The names nearest to the words that end at `end`, each with the match that it extends to."""
        found = []
        for count, names in self.by_words.items():
            if count > end:
                continue
            window = " ".join(match.words[end - count : end])
            bare = window.rstrip(",").lower()
            for lower, name in names.items():
                limit = NEAR * len(lower)
                if abs(len(bare) - len(lower)) <= limit:
                    edits = int(editdistance.eval(bare, lower))
                    if edits <= limit:
                        found.append((edits, name, count, window))
        found.sort(key=lambda item: item[:2])
        return [(name, _extended(match, end, n, name, window, edits)) for edits, name, n, window in found[:NAMES]]

    def equal(self, words: Sequence[str], end: int) -> Iterator[tuple[str, int]]:
        """(name, where it begins) of the names that the words before `end` spell out."""
        for count, names in self.by_words.items():
            name = names.get(" ".join(words[end - count : end]).rstrip(",").lower()) if count <= end else None
            if name is not None:
                yield name, end - count


class Gazetteer:
    """The hierarchy. Names are compared in lower case and written as the gazetteer has them."""

    def __init__(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """`rows`: province, district or "", ward."""
        tree: dict[str, dict[str, dict[str, None]]] = {}
        for province, district, ward in rows:
            tree.setdefault(province, {}).setdefault(district, {})[ward] = None
        self.tree: Tree = {p: {d: tuple(wards) for d, wards in ds.items()} for p, ds in tree.items()}
        self._provinces = Names(tree)
        self._districts = {p: Names(d for d in districts if d) for p, districts in tree.items()}
        self._wards = {(p, d): Names(wards) for p, districts in tree.items() for d, wards in districts.items()}

    def propose(self, text: str) -> list[str]:
        """Other texts that end in known places, the nearest first, at most `PROPOSALS`."""
        found: dict[str, int] = {}
        for match in self._matches(tuple(text.split())):
            proposal = " ".join(match.words)
            if proposal != text:
                found[proposal] = min(match.edits, found.get(proposal, match.edits))
        return sorted(found, key=lambda proposal: (found[proposal], proposal))[:PROPOSALS]

    def depth(self, text: str) -> int:
        """On how many levels (0 to 3) the text's end is a known place, read from the province on."""
        words = tuple(text.split())
        deepest = 0
        for province, start in self._provinces.equal(words, len(words)):
            end = _skip_kind(words, start)
            deepest = max(deepest, 1, 2 * self._has_ward(province, "", words, end))
            for district, begin in self._districts[province].equal(words, end):
                ward_end = _skip_kind(words, begin)
                deepest = max(deepest, 2, 3 * self._has_ward(province, district, words, ward_end))
        return deepest

    def _has_ward(self, province: str, district: str, words: Sequence[str], end: int) -> bool:
        """Whether the words before `end` spell out a ward of the district."""
        names = self._wards.get((province, district))
        return names is not None and any(names.equal(words, end))

    def _matches(self, words: tuple[str, ...]) -> Iterator[Match]:
        """All ways of reading the end of a text as near places, coarse ones first."""
        for province, match in self._provinces.near(Match(words, len(words), 0), len(words)):
            yield match
            end = _skip_kind(words, match.start)
            for district, deeper in self._districts[province].near(match, end):
                yield deeper
                ward_end = _skip_kind(words, deeper.start)
                yield from (ward for _, ward in self._wards[province, district].near(deeper, ward_end))
            if (province, "") in self._wards:
                yield from (ward for _, ward in self._wards[province, ""].near(match, end))


def _extended(match: Match, end: int, count: int, name: str, window: str, edits: int) -> Match:
    """A match with one more level; a name that was there already keeps its spelling, a comma stays."""
    comma = "," if window.endswith(",") else ""
    new = tuple(window.split() if edits == 0 else f"{name}{comma}".split())
    words = (*match.words[: end - count], *new, *match.words[end:])
    return Match(words, end - count, match.edits + edits)


def _skip_kind(words: tuple[str, ...], end: int) -> int:
    """Where the kind of unit that stands before word `end` begins, or `end` when none does."""
    for kind in KINDS:
        start = end - len(kind)
        if start > 0 and tuple(word.lower().rstrip(".") for word in words[start:end]) == kind:
            return start
    return end


def read_places(path: Path) -> Gazetteer:
    """The gazetteer in a TSV file of province, district, ward; raises NetchuError that names the file and the row."""
    if not path.is_file():
        raise NetchuError(
            f"{path}: no such gazetteer; make one: python synthetic_data/gentext_address.py --out {path}.txt "
            f"--places {path}"
        )
    rows = []
    for number, line in enumerate(normalise(read_text(path)).splitlines(), 1):
        cells = [re.sub(r"\s+", " ", cell).strip() for cell in line.split("\t")]
        if len(cells) != 3 or not cells[0] or not cells[2]:
            raise NetchuError(f"{path}:{number}: expected province, district (may be empty) and ward between tabs")
        rows.append((cells[0], cells[1], cells[2]))
    if not rows:
        raise NetchuError(f"{path}: holds no place; make it again with synthetic_data/gentext_address.py")
    return Gazetteer(rows)
