"""CTC prefix beam search: the texts that a line most likely says, with a language model inside when one is given.

Source: Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
DNNs" (arXiv:1408.2873), algorithm 1. Only classes above `FLOOR` are tried in a frame, prefixes far below the best are
dropped, and frames in which nothing but the blank is likely are passed in one step, so that few prefixes and classes
are left in most frames and plain Python beats arrays over them. The search is approximate: `likelihood` scores the
texts that it proposes over all their alignments.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from typing import Protocol

import numpy as np

from netchu.core.charset import BLANK
from netchu.ctc.likelihood import LogProbs

WIDTH = 8  # prefixes kept after a frame
FLOOR = -5.0  # log-probability under which a class is not tried in a frame
MARGIN = 6.0  # nats below the best prefix at which another one is dropped
SLACK = 2.0  # nats more at which a longer prefix is dropped before the language model is asked about it
TINY = 1e-300


class Scorer(Protocol):
    """What a language model tells the search. A state is any value that stands for a prefix."""

    def start(self) -> object:
        """The state of the empty prefix."""

    def advance(self, state: object, label: int) -> tuple[object, float]:
        """(the state after one more class, what that class adds to the prefix's score)."""


def propose(
    log_probs: LogProbs,
    *,
    scorer: Scorer | None = None,
    width: int = WIDTH,
    floor: float = FLOOR,
    space: int = BLANK,
) -> list[tuple[int, ...]]:
    """The class sequences (no blanks) that the search of log_probs (T, C) ends with, the seemingly likeliest first.

    `space` is the class of the space, which is taken off both ends of a text; BLANK when the charset has none.
    """
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
    """The prefixes in the beam after the last frame, the best first. A prefix is a node of a tree."""
    parents, labels, language = [-1], [BLANK], [0.0]  # of each node; node 0 is the empty prefix
    states = [scorer.start() if scorer else None]
    children: list[dict[int, int]] = [{}]
    nodes, blanks, repeats = [0], [1.0], [0.0]  # the beam: probabilities of ending in a blank, in the last class
    done = 0
    for t, blank, frame in _busy_frames(log_probs, floor):
        if t > done:  # nothing but blanks in between: a factor that all prefixes share
            blanks, repeats = [b + r for b, r in zip(blanks, repeats, strict=True)], [0.0] * len(nodes)
        done = t + 1
        here = {node: i for i, node in enumerate(nodes)}
        totals = [b + r for b, r in zip(blanks, repeats, strict=True)]
        least = max(totals) * max(blank, *frame.values()) * exp(-MARGIN - SLACK)
        stay_blank = [total * blank for total in totals]
        stay_repeat = [r * frame.get(labels[node], 0.0) for node, r in zip(nodes, repeats, strict=True)]
        grown: dict[int, float] = {}
        for node, total, before in zip(nodes, totals, blanks, strict=True):
            last, own = labels[node], children[node]
            for label, prob in frame.items():
                value = (before if label == last else total) * prob
                if value <= least:
                    continue
                child = own.get(label)
                if child is None:
                    child = own[label] = len(parents)
                    parents.append(node)
                    labels.append(label)
                    children.append({})
                    state, added = scorer.advance(states[node], label) if scorer else (None, 0.0)
                    states.append(state)
                    language.append(language[node] + added)
                place = here.get(child)
                if place is None:
                    grown[child] = value
                else:  # growing its parent by this class gives the same text
                    stay_repeat[place] += value
        ranked = [
            (log(b + r + TINY) + language[node], node, b, r)
            for node, b, r in zip(nodes, stay_blank, stay_repeat, strict=True)
        ]
        ranked += [(log(value + TINY) + language[node], node, 0.0, value) for node, value in grown.items()]
        ranked.sort(reverse=True)
        worst = ranked[0][0] - MARGIN
        kept = [entry for entry in ranked[:width] if entry[0] > worst]
        nodes = [entry[1] for entry in kept]
        scale = 1 / max(max(b + r for _, _, b, r in kept), TINY)
        blanks, repeats = [b * scale for _, _, b, _ in kept], [r * scale for _, _, _, r in kept]
    return [_spell(node, parents, labels) for node in nodes]


def _busy_frames(log_probs: LogProbs, floor: float) -> list[tuple[int, float, dict[int, float]]]:
    """(frame, probability of the blank, probabilities of the classes to try) of the frames that have such classes."""
    tried = log_probs > floor
    tried[:, BLANK] = False
    frames, classes = np.nonzero(tried)
    probs = np.exp(log_probs[frames, classes], dtype=np.float64).tolist()
    labels = classes.tolist()
    busy, starts = np.unique(frames, return_index=True)
    blanks = np.exp(log_probs[busy, BLANK], dtype=np.float64).tolist()
    bounds = pairwise([*starts.tolist(), len(labels)])
    return [
        (t, blank, dict(zip(labels[a:b], probs[a:b], strict=True)))
        for t, blank, (a, b) in zip(busy.tolist(), blanks, bounds, strict=True)
    ]


def _spell(node: int, parents: list[int], labels: list[int]) -> tuple[int, ...]:
    """The classes on the way from the root to a node."""
    sequence = []
    while node > 0:
        sequence.append(labels[node])
        node = parents[node]
    return tuple(reversed(sequence))
