"""Which members, with which weights: searched on out-of-fold lines under a limit of bytes and of time.

Greedy forward selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models"), and
every small set of members with every small weight when there are few. A member's weight is how often it was taken.
The gain is reported by nested cross-validation over writers: what some writers' lines chose is measured on the others'.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from netchu.core.errors import NetchuError
from netchu.core.metrics import Scores, score
from netchu.reading.candidates import Floats
from netchu.reading.line_reader import Settings
from netchu.selection.decoder_tuning import ScoredLine, answer, confidence, gain, tune

ROUNDS = 6  # members taken, repeats included
EXACT_UP_TO = 3000  # weightings that are still all tried

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Limits:
    """What members cost and what is allowed: bytes, and seconds a line. `fixed`: bytes that are opened anyway.
    `files`: which file each member is of; those of one file are paid once (empty: each has its own)."""

    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    max_bytes: float
    max_seconds: float
    fixed: int = 0
    files: tuple[str, ...] = ()

    def bytes_of(self, weights: Sequence[float] | Floats) -> int:
        """Bytes of all files opened for these members."""
        used = [i for i, weight in enumerate(weights) if weight > 0]
        return self.fixed + sum({self.files[i] if self.files else i: self.sizes[i] for i in used}.values())

    def seconds_of(self, weights: Sequence[float] | Floats) -> float:
        """Seconds a line of these members."""
        return sum(s for s, weight in zip(self.seconds, weights, strict=True) if weight > 0)

    def allow(self, weights: Sequence[float] | Floats) -> bool:
        """Whether these members fit."""
        return self.bytes_of(weights) <= self.max_bytes and self.seconds_of(weights) <= self.max_seconds


@dataclass(frozen=True, slots=True)
class Choice:
    """Weights of all members (0: not chosen, sum 1) and the kalapa_score of the lines that they were chosen on."""

    weights: tuple[float, ...]
    gain: float


def tries(members: int, limits: Limits, rounds: int) -> list[tuple[float, ...]] | None:
    """All weightings that fit with up to `rounds` parts, each once; None when there are too many to try."""
    found: dict[tuple[float, ...], None] = {}
    for parts in range(1, rounds + 1):
        for chosen in combinations_with_replacement(range(members), parts):
            weights = _shares(np.bincount(chosen, minlength=members))
            if limits.allow(weights):
                found[weights] = None
            if len(found) > EXACT_UP_TO:
                return None
    return list(found)


def search(lines: Sequence[ScoredLine], limits: Limits, settings: Settings) -> list[Choice]:
    """Everything that was tried, the best first; exact when few enough weightings fit, else greedy.

    Empty when no single member fits the limits.
    """
    members = len(limits.sizes)
    every = tries(members, limits, ROUNDS if members <= 3 else 3)
    if every is not None:
        found = [Choice(weights, gain(lines, np.array(weights), settings)) for weights in every]
    else:
        found = list(_greedy(lines, limits, settings))
    return sorted(found, key=lambda c: (-c.gain, limits.bytes_of(c.weights), limits.seconds_of(c.weights)))


def _greedy(lines: Sequence[ScoredLine], limits: Limits, settings: Settings) -> Iterator[Choice]:
    """Take, again and again, the member that helps most."""
    counts = np.zeros(len(limits.sizes), np.int64)
    for _ in range(ROUNDS):
        steps = []
        for member in range(len(counts)):
            counts[member] += 1
            weights = _shares(counts)
            if limits.allow(weights):
                steps.append((Choice(weights, gain(lines, np.array(weights), settings)), member))
            counts[member] -= 1
        if not steps:
            return
        yield from (choice for choice, _ in steps)
        counts[max(steps, key=lambda step: step[0].gain)[1]] += 1


def _shares(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """Weights that sum to 1."""
    return tuple((counts / counts.sum()).tolist())


def pareto(
    items: Sequence[Item], costs: Callable[[Item], Sequence[float]], loss: Callable[[Item], float]
) -> list[Item]:
    """The items that none beats which costs no more and loses no more, the cheapest first."""
    kept: list[tuple[tuple[float, ...], Item]] = []
    for key, item in sorted((((*costs(item), loss(item)), item) for item in items), key=lambda pair: pair[0]):
        if not any(all(a <= b for a, b in zip(other, key, strict=True)) for other, _ in kept):
            kept.append((key, item))
    return [item for _, item in kept]


def choose(lines: Sequence[ScoredLine], limits: Limits, settings: Settings) -> tuple[list[Choice], Settings]:
    """(what was tried, the best first; settings that it was tried with). They are tuned for all members together first,
    and then for the best of what was tried with those."""
    members = len(limits.sizes)
    rough = tune(lines, np.full(members, 1 / members), settings)
    found = search(lines, limits, rough)
    if members > 1 and found:
        rough = tune(lines, np.array(found[0].weights), settings)
        found = search(lines, limits, rough)
    return found, rough


class Judged(NamedTuple):
    """What lines were read as by settings that they had no part in: all scores, and each line's confidence, whether it
    was right, and its answer."""

    scores: Scores
    sure: list[float]
    right: list[bool]
    answers: list[str]


def nested(lines: Sequence[ScoredLine], limits: Limits, settings: Settings, parts: int = 2) -> Judged:
    """Honest figures of selection: each part of the writers is read with what the other parts chose and tuned."""

    def chosen(others: Sequence[ScoredLine]) -> tuple[Floats, Settings]:
        found, rough = choose(others, limits, settings)
        return np.array(found[0].weights), rough

    return _in_parts(lines, parts, chosen)


def cross_tuned(lines: Sequence[ScoredLine], weights: Floats, settings: Settings, parts: int = 2) -> Judged:
    """Honest figures of given members: each part of the writers is read with the settings that the others tuned."""
    return _in_parts(lines, parts, lambda others: (weights, settings))


def _in_parts(
    lines: Sequence[ScoredLine], parts: int, weigh: Callable[[Sequence[ScoredLine]], tuple[Floats, Settings]]
) -> Judged:
    """Writers in `parts`; raises NetchuError when there are fewer than two writers or parts."""
    writers = len({line.writer for line in lines})
    if writers < 2 or parts < 2:
        raise NetchuError(f"--parts {parts}: {writers} writers; two parts and writers or more are needed")
    part = part_writers(lines, parts)
    answers, sure = [""] * len(lines), [0.0] * len(lines)
    for held in np.unique(part):
        others = [line for line, own in zip(lines, part, strict=True) if own != held]
        weights, rough = weigh(others)
        tuned = tune(others, weights, rough)
        for i in np.flatnonzero(part == held).tolist():
            answers[i], sure[i] = answer(lines[i], weights, tuned), confidence(lines[i], weights, tuned)
    return judge(answers, sure, lines)


def part_writers(lines: Sequence[ScoredLine], parts: int) -> NDArray[np.intp]:
    """The part of each line, (N,): all lines of a writer are in one of `parts`."""
    writers = {writer: i % parts for i, writer in enumerate(sorted({line.writer for line in lines}))}
    return np.array([writers[line.writer] for line in lines], np.intp)


def judge(answers: list[str], sure: list[float], lines: Sequence[ScoredLine]) -> Judged:
    """What answers of these confidences are worth."""
    labels = [line.label for line in lines]
    return Judged(score(answers, labels), sure, [a == label for a, label in zip(answers, labels, strict=True)], answers)
