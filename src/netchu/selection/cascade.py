"""When the first members, or their best paths alone, are enough, chosen on held-out lines: next to nothing is lost.

Members are asked in an order. A line is done where the best paths of those asked so far spell one text that is likelier
than `clear`, without any decoding, and where their decoded text has more confidence than `sure`. Sources: Wang et al.
2020, "Wisdom of Committees" (arXiv:2012.01988); Xia and Bouganis 2023 (arXiv:2303.08010).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netchu.core.metrics import line_score
from netchu.language.conventions import CONVENTIONS
from netchu.reading.candidates import Floats
from netchu.reading.confidence import clues, trust
from netchu.reading.line_reader import Settings, shared_likelihood
from netchu.selection.decoder_tuning import ScoredLine, confidence, sums
from netchu.selection.search import Judged, judge, part_writers

LOSS = 0.0001  # kalapa_score that may be lost
STEPS = 16  # losses that are tried, from that down to none
TRIED = 40  # thresholds of each kind

Ends = NDArray[np.intp]  # (N,): the stage that each line is done at
Thresholds = tuple[float, float]  # clear, sure
NEVER = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Stages:
    """What N lines are read as at 2 M stages: by the first member's best path, by its decoding, by the first two ...
    `confidences` (what thresholds look at), `gains` (kalapa_score), `sure` (what the reader tells): (N, 2 M).
    `costs`: seconds a line of the network, (M,), and of decoding one member's output; `widths`: of each line, (N,), for
    which it takes more or less than that."""

    texts: list[list[str]]
    confidences: Floats
    gains: Floats
    costs: Floats
    decoding: float
    widths: Floats
    sure: Floats

    def ends(self, thresholds: Thresholds) -> Ends:
        """Where each line is done."""
        done = self.confidences > np.tile(thresholds, len(self.costs))
        done[:, -1] = True
        return np.asarray(done.argmax(axis=1))

    def gain(self, ends: Ends) -> float:
        """Mean kalapa_score of lines that are done there."""
        return float(self.gains[np.arange(len(ends)), ends].mean())

    def seconds(self, ends: Ends, thresholds: Thresholds) -> Floats:
        """Seconds of each line, (N,); one that goes on has decoded in vain where `sure` asks for it."""
        asked = ends // 2 + 1
        tried = np.arange(1, len(self.costs) + 1) * (thresholds[1] < 1)
        before = np.concatenate([[0], np.cumsum(tried)])[asked - 1]  # outputs that were decoded at earlier stages
        spent = np.cumsum(self.costs)[asked - 1] + self.decoding * (before + asked * (ends % 2))
        return np.asarray(spent * self.widths / self.widths.mean())

    def at(self, chosen: NDArray[np.bool_]) -> "Stages":
        """The same with only these lines."""
        texts = [text for text, kept in zip(self.texts, chosen, strict=True) if kept]
        own = {name: getattr(self, name)[chosen] for name in ("confidences", "gains", "widths", "sure")}
        return replace(self, texts=texts, **own)


def read_in_stages(
    lines: Sequence[ScoredLine], order: Sequence[int], weights: Floats, settings: Settings, costs: Sequence[float],
    decoding: float, widths: Sequence[int],
) -> Stages:  # fmt: skip
    """Read lines with the first members of `order`, as `LineReader.read_early` would; an empty text is never sure.
    `costs`: of every member, see `Stages`."""
    write = CONVENTIONS[settings.convention]
    shape = len(lines), 2 * len(order)
    texts, confidences, gains = [[""] * shape[1] for _ in lines], np.zeros(shape), np.zeros(shape)
    sure = np.zeros(shape)
    for k in range(len(order)):
        asked = list(order[: k + 1])
        part = np.zeros(len(weights))
        part[asked] = weights[asked] / weights[asked].sum()
        for i, line in enumerate(lines):
            greedy = {line.candidates.greedy[m] for m in asked} if line.candidates.greedy else set()
            if len(greedy) == 1 and (text := greedy.pop()):
                clearness = [line.candidates.clearness[m] for m in asked]
                likelihood = shared_likelihood(clearness, weights[asked])
                confidences[i, 2 * k], sure[i, 2 * k] = likelihood, _trust_clear(line, text, likelihood, settings)
                texts[i][2 * k] = write(text)
                gains[i, 2 * k] = line_score(texts[i][2 * k], line.label)
            total = sums(line, part, settings)
            best = int(total.argmax())
            texts[i][2 * k + 1] = line.answers[settings.convention].texts[best]
            gains[i, 2 * k + 1] = line.gains[settings.convention][best]
            if texts[i][2 * k + 1]:
                confidences[i, 2 * k + 1] = sure[i, 2 * k + 1] = confidence(line, part, settings)
    times = np.asarray(costs)[list(order)], decoding, np.asarray(widths, np.float64)
    return Stages(texts, confidences, gains, *times, sure)


def _trust_clear(line: ScoredLine, text: str, likelihood: float, settings: Settings) -> float:
    """The confidence that the reader gives a shared best path; its likelihood where no search came upon the text."""
    if not settings.trust or text not in line.candidates.texts:
        return likelihood
    at = line.candidates.texts.index(text)
    about = line.candidates.language[at], line.candidates.depths[at], CONVENTIONS[settings.convention](text)
    return trust(settings.trust, clues(np.inf, float(np.log(likelihood)), *about))


def choose_thresholds(stages: Stages, loss: float = LOSS) -> Thresholds:
    """The thresholds that take least time, at most `loss` below all members' decoding; 1 stands for never."""
    least = float(stages.gains[:, -1].mean()) - loss - 1e-12
    kinds = (stages.confidences[:, ::2], stages.confidences[:, 1:-1:2])
    found: list[tuple[float, Thresholds]] = []
    for clear in _candidates(kinds[0]):
        for sure in _candidates(kinds[1]):
            ends = stages.ends((clear, sure))
            if stages.gain(ends) >= least:
                found.append((float(stages.seconds(ends, (clear, sure)).mean()), (clear, sure)))
    return min(found, key=lambda one: (one[0], -one[1][0], -one[1][1]), default=(0.0, NEVER))[1]


