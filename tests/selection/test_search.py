"""Selection: finds the members that matter, keeps to the limits, and is honest about the gain."""

from dataclasses import replace

import numpy as np
import pytest

from netchu.reading.candidates import Candidates
from netchu.reading.confidence import CLUES
from netchu.reading.line_reader import Settings, decide
from netchu.selection.decoder_tuning import (
    answer,
    calibrate,
    confidence,
    evaluate,
    gain,
    scored,
    tune,
    weigh_clues,
    weigh_terms,
)
from netchu.selection.search import Limits, choose, nested, pareto, search, tries
from tests.support.selecting import SETTINGS, make_lines


def limits(**changes: object) -> Limits:
    defaults: dict[str, object] = {
        "sizes": (10, 20, 30), "seconds": (0.1, 0.2, 0.3), "max_bytes": 100.0, "max_seconds": 1.0, "fixed": 5
    }  # fmt: skip
    return Limits(**{**defaults, **changes})  # type: ignore[arg-type]


def test_limits_count_everything_opened() -> None:
    assert limits().bytes_of([0.5, 0, 0.5]) == 45
    assert limits().seconds_of([0.5, 0, 0.5]) == pytest.approx(0.4)
    assert not limits(max_bytes=44).allow([0.5, 0, 0.5])
    assert not limits(max_seconds=0.39).allow([0.5, 0, 0.5])


def test_a_file_read_at_two_stretches_is_paid_once() -> None:
    twice = limits(sizes=(10, 10, 30), files=("a", "a", "b"))
    assert twice.bytes_of([0.5, 0.5, 0]) == 15
    assert twice.bytes_of([0.5, 0, 0.5]) == 45
    assert twice.seconds_of([0.5, 0.5, 0]) == pytest.approx(0.3)


def test_every_weighting_is_tried_once() -> None:
    found = tries(2, limits(sizes=(1, 1), seconds=(0, 0)), 3)
    assert found is not None
    assert len(found) == len(set(found)) == 5  # 1:0, 0:1, 1:1, 2:1, 1:2
    assert tries(12, limits(sizes=(1,) * 12, seconds=(0,) * 12), 6) is None


def test_the_best_member_is_taken_and_votes_help() -> None:
    lines = make_lines(400)
    found = search(lines, limits(), SETTINGS)
    assert found[0].weights[1] == max(found[0].weights)
    alone = gain(lines, np.array([0.0, 1.0, 0.0]), SETTINGS)
    assert found[0].gain >= alone
    assert search(lines, limits(max_bytes=16), SETTINGS)[0].weights == (1.0, 0.0, 0.0)
    assert search(lines, limits(max_bytes=10), SETTINGS) == []


def test_greedy_where_exact_is_too_long() -> None:
    lines = make_lines(200, skill=(0.5, 0.9, *([0.4] * 20)))
    wide = Limits(sizes=(1,) * 22, seconds=(0.0,) * 22, max_bytes=50, max_seconds=1)
    best = search(lines, wide, SETTINGS)[0]
    assert best.weights[1] == max(best.weights)
    assert best.gain >= gain(lines, np.eye(22)[1], SETTINGS)
    assert sum(best.weights) == pytest.approx(1)


def test_pareto_rises_with_cost() -> None:
    found = search(make_lines(300), limits(), SETTINGS)
    front = pareto(found, lambda c: (limits().bytes_of(c.weights), limits().seconds_of(c.weights)), lambda c: -c.gain)
    sizes, gains = [limits().bytes_of(c.weights) for c in front], [c.gain for c in front]
    assert sizes == sorted(sizes) and gains == sorted(gains)


def test_nested_figures_are_of_lines_that_did_not_choose() -> None:
    """Members of pure chance: choosing among many looks good on the same lines, nested shows that it is not."""
    lines = make_lines(120, skill=(1 / 3,) * 12)
    free = Limits(sizes=(1,) * 12, seconds=(0.0,) * 12, max_bytes=50, max_seconds=1)
    seen = search(lines, free, SETTINGS)[0].gain
    honest, sure, right, _ = nested(lines, free, SETTINGS, parts=4)
    assert honest.kalapa_score < seen
    assert len(sure) == len(right) == 120 and all(0 <= p <= 1 for p in sure)
    assert honest.exact == pytest.approx(np.mean(right))


def test_tuning_finds_a_language_weight_that_helps() -> None:
    lines = []
    for line in make_lines(200, skill=(0.4,)):
        made = line.candidates
        language = np.array([-3.0, -9.0, -9.0])
        lines.append(scored(Candidates(made.texts, made.likelihoods, language, made.lengths, made.depths, made.found,
                                       made.silent), line.label, line.writer))  # fmt: skip
    start = Settings(decoder="beam", language_weight=0.0)
    tuned = tune(lines, np.ones(1), start)
    assert tuned.language_weight > 0
    assert evaluate(lines, np.ones(1), tuned).exact == 1.0 > evaluate(lines, np.ones(1), start).exact
    assert calibrate(lines, np.ones(1), tuned) < 0.5  # always right: as sure as can be


