"""How sure a reading is, character by character, and what else might stand there.

`detail` works on any reading, however its text was found: the text is laid over the time steps of one member's output
by its most probable CTC path, and each character is judged at its own steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netchu.align import best_path
from netchu.charset import BLANK, Charset, normalise
from netchu.decode import LogProbs, Reading

MOST = 3  # alternatives of a character
MOST_LINES = 4  # alternatives of a line
LEAST = 0.01  # probability under which an alternative is not shown

Span = tuple[int, int, int]  # (class, first time step, end)


@dataclass(frozen=True, slots=True)
class Guess:
    """A text and its probability: a whole line, a character, or "" for no character at all."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Character:
    """One character of a reading, how sure it is, and the likeliest others in its place."""

    text: str
    confidence: float
    alternatives: list[Guess]


@dataclass(frozen=True, slots=True)
class DetailedReading:
    """A reading with its characters (their texts joined are `text`) and other readings of the line."""

    text: str
    confidence: float
    characters: list[Character]
    lines: list[Guess]


def detail(reading: Reading, log_probs: LogProbs, charset: Charset) -> DetailedReading:
    """A reading in detail, from the log_probs (T, C) of the member that is asked for other characters.

    Other lines are the reading's own alternatives where it has some. A text that the time steps cannot hold has no
    characters.
    """
    text = normalise(reading.text)
    try:
        spans = best_path_spans(log_probs, charset, text) or align(log_probs, charset.encode(text))
    except ValueError:
        spans = []
    characters = [_character(np.exp(log_probs), span, charset) for span in spans]
    lines = [Guess(other, round(value, 4)) for other, value in reading.alternatives[:MOST_LINES] if value >= LEAST]
    return DetailedReading(text, reading.confidence, characters, lines or other_lines(characters, reading.confidence))


def best_path_spans(log_probs: LogProbs, charset: Charset, text: str) -> list[Span]:
    """Spans of `text` on the best class of each time step; empty when that path says something else."""
    best = log_probs.argmax(axis=1)
    starts = np.flatnonzero(np.r_[True, best[1:] != best[:-1]]) if len(best) else np.zeros(0, dtype=int)
    ends = np.r_[starts[1:], len(best)]
    spans = [(int(best[s]), int(s), int(e)) for s, e in zip(starts, ends, strict=True) if best[s] != BLANK]
    whole = charset.decode([code for code, _, _ in spans])
    first = len(whole) - len(whole.lstrip())
    spans = spans[first : first + len(whole.strip())]
    return spans if whole.strip() == text else []


def align(log_probs: LogProbs, codes: Sequence[int]) -> list[Span]:
    """Spans of time steps that the classes `codes` have on their most probable CTC path over log_probs (T, C).

    Raises ValueError when there are fewer time steps than the text needs.
    """
    if not codes:
        return []
    path, _ = best_path(log_probs, codes)
    spans = []
    for position, code in enumerate(codes):
        own = np.flatnonzero(path == 2 * position + 1)
        spans.append((code, int(own[0]), int(own[-1]) + 1))
    return spans


def _character(probs: NDArray[np.floating], span: Span, charset: Charset) -> Character:
    """The character of a span (probs (T, C)): each class counts with its best time step there."""
    code, start, end = span
    peak = probs[start:end].max(axis=0)
    peak[BLANK] = probs[start:end, BLANK].min()  # blank everywhere in the span is what leaves the character out
    order = [int(i) for i in np.argsort(-peak) if i != code and peak[i] >= LEAST][:MOST]
    others = [Guess("" if i == BLANK else charset.decode([i]), round(float(peak[i]), 4)) for i in order]
    return Character(charset.decode([code]), round(min(1.0, float(peak[code])), 4), others)


def other_lines(characters: Sequence[Character], confidence: float) -> list[Guess]:
    """Readings that differ in one character, the likeliest first; what each costs is taken from its character."""
    found: dict[str, float] = {}
    for i, character in enumerate(characters):
        for guess in character.alternatives:
            parts = [c.text for c in characters]
            parts[i] = guess.text
            text = "".join(parts).strip()
            value = confidence * guess.confidence / max(character.confidence, 1e-6)
            found[text] = max(found.get(text, 0.0), min(1.0, value))
    best = sorted(found.items(), key=lambda item: -item[1])[:MOST_LINES]
    return [Guess(text, round(value, 4)) for text, value in best]
