"""What a line may say: the union of all members' N-best texts and of known places near them, scored by every member.

Each text gets its exact CTC log-likelihood from each member, so members of any width, stride and neck can vote on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import Charset
from netchu.ctc.beam import WIDTH, propose
from netchu.ctc.best_path import BestPath, best_path
from netchu.ctc.likelihood import LogProbs, log_likelihoods
from netchu.language.fusion import LanguageScorer
from netchu.language.gazetteer import Gazetteer

IMPROBABLE = -1e4  # stands for the likelihood of a text that has no alignment with a member's frames
MENDED = 2  # of each member's best texts, how many are compared with known places

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Candidates:
    """H texts of one line seen by M members.

    likelihoods: (M, H) exact CTC log-likelihoods. language, lengths: (H,) what the language model makes of the words
    without digits (`LanguageScorer.features`), and their characters. depths: (H,) levels of the gazetteer that the text
    ends in. found: (M, H) whether a member's own search came upon it. silent: (M,) whether a member's best path is
    empty. greedy, clearness: the text of each member's best path and its likelihood, where selection asks for it.
    """

    texts: list[str]
    likelihoods: Floats
    language: Floats
    lengths: Floats
    depths: Floats
    found: Bools
    silent: Bools
    greedy: tuple[str, ...] = ()
    clearness: tuple[float, ...] = ()


def likelihood_of(output: LogProbs, path: BestPath) -> float:
    """The likelihood (0 to 1) of a best path's text over all its alignments: where it is near 1, no decoding would find
    another. The path itself may be far less likely, since its characters can stand a frame earlier or later."""
    return float(np.exp(log_likelihoods(output, [path.classes.tolist()])[0]))


def gather(
    outputs: Sequence[LogProbs],
    charset: Charset,
    *,
    scorer: LanguageScorer | None = None,
    gazetteer: Gazetteer | None = None,
    decoder: str = "beam",
    width: int = WIDTH,
    best: int = WIDTH,
) -> Candidates:
    """The candidates of a line from its members' log_probs (T, C). `decoder`: beam, or greedy for one text a member."""
    space = charset.space
    origins: dict[tuple[int, ...], set[int]] = {}
    silent = np.zeros(len(outputs), bool)
    mended: dict[str, None] = {}
    for member, output in enumerate(outputs):
        path = tuple(best_path(output).stripped(space).classes.tolist())
        silent[member] = not path
        sequences = [path]
        if decoder == "beam":
            sequences = propose(output, scorer=scorer, width=width, space=space)[:best]
            if silent[member] and path not in sequences:  # what a silent line is read as
                sequences.append(path)
        for sequence in sequences:
            origins.setdefault(sequence, set()).add(member)
        mended.update(dict.fromkeys(charset.decode(sequence) for sequence in sequences[:MENDED]))
    if gazetteer:
        for proposal in dict.fromkeys(p for text in mended for p in gazetteer.propose(text)):
            if not charset.count_unknown([proposal]):
                origins.setdefault(tuple(charset.encode(proposal)), set())
    sequences = list(origins)
    texts = [charset.decode(sequence) for sequence in sequences]
    features = [scorer.features(s) for s in sequences] if scorer else [(0.0, 0)] * len(sequences)
    return Candidates(
        texts=texts,
        likelihoods=np.maximum([log_likelihoods(output, sequences) for output in outputs], IMPROBABLE),
        language=np.array([f[0] for f in features]),
        lengths=np.array([f[1] for f in features], np.float64),
        depths=np.array([gazetteer.depth(text) if gazetteer else 0 for text in texts], np.float64),
        found=np.array([[m in origins[s] for s in sequences] for m in range(len(outputs))]),
        silent=silent,
    )
