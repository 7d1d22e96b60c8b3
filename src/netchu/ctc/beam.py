"""CTC prefix beam search: the likeliest texts of a line (its N-best), with a language model inside when one is given.

Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
DNNs" (arXiv:1408.2873), algorithm 1, here over all prefixes of the beam at once. Only classes above `FLOOR` are tried
in a frame, prefixes far below the best are dropped, and frames in which nothing but the blank is likely are passed in
one step. The search is therefore approximate; the log-likelihoods that it returns are not, for each surviving text is
scored again over all its alignments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import BLANK
from netchu.ctc.likelihood import LogProbs, log_likelihoods

WIDTH = 16  # prefixes kept after a frame
FLOOR = -7.0  # log-probability under which a class is not tried in a frame
MARGIN = 10.0  # nats below the best prefix at which another one is dropped
NEVER = -1e30
Row = NDArray[np.float32]  # (C,)


class Scorer(Protocol):
    """What a language model tells the search. A state is any value that stands for a prefix."""

    def start(self) -> object:
        """The state of the empty prefix."""

    def advance(self, state: object, label: int) -> object:
        """The state after one more class."""

    def row(self, state: object) -> Row:
        """(C,): what appending each class adds to a prefix's score."""

    def score(self, sequence: Sequence[int]) -> float:
        """What all classes of a sequence add, its end included."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A class sequence without blanks, its exact CTC log-likelihood, and the language score (0 without a model)."""

    classes: tuple[int, ...]
    log_prob: float
    language: float = 0.0

    @property
    def score(self) -> float:
        """What hypotheses are ranked by."""
        return self.log_prob + self.language


def search(
    log_probs: LogProbs,
    *,
    scorer: Scorer | None = None,
    width: int = WIDTH,
    best: int = WIDTH,
    floor: float = FLOOR,
    space: int = BLANK,
) -> list[Hypothesis]:
    """The N-best of a line (T, C), at most `best`, highest score first.

    `space` is the class of the space, which is taken off both ends of a text; BLANK when the charset has none.
    """
    sequences = propose(log_probs, scorer=scorer, width=width, floor=floor, space=space)
    likelihoods = log_likelihoods(log_probs, sequences)
    hypotheses = [
        Hypothesis(sequence, float(value), scorer.score(sequence) if scorer else 0.0)
        for sequence, value in zip(sequences, likelihoods, strict=True)
        if np.isfinite(value)
    ]
    return sorted(hypotheses, key=lambda h: (-h.score, h.classes))[:best]


def propose(
    log_probs: LogProbs,
    *,
    scorer: Scorer | None = None,
    width: int = WIDTH,
    floor: float = FLOOR,
    space: int = BLANK,
) -> list[tuple[int, ...]]:
    """The texts that the search ends with, the seemingly likeliest first, not scored again; see `search`."""
    return list(dict.fromkeys(trim(s, space) for s in _prefixes(log_probs, scorer, width, floor)))


def trim(sequence: Sequence[int], space: int) -> tuple[int, ...]:
    """A sequence without spaces at its ends."""
    start, end = 0, len(sequence)
    while start < end and sequence[start] == space:
        start += 1
    while end > start and sequence[end - 1] == space:
        end -= 1
    return tuple(sequence[start:end])


def _prefixes(log_probs: LogProbs, scorer: Scorer | None, width: int, floor: float) -> list[tuple[int, ...]]:
    """The prefixes in the beam after the last frame. Arrays run over prefixes; a prefix is a node of a tree."""
    frames = np.maximum(log_probs.astype(np.float64), NEVER)
    tried = frames > floor
    tried[:, BLANK] = False
    busy = np.flatnonzero(tried.any(axis=1))
    quiet = np.concatenate([[0.0], np.cumsum(frames[:, BLANK])])  # blank alone over any run of frames
    parents, labels = [-1], [BLANK]  # of each node; node 0 is the empty prefix
    children: dict[tuple[int, int], int] = {}
    states = [scorer.start() if scorer else None]
    nodes, last, parent = np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, -1)
    blank, label = np.zeros(1), np.full(1, NEVER)  # log-probability of ending in a blank, in the last class
    language = np.zeros(1)
    rows = scorer.row(states[0])[None] if scorer else None
    done = 0
    for t in busy.tolist():
        frame = frames[t]
        total = np.logaddexp(blank, label)
        if t > done:  # nothing but blanks in between
            blank, label = total + quiet[t] - quiet[done], np.full(len(nodes), NEVER)
            total = blank
        done = t + 1
        classes = np.flatnonzero(tried[t])
        grown = total[:, None] + frame[classes]
        repeats = last[:, None] == classes
        grown = np.where(repeats, blank[:, None] + frame[classes], grown)
        stay_blank, stay_label = total + frame[BLANK], np.maximum(label + frame[last], NEVER)
        known = (parent[:, None] == nodes) @ np.arange(1, len(nodes) + 1) - 1  # where each one's parent stands, or -1
        for i in np.flatnonzero(known >= 0).tolist():  # growing the parent by this class gives the same text
            column = np.searchsorted(classes, last[i])
            if column < len(classes) and classes[column] == last[i]:
                stay_label[i] = np.logaddexp(stay_label[i], grown[known[i], column])
                grown[known[i], column] = NEVER
        ranks = np.concatenate([np.logaddexp(stay_blank, stay_label), grown.ravel()])
        weights = np.concatenate([language, np.repeat(language, len(classes))])
        if rows is not None:
            weights[len(nodes) :] += rows[:, classes].ravel()
        ranks += weights
        chosen = np.argpartition(-ranks, width)[:width] if len(ranks) > width else np.arange(len(ranks))
        chosen = chosen[ranks[chosen] > ranks[chosen].max() - MARGIN]
        old, new = chosen[chosen < len(nodes)], chosen[chosen >= len(nodes)] - len(nodes)
        if len(new) == 0 and len(old) == len(nodes):
            blank, label = stay_blank, stay_label
            continue
        source, column = np.divmod(new, len(classes))
        fresh = []
        for node, symbol in zip(nodes[source].tolist(), classes[column].tolist(), strict=True):
            child = children.get((node, symbol))
            if child is None:
                child = children[node, symbol] = len(parents)
                parents.append(node)
                labels.append(symbol)
                states.append(scorer.advance(states[node], symbol) if scorer else None)
            fresh.append(child)
        if rows is not None and scorer:
            rows = np.stack([*rows[old], *(scorer.row(states[child]) for child in fresh)])
        language = weights[np.concatenate([old, new + len(nodes)])]
        blank = np.concatenate([stay_blank[old], np.full(len(new), NEVER)])
        label = np.concatenate([stay_label[old], grown[source, column]])
        parent = np.concatenate([parent[old], nodes[source]])
        last = np.concatenate([last[old], classes[column]])
        nodes = np.concatenate([nodes[old], np.array(fresh, np.int64)])
    order = np.argsort(-(np.logaddexp(blank, label) + language))
    return [_spell(node, parents, labels) for node in nodes[order].tolist()]


def _spell(node: int, parents: list[int], labels: list[int]) -> tuple[int, ...]:
    """The classes on the way from the root to a node."""
    sequence = []
    while node > 0:
        sequence.append(labels[node])
        node = parents[node]
    return tuple(reversed(sequence))
