"""What kinds of mistakes a set of answers holds: confusions, marks, length, writers, confidence.

Works on tables with a held-out line a row: `img_path`, `source`, `text` (its label), `answer`, `confidence`, and
`writer_id`, empty where nobody knows it. Texts are compared in NFC.
"""

import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from netchu.core.charset import STROKES, normalise
from netchu.core.metrics import Scores, distance, score

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("letter", "mark", "case", "digit", "space", "missing", "added")
LENGTHS = (20, 30, 40, 50)  # characters: upper ends of the length classes, the last one is open


def worst(table: "pd.DataFrame", count: int) -> "pd.DataFrame":
    """The rows with the most `edits` (a new column), for equal ones the shorter label first."""
    edits = [distance(answer, text) for answer, text in zip(table.answer, table.text, strict=True)]
    wrong = table.assign(edits=edits, length=table.text.str.len()).query("edits > 0")
    return wrong.sort_values(["edits", "length"], ascending=[False, True], kind="stable")[:count]


def confusions(table: "pd.DataFrame") -> Counter[tuple[str, str]]:
    """(what stands there, what was read), how often; empty for missing and added characters."""
    counts: Counter[tuple[str, str]] = Counter()
    for label, answer in zip(table.text.map(normalise), table.answer.map(normalise), strict=True):
        for kind, i, j, k, m in SequenceMatcher(None, label, answer, autojunk=False).get_opcodes():
            if kind != "equal":
                there, read = label[i:j], answer[k:m]
                shared = min(len(there), len(read))
                counts.update(zip(there[:shared], read[:shared], strict=True))
                counts.update((character, "") for character in there[shared:])
                counts.update(("", character) for character in read[shared:])
    return counts


def kind_of(there: str, read: str) -> str:
    """Which of KINDS a confusion is. `mark`: the same letter with another tone, hat, horn or bar."""
    if " " in (there, read):
        return "space"
    if not there or not read:
        return "added" if read else "missing"
    if there.lower() == read.lower():
        return "case"
    if there.isdigit() or read.isdigit():
        return "digit"
    return "mark" if plain(there) == plain(read) else "letter"


def plain(character: str) -> str:
    """The Latin letter below a Vietnamese one, in lower case. Only for counting kinds of mistakes."""
    return unicodedata.normalize("NFD", character)[0].translate(STROKES).lower()


def count_kinds(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Confusions by kind."""
    kinds: Counter[str] = Counter()
    for (there, read), count in counts.items():
        kinds[kind_of(there, read)] += count
    return kinds


def by_length(table: "pd.DataFrame") -> dict[str, Scores]:
    """Scores of rows by the length of their label."""
    lengths = table.text.str.len()
    groups = {}
    for start, end in pairwise((-1, *LENGTHS, lengths.max())):
        name = f"{start + 1} to {end}" if end in LENGTHS else f"over {start}"
        groups[name] = table[(lengths > start) & (lengths <= end)]
    return {name: _score(group) for name, group in groups.items() if len(group)}


def by_writer(table: "pd.DataFrame") -> dict[str, Scores]:
    """Scores of the rows of each known writer, the worst first."""
    known = table[table.writer_id != ""]
    groups = known.groupby((known.source + " " + known.writer_id).str.strip(), sort=False)
    scores = {str(name): _score(group) for name, group in groups}
    return dict(sorted(scores.items(), key=lambda item: -item[1].cer))


def _score(table: "pd.DataFrame") -> Scores:
    return score(table.answer.tolist(), table.text.tolist())
