"""What kinds of mistakes a set of answers holds: confusions, marks, length, writers, confidence.

Works on `Answered` lines: label, answer, confidence, and who wrote it. Texts are compared in NFC.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from netchu.core.charset import normalise
from netchu.core.metrics import Scores, distance, score

KINDS = ("letter", "mark", "case", "digit", "space", "missing", "added")
LENGTHS = (20, 30, 40, 50)  # characters: upper ends of the length classes, the last one is open


@dataclass(frozen=True, slots=True)
class Answered:
    """A held-out line with its answer; `writer` is empty where nobody knows it."""

    path: str
    source: str
    text: str
    answer: str
    confidence: float
    writer: str = ""

    @property
    def edits(self) -> int:
        """Levenshtein distance of answer and label."""
        return distance(self.answer, self.text)


def worst(lines: Sequence[Answered], count: int) -> list[Answered]:
    """The lines with the most edits, for equal ones the shorter label first."""
    return sorted((line for line in lines if line.edits), key=lambda line: (-line.edits, len(line.text)))[:count]


def confusions(lines: Sequence[Answered]) -> Counter[tuple[str, str]]:
    """(what stands there, what was read), how often; empty for missing and added characters."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        label, answer = normalise(line.text), normalise(line.answer)
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
    first = unicodedata.normalize("NFD", character)[0]
    return first.replace("đ", "d").replace("Đ", "D").lower()


def count_kinds(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Confusions by kind."""
    kinds: Counter[str] = Counter()
    for (there, read), count in counts.items():
        kinds[kind_of(there, read)] += count
    return kinds


def by_length(lines: Sequence[Answered]) -> dict[str, Scores]:
    """Scores of lines by the length of their label."""
    groups: dict[str, list[Answered]] = {}
    edges = [0, *LENGTHS]
    for start, end in zip(edges, [*LENGTHS, 0], strict=True):
        name = f"{start + (start > 0)} to {end}" if end else f"over {start}"
        groups[name] = [
            li for li in lines if start < len(li.text) <= (end or len(li.text)) or (not li.text and not start)
        ]
    return {name: _score(group) for name, group in groups.items() if group}


def by_writer(lines: Sequence[Answered]) -> dict[str, Scores]:
    """Scores of the lines of each known writer, the worst first."""
    groups: dict[str, list[Answered]] = defaultdict(list)
    for line in lines:
        if line.writer:
            groups[f"{line.source} {line.writer}".strip()].append(line)
    scores = {name: _score(group) for name, group in groups.items()}
    return dict(sorted(scores.items(), key=lambda item: -item[1].cer))


def _score(lines: Sequence[Answered]) -> Scores:
    return score([line.answer for line in lines], [line.text for line in lines])