def _candidates(confidences: Floats) -> list[float]:
    """Thresholds to try, and 1 for never: spread over the confidences of 0.5 and more, the lines above them differ."""
    seen = np.unique(confidences[(confidences >= 0.5) & (confidences < 1)])
    return [*seen[np.unique(np.linspace(0, len(seen) - 1, TRIED).astype(int))].tolist(), 1.0] if len(seen) else [1.0]


@dataclass(frozen=True, slots=True)
class Cascade:
    """The order of the members, the thresholds, and what lines are read as; `ends`: where each is done by thresholds
    that other writers' lines chose, `lost`: the kalapa_score that this costs."""

    order: list[int]
    thresholds: Thresholds
    stages: Stages
    ends: Ends
    lost: float

    def judged(self, lines: Sequence[ScoredLine], honest: Judged) -> Judged:
        """`honest`, with what lines are read as that are done before the last stage."""
        early = np.flatnonzero(self.ends < self.stages.gains.shape[1] - 1).tolist()
        answers, sure = list(honest.answers), list(honest.sure)
        for i in early:
            answers[i] = self.stages.texts[i][self.ends[i]]
            sure[i] = float(self.stages.sure[i, self.ends[i]])
        return judge(answers, sure, lines)

    def measured(self) -> dict[str, Any]:
        """What share of the lines is done at each stage, and seconds a line: mean, 95th percentile, slowest."""
        ends = self.stages.ends(self.thresholds)
        spent = self.stages.seconds(ends, self.thresholds)
        shares = np.bincount(ends, minlength=self.stages.gains.shape[1]) / len(ends)
        return {
            "clear": self.thresholds[0],
            "sure": self.thresholds[1],
            "done_at": [round(float(share), 4) for share in shares],
            "mean_s": float(spent.mean()),
            "p95_s": float(np.percentile(spent, 95)),
            "slowest_s": float(spent.max()),
            "lost": self.lost,
        }


def choose_cascade(
    lines: Sequence[ScoredLine], used: Sequence[int], weights: Floats, settings: Settings, parts: int, *,
    costs: Sequence[float], decoding: float, widths: Sequence[int],
) -> Cascade:  # fmt: skip
    """The cascade that takes least time: each member is tried as the first one, the others come as in `used`.

    The loss is measured over writers in `parts`: each with the thresholds that the other writers' lines chose. Where it
    is above `LOSS`, less is tried, and at last every member is asked. `costs`, `decoding`, `widths`: see `Stages`.
    """
    part = part_writers(lines, parts)
    found: list[tuple[float, int, Cascade]] = []
    for first in used:
        order = [first, *(m for m in used if m != first)]
        stages = read_in_stages(lines, order, weights, settings, costs, decoding, widths)
        cascade = choose_in_order(stages, order, part)
        found.append((cascade.measured()["mean_s"], len(found), cascade))
    return min(found)[2]


def choose_in_order(stages: Stages, order: list[int], part: NDArray[np.intp]) -> Cascade:
    """The cascade of one order; `part`: (N,), of the writers."""
    for loss in np.linspace(LOSS, 0, STEPS).tolist():
        ends = np.empty(len(part), np.intp)
        for held in set(part.tolist()):
            own = part == held
            ends[own] = stages.at(own).ends(choose_thresholds(stages.at(~own), loss))
        lost = float(stages.gains[:, -1].mean()) - stages.gain(ends)
        if lost <= LOSS:
            return Cascade(order, choose_thresholds(stages, loss), stages, ends, lost)
    return Cascade(order, NEVER, stages, stages.ends(NEVER), 0.0)
