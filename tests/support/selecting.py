"""Scored lines of members with known skill."""

import numpy as np

from netchu.reading.candidates import Candidates
from netchu.reading.line_reader import Settings
from netchu.selection.decoder_tuning import ScoredLine, scored

SETTINGS = Settings(decoder="beam")


SKILL = (0.5, 0.8, 0.65)  # how often a member prefers the right text


def make_lines(count: int, seed: int = 0, skill: tuple[float, ...] = SKILL) -> list[ScoredLine]:
    """Lines with a right and two wrong texts; members err independently of each other."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(count):
        texts = ["abcdef", "abcdex", "abxxxf"]
        likelihoods = np.full((len(skill), 3), -2.0)
        for member, share in enumerate(skill):
            likelihoods[member, 0 if rng.random() < share else rng.integers(1, 3)] = -1.0
        found = np.ones((len(skill), 3), bool)
        zeros = np.zeros(3)
        made = Candidates(texts, likelihoods, zeros, zeros, zeros, found, np.zeros(len(skill), bool))
        lines.append(scored(made, "abcdef", f"w{i % 10}"))
    return lines
