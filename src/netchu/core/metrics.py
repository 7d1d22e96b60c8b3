"""How far answers are from labels: CER, WER, exact match and kalapa_score.

Rates are fractions (0.01 is 1 %). Everything is compared as NFC text and nothing else is normalised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import editdistance

from netchu.core.charset import normalise


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a set of lines. `cer` and `wer` divide all edits by all label characters or words."""

    lines: int
    cer: float
    wer: float
    exact: float
    kalapa_score: float

    def to_dict(self) -> dict[str, float]:
        """JSON-ready mapping."""
        return asdict(self)

    def cells(self) -> list[str]:
        """What a table shows of them: lines, CER, WER, exact, kalapa_score."""
        rates = [f"{100 * self.cer:.2f} %", f"{100 * self.wer:.2f} %", f"{100 * self.exact:.1f} %"]
        return [str(self.lines), *rates, f"{self.kalapa_score:.4f}"]

    def __str__(self) -> str:
        return (
            f"CER {100 * self.cer:.2f} %  WER {100 * self.wer:.2f} %  exact {100 * self.exact:.1f} %  "
            f"kalapa_score {self.kalapa_score:.4f}  ({self.lines} lines)"
        )


def score_table(scores: Mapping[str, Scores]) -> str:
    """Scores by what they were measured on, as a table in Markdown."""
    rows = ["| measured on | lines | CER | WER | exact | kalapa_score |", "|---|---|---|---|---|---|"]
    return "\n".join([*rows, *(f"| {name} | {' | '.join(own.cells())} |" for name, own in scores.items())])


def distance(answer: str, label: str) -> int:
    """Levenshtein distance in NFC characters."""
    return int(editdistance.eval(normalise(answer), normalise(label)))


def line_score(answer: str, label: str) -> float:
    """Kalapa 2023 score of one line: 1 if exact, else max(0, 1 - 1.5^d / n), d the distance, n the label's length.

    Source: the evaluation section of the Kalapa ByteBattles 2023 handwritten OCR challenge. An empty label scores 1
    for an empty answer, else 0.
    """
    edits = distance(answer, label)
    if edits == 0:
        return 1.0
    length = len(normalise(label))
    if length == 0 or edits > length + 40:  # beyond this the power only overflows; the score is 0 long before
        return 0.0
    return max(0.0, 1.0 - 1.5**edits / length)


def score(answers: Sequence[str], labels: Sequence[str]) -> Scores:
    """Scores of `answers` against `labels`, paired by position; raises ValueError for no or unpaired lines."""
    if len(answers) != len(labels) or not labels:
        raise ValueError(f"{len(answers)} answers against {len(labels)} labels")
    pairs = [(normalise(a), normalise(b)) for a, b in zip(answers, labels, strict=True)]
    characters = sum(len(label) for _, label in pairs)
    words = sum(len(label.split()) for _, label in pairs)
    return Scores(
        lines=len(pairs),
        cer=sum(distance(a, b) for a, b in pairs) / max(1, characters),
        wer=sum(editdistance.eval(a.split(), b.split()) for a, b in pairs) / max(1, words),
        exact=sum(a == b for a, b in pairs) / len(pairs),
        kalapa_score=sum(line_score(a, b) for a, b in pairs) / len(pairs),
    )


def score_by_source(answers: Sequence[str], labels: Sequence[str], sources: Sequence[str]) -> dict[str, Scores]:
    """Scores of each data set's lines, by name in order; the three are paired by position."""
    found = {}
    for name in sorted(set(sources)):
        own = [i for i, source in enumerate(sources) if source == name]
        found[name] = score([answers[i] for i in own], [labels[i] for i in own])
    return found


def accuracy_by_character(answers: Sequence[str], labels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each label character: how often it was read right on a best alignment, and how often it occurs."""
    counts: dict[str, list[int]] = {}
    for answer, label in zip(answers, labels, strict=True):
        for character, read in align(normalise(answer), normalise(label)):
            right_total = counts.setdefault(character, [0, 0])
            right_total[0] += read == character
            right_total[1] += 1
    return {character: (right, total) for character, (right, total) in sorted(counts.items())}


def align(answer: str, label: str) -> list[tuple[str, str]]:
    """Pairs (label character, what was read for it, "" when it was left out) on one best alignment."""
    rows = [list(range(len(label) + 1))]
    for i, a in enumerate(answer, 1):
        row = [i]
        for j, b in enumerate(label, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
        rows.append(row)
    pairs: list[tuple[str, str]] = []
    i, j = len(answer), len(label)
    while j > 0:
        if i > 0 and rows[i][j] == rows[i - 1][j - 1] + (answer[i - 1] != label[j - 1]):
            pairs.append((label[j - 1], answer[i - 1]))
            i, j = i - 1, j - 1
        elif i > 0 and rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            pairs.append((label[j - 1], ""))
            j -= 1
    return pairs[::-1]
