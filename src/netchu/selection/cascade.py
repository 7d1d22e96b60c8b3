"""From which confidence on a line's first members are enough, chosen on held-out lines: hardly anything may be lost.

Members are asked in the order of their weights; a line that those asked so far read with more confidence than `sure` is
done. Sources: Wang et al. 2020, "Wisdom of Committees" (arXiv:2012.01988); Xia and Bouganis 2023 (arXiv:2303.08010).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.ctc.posteriors import posteriors
from netchu.reading.candidates import Floats
from netchu.reading.line_reader import Settings
from netchu.selection.decoder_tuning import ScoredLine, sums

LOSS = 0.0005  # kalapa_score that may be lost


@dataclass(frozen=True, slots=True)
class Stages:
    """What N lines are read as by the first member, the first two, ... all M: confidence and kalapa_score, (N, M)."""

    confidences: Floats
    gains: Floats

    def last(self, sure: float) -> NDArray[np.intp]:
        """(N,): how many members besides the first are asked when those surer than `sure` are done."""
        done = self.confidences > sure
        done[:, -1] = True
        return np.asarray(done.argmax(axis=1))

    def gain(self, sure: float) -> float:
        """Mean kalapa_score then."""
        return float(self.gains[np.arange(len(self.gains)), self.last(sure)].mean())

    def at(self, chosen: NDArray[np.bool_]) -> "Stages":
        """The same with only these lines."""
        return Stages(self.confidences[chosen], self.gains[chosen])


def read_in_stages(lines: Sequence[ScoredLine], order: Sequence[int], weights: Floats, settings: Settings) -> Stages:
    """Read lines with the first members of `order`, as `LineReader.read_early` would. An empty text is never sure."""
    confidences, gains = np.zeros((len(lines), len(order))), np.zeros((len(lines), len(order)))
    for k in range(len(order)):
        part = np.zeros(len(weights))
        part[list(order[: k + 1])] = weights[list(order[: k + 1])]
        part /= part.sum()
        for i, line in enumerate(lines):
            total = sums(line, part, settings)
            best = int(total.argmax())
            gains[i, k] = line.gains[settings.convention][best]
            if line.answers[settings.convention].texts[best]:
                confidences[i, k] = posteriors(total, settings.temperature)[best]
    return Stages(confidences, gains)


def choose_sure(stages: Stages, loss: float = LOSS) -> float:
    """The lowest confidence above which the first members are enough, at most `loss` below all members; 1 for never."""
    least = float(stages.gains[:, -1].mean()) - loss
    tried = np.unique(stages.confidences[:, :-1])[:-1]  # above the last of them there is no line
    good = [sure for sure in tried.tolist() if 0.5 <= sure < 1 and stages.gain(sure) >= least - 1e-12]
    return min(good, default=1.0)


def choose_cascade(
    lines: Sequence[ScoredLine], order: Sequence[int], weights: Floats, settings: Settings, parts: int
) -> tuple[Settings, float]:
    """(settings with `sure`, kalapa_score lost). The loss is measured over writers in `parts`: each with the threshold
    that the other writers' lines chose. Where it is above `LOSS`, less is tried, and at last every member is asked."""
    stages = read_in_stages(lines, order, weights, settings)
    writers = sorted({line.writer for line in lines})
    part = np.array([writers.index(line.writer) % parts for line in lines])
    for loss in (LOSS, LOSS / 2, 0.0):
        kept = sum(
            float((part == held).sum()) * stages.at(part == held).gain(choose_sure(stages.at(part != held), loss))
            for held in set(part.tolist())
        )
        lost = float(stages.gains[:, -1].mean()) - kept / len(lines)
        if lost <= LOSS:
            return replace(settings, sure=choose_sure(stages, loss)), lost
    return replace(settings, sure=1.0), 0.0


def times(
    stages: Stages, sure: float, seconds: Sequence[float], decoding: float, widths: Sequence[int]
) -> dict[str, Any]:
    """What share of the lines is done after each member, and seconds a line: mean, 95th percentile, slowest.

    `seconds`: a line of each member, `decoding` included, which a line that goes on has spent in vain; a line takes as
    much more as it is wider than the mean of `widths`.
    """
    last = stages.last(sure)
    sums_of, each = np.cumsum(seconds), np.asarray(widths) / np.mean(widths)
    spent = (sums_of[last] + decoding * last * (last + 1) / 2) * each
    shares = np.bincount(last, minlength=len(seconds)) / len(last)
    return {
        "sure": sure,
        "done_after": [round(float(share), 4) for share in shares],
        "mean_s": float(spent.mean()),
        "p95_s": float(np.percentile(spent, 95)),
        "slowest_s": float(spent.max()),
    }
