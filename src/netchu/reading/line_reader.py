"""From members' outputs of one line to its reading: candidates, their scores, the choice, and how sure it is.

A text's score is the members' weighted mean log-likelihood + language weight x language log-probability + bonus x its
characters + place bonus x levels of the gazetteer. Known places that no search came upon are only accepted when their
likelihood supports them. Texts that the labels' convention writes alike are one answer. A line in which the members
read nothing stays empty, whatever language would say.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.ctc.best_path import best_path
from netchu.ctc.decoders import Reading, greedy
from netchu.ctc.likelihood import LogProbs
from netchu.ctc.posteriors import certainties, posteriors
from netchu.language.conventions import CONVENTIONS, Answers, answers
from netchu.language.fusion import LanguageScorer
from netchu.language.gazetteer import Gazetteer
from netchu.language.ngram import NGram
from netchu.reading.candidates import Candidates, Floats, gather, likelihood_of
from netchu.reading.combination import AVERAGES, FramePositions, average_frames
from netchu.reading.confidence import CLUES, clues, trust

DECODERS = ("greedy", "beam")
COMBINATIONS = ("rescore", "frame")
ALTERNATIVES = 5  # other texts that a reading tells of
TINY = 1e-300  # stands for a likelihood of nought


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How lines are read. Weights are in nats; without a language model or gazetteer theirs do nothing."""

    decoder: str = "greedy"  # of DECODERS
    combination: str = "rescore"  # of COMBINATIONS
    average: str = "probs"  # a key of combination.AVERAGES, for `frame`
    width: int = 8  # prefixes in the beam
    best: int = 6  # texts that each member contributes
    language_weight: float = 0.8
    language_bonus: float = 2.0
    place_bonus: float = 5.0
    place_drop: float = 16.0  # nats of likelihood that a proposed place may be below the best found text
    convention: str = "none"  # a key of conventions.CONVENTIONS
    temperature: float = 1.0
    clear: float = 1.0  # likelihood above which the text of all asked members' best paths is the answer; 1: never
    sure: float = 1.0  # confidence above which no further member is asked; 1: all are
    shortest: int = 4  # characters; an answer of fewer that is less sure than `doubtful` is a stain, not writing
    doubtful: float = 0.5
    trust: tuple[float, ...] = ()  # coefficients of confidence.trust; empty: confidences are posteriors

    def __post_init__(self) -> None:
        """Refuse what cannot be used; raises NetchuError naming the field."""
        least = 0 if self.combination == "rescore" else 1  # frames are averaged once all members have been asked
        checks: list[tuple[str, bool, str]] = [
            ("decoder", self.decoder in DECODERS, f"one of {', '.join(DECODERS)}"),
            ("combination", self.combination in COMBINATIONS, f"one of {', '.join(COMBINATIONS)}"),
            ("average", self.average in AVERAGES, f"one of {', '.join(AVERAGES)}"),
            ("convention", self.convention in CONVENTIONS, f"one of {', '.join(CONVENTIONS)}"),
            ("temperature", self.temperature > 0, "above 0"),
            ("doubtful", 0 <= self.doubtful <= 1, "0 to 1"),
            (
                "trust",
                len(self.trust) in (0, CLUES + 1) and all(map(isfinite, self.trust)),
                f"{CLUES + 1} numbers, or none",
            ),
            *((key, getattr(self, key) >= 1, "1 or more") for key in ("width", "best")),
            *((key, getattr(self, key) >= 0, "0 or more") for key in ("language_weight", "place_drop", "shortest")),
            *((key, least <= getattr(self, key) <= 1, "0 to 1, with rescore") for key in ("clear", "sure")),
            *((f.name, isfinite(getattr(self, f.name)), "a number") for f in fields(self) if f.type is float),
        ]
        for key, good, allowed in checks:
            if not good:
                raise NetchuError(f"settings: {key}={getattr(self, key)!r}; allowed: {allowed}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        return asdict(self)


def settings_from(values: dict[str, Any], where: str) -> Settings:
    """Settings of JSON values; raises NetchuError for an unknown key or another type, naming `where`."""
    types = {field.name: field.type for field in fields(Settings)}
    if values.get("risk") is True:
        raise NetchuError(f"{where}: settings: risk is no longer there; select again, or set it to false")
    values = {key: value for key, value in values.items() if key != "risk"}  # false in recipes of before
    for key, value in values.items():
        if key not in types:
            raise NetchuError(f"{where}: settings hold an unknown key {key!r}; there are: {', '.join(types)}")
        if key == "trust" and isinstance(value, list | tuple) and all(isinstance(x, int | float) for x in value):
            continue
        kind = float if types[key] is float and isinstance(value, int) and not isinstance(value, bool) else type(value)
        if kind is not types[key]:
            raise NetchuError(f"{where}: settings: {key} is {value!r}, of another type; correct it")
    return Settings(**{**values, "trust": tuple(values.get("trust", ()))})


class LineReader:
    """Reads lines from their members' outputs."""

    def __init__(
        self,
        charset: Charset,
        settings: Settings,
        *,
        weights: Sequence[float] = (1.0,),
        language: NGram | None = None,
        gazetteer: Gazetteer | None = None,
    ) -> None:
        """`weights`: of each member; they are scaled to sum to 1."""
        self.charset, self.settings, self.gazetteer = charset, settings, gazetteer
        self.weights = np.asarray(weights, np.float64) / float(np.sum(weights))
        self.scorer = build_scorer(language, charset, settings)

    @property
    def ends_early(self) -> bool:
        """Whether a line may be done before all members have been asked."""
        return min(self.settings.clear, self.settings.sure) < 1

    def read(self, outputs: Sequence[LogProbs], positions: Sequence[FramePositions]) -> Reading:
        """The reading of a line from log_probs (T, C) of each member; `positions` as in `average_frames`."""
        return self._read_clear(outputs) or self._decode(outputs, positions)

    def read_early(self, outputs: Sequence[LogProbs], positions: Sequence[FramePositions]) -> Reading | None:
        """The reading of a line from log_probs of its first members alone, if they read it clearly or it is surer than
        the settings ask."""
        if not self.weights[: len(outputs)].any():
            return None
        reading = self._read_clear(outputs)
        if reading or self.settings.sure == 1:
            return reading
        reading = self._decode(outputs, positions)
        return reading if reading.text and reading.confidence > self.settings.sure else None

    def _read_clear(self, outputs: Sequence[LogProbs]) -> Reading | None:
        """The text of the members' best paths, where it is one and likelier than the settings ask: then neither beam,
        language nor places would change it."""
        if self.settings.clear == 1:
            return None
        weights, space = self.weights[: len(outputs)], self.charset.space
        asked = [output for output, weight in zip(outputs, weights, strict=True) if weight > 0]
        paths = [best_path(output).stripped(space) for output in asked]
        codes = paths[0].classes.tolist()
        if not codes or any(path.classes.tolist() != codes for path in paths):
            return None
        found = [likelihood_of(output, path) for output, path in zip(asked, paths, strict=True)]
        likelihood = shared_likelihood(found, weights[weights > 0])
        if likelihood <= self.settings.clear:
            return None
        text = self.charset.decode(codes)
        written = answers([text], self.settings.convention, self.charset.characters).texts[0]
        sure = likelihood
        if self.settings.trust:
            language = self.scorer.features(codes)[0] if self.scorer else 0.0
            places = self.gazetteer.depth(text) if self.gazetteer else 0
            own = float(np.log(likelihood))
            sure = trust(self.settings.trust, clues(np.inf, own, language, places, written))
        if len(written) != len(text):  # a character that the convention left out shifts the others
            return Reading(written, sure, (likelihood,) * len(written))
        least = np.minimum(np.exp(np.min([path.sure for path in paths], axis=0)), 1.0)
        return Reading(written, sure, tuple(least.tolist()))

    def _decode(self, outputs: Sequence[LogProbs], positions: Sequence[FramePositions]) -> Reading:
        """The reading that the settings' decoder finds, but nothing for a stain."""
        reading = self._read(outputs, positions)
        stain = len(reading.text) < self.settings.shortest and reading.confidence < self.settings.doubtful
        return Reading("", 1 - reading.confidence) if stain else reading

    def _read(self, outputs: Sequence[LogProbs], positions: Sequence[FramePositions]) -> Reading:
        """The same, however short and doubtful."""
        settings, weights = self.settings, self.weights[: len(outputs)] / self.weights[: len(outputs)].sum()
        if settings.combination == "frame" and len(outputs) > 1:
            outputs = [average_frames(outputs, positions, kind=settings.average, weights=list(weights))]
            weights = np.ones(1)
        plain = settings.decoder == "greedy" and settings.convention == "none"
        if len(outputs) == 1 and not self.scorer and not self.gazetteer and plain:
            return greedy(outputs[0], self.charset)
        candidates = gather(
            outputs,
            self.charset,
            scorer=self.scorer,
            gazetteer=self.gazetteer,
            decoder=settings.decoder,
            width=settings.width,
            best=settings.best,
        )
        return decide(candidates, weights, settings, self.charset.characters)


def shared_likelihood(likelihoods: Sequence[float], weights: Floats) -> float:
    """The likelihood of a text to M members together, their weighted geometric mean."""
    return float(np.exp(np.average(np.log(np.maximum(likelihoods, TINY)), weights=weights)))


def build_scorer(language: NGram | None, charset: Charset, settings: Settings) -> LanguageScorer | None:
    """The language model joined to a charset with the settings' weights, if there is one."""
    if language is None:
        return None
    return LanguageScorer(language, charset, weight=settings.language_weight, bonus=settings.language_bonus)


def scores(candidates: Candidates, weights: Floats, settings: Settings) -> Floats:
    """(H,): the score of each text for members of these weights (sum 1); minus infinity for what is not considered."""
    likelihoods = weights @ candidates.likelihoods
    used = weights > 0
    found = candidates.found[used].any(axis=0)
    total = likelihoods + settings.language_weight * candidates.language + settings.language_bonus * candidates.lengths
    total += settings.place_bonus * candidates.depths
    if candidates.silent[used] @ weights[used] > 0.5:
        return np.where([text == "" for text in candidates.texts], total, -np.inf)
    best = likelihoods[np.where(found, total, -np.inf).argmax()]
    supported = ~candidates.found.any(axis=0) & (likelihoods > best - settings.place_drop)
    return np.where(found | supported, total, -np.inf)


def decide(candidates: Candidates, weights: Floats, settings: Settings, known: str | None = None) -> Reading:
    """The reading that the settings choose among the candidates; `known`: the characters that it may hold."""
    found = answers(candidates.texts, settings.convention, known)
    total = scores(candidates, weights, settings)
    sums = found.sums(total)
    order = [i for i in np.argsort(-sums, kind="stable").tolist() if np.isfinite(sums[i])]
    if not order:
        return Reading("", 1.0)
    texts = [found.texts[i] for i in order]
    probabilities = posteriors(sums[order], settings.temperature)
    sure = certainties(texts[0], texts, probabilities)
    others = tuple((text, float(p)) for text, p in zip(texts[1:], probabilities[1:], strict=True))
    confidence = confidence_of_best(candidates, found, weights, settings, total)
    return Reading(texts[0], confidence, sure, others[:ALTERNATIVES])


def confidence_of_best(
    candidates: Candidates, found: Answers, weights: Floats, settings: Settings, total: Floats
) -> float:
    """How sure the best of the answers `found` is; `total`: the candidates' scores (H,), not all minus infinity."""
    own = float(np.exp(found.sums(weights @ candidates.likelihoods)[found.sums(total).argmax()]))
    if settings.decoder == "greedy":  # too few texts to tell probabilities from: the answer's own likelihood then
        return own
    if settings.trust:
        return trust(settings.trust, clues_of_best(candidates, found, weights, total))
    sums = np.sort(found.sums(total))[::-1]
    if np.isfinite(sums).sum() == 1:  # nothing to compare with, which is no proof: no surer than its likelihood says
        return min(1.0, max(own, settings.doubtful))
    return float(posteriors(sums, settings.temperature)[0])


def clues_of_best(candidates: Candidates, found: Answers, weights: Floats, total: Floats) -> Floats:
    """The clues of the best answer, see `confidence.clues`."""
    sums = found.sums(total)
    best = int(sums.argmax())
    others = np.delete(sums, best)
    margin = float(sums[best] - np.logaddexp.reduce(others)) if np.isfinite(others).any() else np.inf
    chosen = max(np.flatnonzero(found.groups == best).tolist(), key=lambda i: float(total[i]))
    own = float(found.sums(weights @ candidates.likelihoods)[best])
    return clues(margin, own, candidates.language[chosen], candidates.depths[chosen], found.texts[best])