def test_terms_are_weighed_by_what_makes_answers_right() -> None:
    """Places tell the right text, language tells nothing and members little: the place bonus is found, the language
    weight stays as it was given."""
    rng, lines = np.random.default_rng(0), []
    for i in range(300):
        known = float(rng.random() < 0.9)
        depths, flags = np.array([known, 1 - known]), (np.ones((1, 2), bool), np.zeros(1, bool))
        likelihoods = np.log([[0.6, 0.4] if rng.random() < 0.6 else [0.4, 0.6]])
        made = Candidates(["abc", "abd"], likelihoods, np.zeros(2), np.zeros(2), depths, *flags)
        lines.append(scored(made, "abc", f"w{i}"))
    one, start = np.ones(1), Settings(decoder="beam", language_weight=0.7, language_bonus=0.3, place_bonus=0.1)
    tuned = weigh_terms(lines, one, start)
    assert tuned.place_bonus == pytest.approx(np.log(0.9 / 0.1), rel=0.35), "the likelihood is worth what it says"
    assert (tuned.language_weight, tuned.language_bonus) == (0.7, 0.3)
    assert evaluate(lines, one, tuned).exact > evaluate(lines, one, start).exact + 0.2
    assert weigh_terms(lines[:19], one, start) == start, "too few lines"


def test_weights_are_sought_with_settings_of_the_members_that_read() -> None:
    """What a place is worth beside the member that is taken is not what it is worth beside all members alike."""
    rng, lines = np.random.default_rng(0), []
    for line in make_lines(200, skill=(0.95, 0.4)):
        depths = np.eye(3)[0 if rng.random() < 0.8 else rng.integers(1, 3)]
        lines.append(scored(replace(line.candidates, depths=depths), line.label, line.writer))
    found, settings = choose(lines, limits(sizes=(1, 1), seconds=(0, 0)), SETTINGS)
    again = tune(lines, np.array(found[0].weights), SETTINGS)
    assert settings == again != tune(lines, np.full(2, 0.5), SETTINGS)
    assert found == search(lines, limits(sizes=(1, 1), seconds=(0, 0)), settings)


def test_clues_are_weighed_by_what_was_right() -> None:
    """Every line is as far ahead; of those that are a known place most are right, of the others most are wrong."""
    rng, lines, zeros = np.random.default_rng(0), [], np.zeros(2)
    for i in range(400):
        known, flags = float(i % 2), (np.ones((1, 2), bool), np.zeros(1, bool))
        made = Candidates(["abc", "abd"], np.array([[-1.0, -3.0]]), zeros, zeros, np.array([known, known]), *flags)
        lines.append(scored(made, "abc" if rng.random() < 0.1 + 0.8 * known else "abd", f"w{i}"))
    one, settings = np.ones(1), Settings(decoder="beam", place_bonus=0.0)
    tuned = replace(settings, trust=weigh_clues(lines, one, settings))
    assert [confidence(line, one, tuned) for line in lines[:2]] == pytest.approx([0.1, 0.9], abs=0.05)
    assert confidence(lines[0], one, settings) == confidence(lines[1], one, settings)
    assert decide(lines[1].candidates, one, tuned).confidence == confidence(lines[1], one, tuned), "as the reader says"
    assert weigh_clues(lines[:20], one, settings) == (), "too few lines"
    assert len(tune(lines, one, settings).trust) == CLUES + 1


def test_a_convention_of_the_labels_is_found_and_joins_what_it_writes_alike() -> None:
    """Two spellings of the right text divide its probability, so that a wrong one is the best single text."""
    texts = ["TP Huế", "tp Huế", "Tp Hué"]
    likelihoods, zeros = np.log([[0.3, 0.25, 0.35]]), np.zeros(3)
    made = Candidates(texts, likelihoods, zeros, zeros, zeros, np.ones((1, 3), bool), np.zeros(1, bool))
    lines = [scored(made, "Tp Huế", f"w{i}") for i in range(4)]
    plain, one = Settings(decoder="beam", temperature=1.0), np.ones(1)
    assert answer(lines[0], one, plain) == "Tp Hué"
    tuned = tune(lines, one, plain)
    assert tuned.convention == "title" and answer(lines[0], one, tuned) == "Tp Huế"
    reading = decide(made, one, replace(tuned, temperature=1.0))
    assert reading.text == "Tp Huế" and reading.confidence == pytest.approx(0.55 / 0.9)
    assert [text for text, _ in reading.alternatives] == ["Tp Hué"]
    honest = nested(lines, limits(sizes=(1,), seconds=(0.1,)), plain)
    assert honest.answers == ["Tp Huế"] * 4 and honest.right == [True] * 4
    sure = replace(made, likelihoods=np.log([[0.5, 0.2, 0.3]]))
    kept = [scored(sure, "TP Huế", f"w{i}") for i in range(4)]
    assert tune(kept, one, plain).convention == "none", "labels that are not written so"


def test_a_convention_is_chosen_by_exact_lines() -> None:
    """It mends one line; in three that stay wrong it makes two letters more of them wrong."""
    zeros, flags = np.zeros(1), (np.ones((1, 1), bool), np.zeros(1, bool))
    pairs = [("TT Huế", "Tt Huế")] + [("an bình Đắk", "an bình Đăk")] * 3
    lines = [scored(Candidates([read], np.zeros((1, 1)), zeros, zeros, zeros, *flags), label, f"w{i}")
             for i, (read, label) in enumerate(pairs)]  # fmt: skip
    plain, one = Settings(decoder="beam"), np.ones(1)
    assert gain(lines, one, replace(plain, convention="title")) < gain(lines, one, plain)
    assert tune(lines, one, plain).convention == "title"
