"""How sure a reading is, character by character, and what else might stand there.

`detail` works on any reading, however its text was found: the text is laid over the time steps of one member's output
by its most probable CTC path. A character is as sure as the reading says, and where it says nothing, as its own steps
are; what else might stand there comes from the reading's other texts first, then from the steps.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK, Charset, normalise
from netchu.core.errors import NetchuError
from netchu.core.metrics import align as align_texts
from netchu.ctc.alignment import forced_path
from netchu.ctc.best_path import best_path
from netchu.ctc.decoders import LogProbs, Reading

MOST = 3  # alternatives of a character
MOST_LINES = 4  # alternatives of a line
LEAST = 0.01  # probability under which an alternative is not shown
MOST_EMPTY = 0.99  # confidence of an empty reading

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
    """A reading with its characters (their texts joined are `text`) and other readings of the line. `accept`: whether
    nobody need look at it (None: not known)."""

    text: str
    confidence: float
    characters: list[Character]
    lines: list[Guess]
    accept: bool | None = None


def detail(
    reading: Reading, log_probs: LogProbs, charset: Charset, *, accept: float | None = None, flat: bool = False
) -> DetailedReading:
    """A reading in detail, from the log_probs (T, C) of the member that is asked for other characters.

    Other lines are the reading's own alternatives where it has some. A text that the time steps cannot hold has no
    characters. `accept`: from which confidence on a reading is safe (None: not known). `flat`: the picture is plain
    paper (`is_blank`), the only one whose empty reading is safe.
    """
    text = normalise(reading.text)
    others = [Guess(other, round(value, 4)) for other, value in reading.alternatives[:MOST_LINES] if value >= LEAST]
    if not text:  # as sure as the time steps say that nothing stands there, whatever rule left it empty, never certain
        silent = float(np.exp(log_probs[:, BLANK].sum())) if len(log_probs) else 0.0
        return DetailedReading("", min(silent, MOST_EMPTY), [], others, None if accept is None else flat)
    try:
        spans = best_path_spans(log_probs, charset, text) or align(log_probs, charset.encode(text))
    except (ValueError, NetchuError):  # too few time steps, or a character that the charset lacks
        spans = []
    characters = [_character(np.exp(log_probs), span, charset) for span in spans]
    if len(characters) == len(reading.characters) == len(text):
        voted = votes(text, reading.alternatives)
        triples = zip(characters, reading.characters, voted, strict=True)
        characters = [_agreed(character, sure, votes_here) for character, sure, votes_here in triples]
    safe = None if accept is None else reading.confidence >= accept
    others = others or other_lines(characters, reading.confidence)
    return DetailedReading(text, reading.confidence, characters, others, safe)


def votes(text: str, others: Sequence[tuple[str, float]]) -> list[Counter[str]]:
    """For each character of `text`, what other texts of the line have in its place ("": nothing) and how probable
    that is."""
    found: list[Counter[str]] = [Counter() for _ in text]
    for other, probability in others:
        start = len(commonprefix([other, text]))  # noqa: RUF071 (of strings, indeed)
        end = len(commonprefix([other[start:][::-1], text[start:][::-1]]))  # noqa: RUF071
        pairs = align_texts(other[start : len(other) - end], text[start : len(text) - end])
        for here, (character, instead) in zip(found[start:], pairs, strict=False):
            if instead != character:
                here[instead] += probability  # type: ignore[assignment]  # a Counter adds floats as well
    return found


def _agreed(character: Character, sure: float, voted: Mapping[str, float]) -> Character:
    """A character as sure as the whole reading says; its alternatives share what is left, the voted ones first."""
    left = max(0.0, 1 - sure)
    shares = {text: min(left, value) for text, value in voted.items()}
    rest = [guess for guess in character.alternatives if guess.text not in shares]
    scale = min(1.0, (left - min(left, sum(shares.values()))) / max(1e-9, sum(guess.confidence for guess in rest)))
    shares |= {guess.text: guess.confidence * scale for guess in rest}
    best = sorted(shares.items(), key=lambda item: -item[1])[:MOST]
    others = [Guess(text, round(value, 4)) for text, value in best if value >= LEAST]
    return Character(character.text, round(min(1.0, sure), 4), others)


def best_path_spans(log_probs: LogProbs, charset: Charset, text: str) -> list[Span]:
    """Spans of `text` on the best class of each time step; empty when that path says something else."""
    path = best_path(log_probs)
    spans = list(zip(path.classes.tolist(), path.starts.tolist(), path.ends.tolist(), strict=True))
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
    path, _ = forced_path(log_probs, codes)
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
