"""Places of Vietnam as a source of further hypotheses: what an address would be if its end named known places.

An address ends in ward, district, province, each perhaps after its kind (Phường, Tp), with or without commas. From the
right, near names are proposed level by level, always of one hierarchy: a district of that province, a ward of that
district. Nothing is forced: a proposal is one more text whose CTC likelihood decides (see `reading`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import editdistance

from netchu.charset import normalise
from netchu.errors import NetchuError

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
    """A name found before the word `start`: the text with it in place, edits so far, how many levels are matched."""

    words: tuple[str, ...]
    start: int
    edits: int
    levels: int


class Gazetteer:
    """The hierarchy. Names are compared in lower case and written as the gazetteer has them."""

    def __init__(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """`rows`: province, district or "", ward."""
        tree: dict[str, dict[str, dict[str, None]]] = {}
        for province, district, ward in rows:
            tree.setdefault(province, {}).setdefault(district, {})[ward] = None
        self.tree: Tree = {p: {d: tuple(wards) for d, wards in ds.items()} for p, ds in tree.items()}

    def propose(self, text: str) -> list[str]:
        """Other texts that end in known places, the nearest first, at most `PROPOSALS`."""
        found: dict[str, int] = {}
        for match in self._matches(text, NEAR):
            proposal = " ".join(match.words)
            if proposal != text:
                found[proposal] = min(match.edits, found.get(proposal, match.edits))
        return sorted(found, key=lambda proposal: (found[proposal], proposal))[:PROPOSALS]

    def depth(self, text: str) -> int:
        """On how many levels (0 to 3) the text's end is a known place, read from the province on."""
        return max((match.levels for match in self._matches(text, 0.0)), default=0)

    def _matches(self, text: str, near: float) -> Iterator[Match]:
        """All ways of reading the end of the text as near places, coarse ones first."""
        words = tuple(text.split())
        for province in self._near(Match(words, len(words), 0, 0), self.tree, near):
            yield province[1]
            districts = self.tree[province[0]]
            options = list(self._near(province[1], [d for d in districts if d], near))
            for district in options:
                yield district[1]
                yield from (ward for _, ward in self._near(district[1], districts[district[0]], near))
            if "" in districts:
                yield from (ward for _, ward in self._near(province[1], districts[""], near))

    def _near(self, match: Match, names: Iterable[str], near: float) -> list[tuple[str, Match]]:
        """The names nearest to the words before a match, each with the match that it extends to."""
        end = _skip_kind(match.words, match.start) if match.levels else match.start
        found = []
        windows: dict[int, str] = {}
        for name in names:
            count = name.count(" ") + 1
            if count > end:
                continue
            window = windows.get(count)
            if window is None:
                window = windows[count] = " ".join(match.words[end - count : end])
            bare = window.rstrip(",").lower()
            limit = near * len(name)
            if abs(len(bare) - len(name)) > limit:
                continue
            edits = int(editdistance.eval(bare, name.lower()))
            if edits <= limit:
                found.append((edits, name, count, window))
        found.sort(key=lambda item: item[:2])
        return [
            (name, _extended(match, end, count, name, window, edits)) for edits, name, count, window in found[:NAMES]
        ]


def _extended(match: Match, end: int, count: int, name: str, window: str, edits: int) -> Match:
    """A match with one more level; a name that was there already keeps its spelling, a comma stays."""
    comma = "," if window.endswith(",") else ""
    new = tuple(window.split() if edits == 0 else f"{name}{comma}".split())
    words = (*match.words[: end - count], *new, *match.words[end:])
    return Match(words, end - count, match.edits + edits, match.levels + 1)


def _skip_kind(words: tuple[str, ...], end: int) -> int:
    """Where the kind of unit that stands before word `end` begins, or `end` when none does."""
    for kind in KINDS:
        start = end - len(kind)
        if start > 0 and tuple(word.lower().rstrip(".") for word in words[start:end]) == kind:
            return start
    return end


def read_places(path: Path) -> Gazetteer:
    """The gazetteer in a TSV file of province, district, ward; raises NetchuError that names the file and the row."""
    try:
        lines = normalise(path.read_text(encoding="utf-8-sig")).splitlines()
    except FileNotFoundError:
        raise NetchuError(
            f"{path}: no such gazetteer; make one: python synthetic_data/gentext_address.py --places {path}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NetchuError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    rows = []
    for number, line in enumerate(lines, 1):
        cells = [re.sub(r"\s+", " ", cell).strip() for cell in line.split("\t")]
        if len(cells) != 3 or not cells[0] or not cells[2]:
            raise NetchuError(f"{path}:{number}: expected province, district (may be empty) and ward between tabs")
        rows.append((cells[0], cells[1], cells[2]))
    if not rows:
        raise NetchuError(f"{path}: holds no place; make it again with synthetic_data/gentext_address.py --places")
    return Gazetteer(rows)
