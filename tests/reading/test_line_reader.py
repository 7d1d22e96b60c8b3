"""From members' outputs to a reading: exact votes, language, places, blank lines, the choice and its certainty."""

import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.ctc.decoders import greedy
from netchu.ctc.likelihood import log_likelihoods
from netchu.ctc.posteriors import certainties, posteriors
from netchu.language.gazetteer import Gazetteer
from netchu.language.ngram import NGram
from netchu.language.smoothing import train_ngram
from netchu.reading.candidates import gather
from netchu.reading.line_reader import LineReader, Settings, scores, settings_from
from tests.support.outputs import spell

CHARSET = Charset("".join(sorted(set("Ấp Bắc Mỹ Tho Huế Long An Cần Đước Trạch ạảe 58"))))
PLACES = Gazetteer([("Long An", "Cần Đước", "Long Trạch"), ("Huế", "", "Mỹ Tho")])
output = partial(spell, CHARSET)


def positions_of(*outputs: np.ndarray) -> list[np.ndarray]:
    return [np.linspace(0, 1, len(x)) for x in outputs]


@pytest.fixture(scope="module")
def language() -> NGram:
    return train_ngram(["Ấp Bắc Mỹ Tho", "Ấp Bắc Huế", "Long Trạch Cần Đước Long An"] * 5, order=4)


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
@pytest.mark.parametrize("combination", ["rescore", "frame"])
def test_members_of_any_stride_vote(decoder: str, combination: str) -> None:
    """One is slightly wrong, the other surely right."""
    one, two = output("Ấp Bạc", {4: ("ắ", 0.45)}), output("Ấp Bắc", {4: ("ạ", 0.02)}, stride=3)
    reader = LineReader(CHARSET, Settings(decoder=decoder, combination=combination), weights=[1, 1])
    if combination == "rescore":
        assert reader.read([one, two], positions_of(one, two)).text == "Ấp Bắc"
    assert reader.read([two, two], positions_of(two, two)).text == "Ấp Bắc"
    assert LineReader(CHARSET, Settings(decoder=decoder)).read([one], positions_of(one)).text == "Ấp Bạc"
    only_one = LineReader(CHARSET, Settings(decoder=decoder), weights=[1, 0]).read([one, two], positions_of(one, two))
    assert only_one.text == "Ấp Bạc"


def test_likelihoods_are_each_members_own() -> None:
    members = [output("Huế", {1: ("e", 0.3)}), output("Hue", {2: ("ế", 0.3)}, stride=4)]
    found = gather(members, CHARSET)
    assert {"Huế", "Hue"} <= set(found.texts)
    for row, member in zip(found.likelihoods, members, strict=True):
        assert np.allclose(row, log_likelihoods(member, [CHARSET.encode(t) for t in found.texts]).clip(-1e4))
    total = scores(found, np.array([0.5, 0.5]), Settings(decoder="beam"))
    assert found.texts[int(total.argmax())] in ("Huế", "Hue")


def test_a_faint_line_may_be_read_as_nothing() -> None:
    """Its best path is empty though no search ends there: the empty text is then the only one that is considered."""
    faint = np.log(np.tile([0.5, *[0.5 / (len(CHARSET) - 1)] * (len(CHARSET) - 1)], (40, 1))).astype(np.float32)
    found = gather([faint], CHARSET, decoder="beam")
    assert found.silent.all() and "" in found.texts
    total = scores(found, np.ones(1), Settings(decoder="beam"))
    assert found.texts[int(total.argmax())] == "" and np.isfinite(total).sum() == 1


def test_a_text_that_fits_one_members_frames_only_is_no_error() -> None:
    short, long = output("An", stride=1), output("Long An")
    reading = LineReader(CHARSET, Settings(decoder="beam"), weights=[1, 1]).read(
        [short, long], positions_of(short, long)
    )
    assert reading.text == "An"  # the long text has no alignment with two frames


def test_blank_lines_stay_empty(language: NGram) -> None:
    """However much the language model would like to write."""
    blank = np.log(np.full((30, len(CHARSET)), 0.1 / (len(CHARSET) - 1), np.float32))
    blank[:, 0] = np.log(0.9)
    settings = Settings(decoder="beam", language_bonus=5.0, place_bonus=9.0)
    reader = LineReader(CHARSET, settings, weights=[1, 1], language=language, gazetteer=PLACES)
    assert reader.read([blank, blank], positions_of(blank, blank)).text == ""
    none = blank[:0]
    assert reader.read([none, none], positions_of(none, none)).text == ""


def test_short_and_doubtful_answers_are_stains() -> None:
    stain, word = output("B8", {0: ("5", 0.5), 1: ("5", 0.4)}), output("Huế", {1: ("e", 0.2)})
    for decoder in ("greedy", "beam"):
        reader = LineReader(CHARSET, Settings(decoder=decoder))
        assert reader.read([stain], positions_of(stain)).text == ""
        assert reader.read([word], positions_of(word)).text == "Huế"
        trusting = LineReader(CHARSET, Settings(decoder=decoder, shortest=0))
        assert len(trusting.read([stain], positions_of(stain)).text) == 2


def test_places_help_only_where_the_ink_allows() -> None:
    def read(share: float, bonus: float) -> str:
        line = output("Long Trảch Cần Đước Long An", {7: ("ạ", share)})
        reader = LineReader(CHARSET, Settings(decoder="beam", place_bonus=bonus), gazetteer=PLACES)
        return reader.read([line], positions_of(line)).text

    assert read(0.2, bonus=2.0) == "Long Trạch Cần Đước Long An"
    assert read(0.2, bonus=0.0) == "Long Trảch Cần Đước Long An"
    assert read(0.001, bonus=2.0) == "Long Trảch Cần Đước Long An"


def test_proposals_are_held_to_the_likelihood() -> None:
    """A known place that the frames contradict is refused whatever its bonus."""
    line = output("Long Trảch Cần Đước Long An")
    reader = LineReader(CHARSET, Settings(decoder="beam", place_bonus=50.0, place_drop=8.0), gazetteer=PLACES)
    assert reader.read([line], positions_of(line)).text == "Long Trảch Cần Đước Long An"
    far = output("Lonh Trảcp Cần Đước Long An")
    usual = LineReader(CHARSET, Settings(decoder="beam", place_bonus=50.0), gazetteer=PLACES)
    assert usual.read([far], positions_of(far)).text == "Lonh Trảcp Cần Đước Long An"
    lenient = LineReader(CHARSET, Settings(decoder="beam", place_bonus=50.0, place_drop=1e6), gazetteer=PLACES)
    assert lenient.read([line], positions_of(line)).text == "Long Trạch Cần Đước Long An"


def test_certainty_of_characters() -> None:
    line = output("Ấp Bạc", {4: ("ắ", 0.4)})
    for decoder in ("greedy", "beam"):
        reading = LineReader(CHARSET, Settings(decoder=decoder)).read([line], positions_of(line))
        assert len(reading.characters) == len(reading.text) == 6
        assert reading.characters[4] == pytest.approx(0.6, abs=0.01)
        assert min(reading.characters[:4]) > 0.98
    assert reading.alternatives[0][0] == "Ấp Bắc"
    assert reading.confidence == pytest.approx(0.6, abs=0.01)


def test_posteriors_and_certainties() -> None:
    assert posteriors([0.0, -np.log(3)]) == pytest.approx([0.75, 0.25])
    assert posteriors([0.0, -2 * np.log(3)], 2.0) == pytest.approx([0.75, 0.25])
    assert posteriors([0.0, -np.inf]) == pytest.approx([1, 0])
    sure = certainties("abc", ["abc", "abd", "xabc", "ac"], np.array([0.4, 0.3, 0.2, 0.1]))
    assert sure == pytest.approx((1.0, 0.9, 0.7))
    assert certainties("", ["", "a"], np.array([0.5, 0.5])) == ()


def test_one_greedy_member_is_plain_greedy() -> None:
    line = output("Huế", {1: ("e", 0.2)})
    assert LineReader(CHARSET, Settings()).read([line], positions_of(line)) == greedy(line, CHARSET)


def test_settings_are_checked() -> None:
    wrong: dict[str, Any] = {"decoder": "beem", "combination": "x", "average": "y", "width": 0, "temperature": 0.0}
    for key, value in wrong.items():
        with pytest.raises(NetchuError, match=f"settings: {key}="):
            Settings(**{key: value})
    settings = Settings(decoder="beam", width=4)
    assert settings_from(settings.to_dict(), "a.json") == settings
    assert settings_from(settings.to_dict() | {"risk": False}, "a.json") == settings
    with pytest.raises(NetchuError, match=r"a.json: settings: risk is no longer there"):
        settings_from({"risk": True}, "a.json")
    trusting = Settings(decoder="beam", trust=(0.0, 1.0, 2, 3.0, 4.0, 5.0, -6.0))
    assert settings_from(json.loads(json.dumps(trusting.to_dict())), "a.json") == trusting
    for wrong_trust in ([1.0], "123456", [None] * 7):
        with pytest.raises(NetchuError, match=r"settings: trust"):
            settings_from({"trust": wrong_trust}, "a.json")
    assert settings_from({"language_weight": 1}, "a.json").language_weight == 1
    with pytest.raises(NetchuError, match=r"a.json: settings hold an unknown key 'widht'"):
        settings_from({"widht": 3}, "a.json")
    with pytest.raises(NetchuError, match=r"a.json: settings: width is 'x'"):
        settings_from({"width": "x"}, "a.json")


def test_a_clear_best_path_is_the_answer_without_decoding(monkeypatch: pytest.MonkeyPatch, language: NGram) -> None:
    """Where the members share it and it is likely enough; it is written by the convention all the same."""
    clear, doubtful = output("Mỹ Tho"), output("Mỹ Tho", {1: ("u", 0.3)})
    other = output("Mu Tho")
    positions = positions_of(clear, clear)

    def reader(**settings: Any) -> LineReader:
        made = Settings(decoder="beam", convention="title", **settings)
        return LineReader(CHARSET, made, weights=[3, 1], language=language, gazetteer=PLACES)

    decoded = reader().read([clear, clear], positions)
    wanted, sure = (float(np.exp(log_likelihoods(x, [CHARSET.encode("Mỹ Tho")])[0])) for x in (doubtful, clear))
    monkeypatch.setattr("netchu.reading.line_reader.gather", None)  # whoever decodes, fails
    for outputs in ([clear], [clear, clear]):
        found = reader(clear=0.9).read_early(outputs, positions) or pytest.fail("the line is clear")
        assert (found.text, len(found.characters)) == (decoded.text, len(decoded.text))
        assert found.confidence == pytest.approx(sure)
    assert reader(clear=0.9).read_early([doubtful], positions) is None
    both = reader(clear=0.5).read([doubtful, clear], positions)
    assert both.confidence == pytest.approx(wanted**0.75 * sure**0.25)
    assert both.characters[1] == pytest.approx(0.7, abs=1e-4), "a character is as sure as the least sure member says"
    assert reader(clear=0.9).read_early([clear, other], positions) is None, "they read two texts"
    assert reader(clear=1.0).read_early([clear], positions) is None
    assert reader(clear=0.0).read_early([clear[:0]], positions) is None, "nothing is not clear"
    with pytest.raises(TypeError):
        reader(clear=0.9).read([doubtful, doubtful], positions)
    with pytest.raises(NetchuError, match=r"clear=2; allowed: 0 to 1, with rescore"):
        Settings(clear=2)


def test_a_text_is_as_likely_as_all_its_alignments() -> None:
    """A character that may stand in either of two frames makes its path half as likely, and the text no less."""
    probs = np.full((4, len(CHARSET)), 1e-6)
    an = CHARSET.encode("An")
    probs[0, an[0]] = probs[3, 0] = 1.0
    probs[1:3, [0, an[1]]] = 0.49, 0.51
    line = np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
    found = LineReader(CHARSET, Settings(decoder="beam", clear=0.7, shortest=0)).read_early([line], positions_of(line))
    assert greedy(line, CHARSET).confidence < 0.3
    assert found is not None and found.text == "An" and found.confidence == pytest.approx(1 - 0.49**2, abs=0.01)


def test_a_convention_that_leaves_characters_out_keeps_one_certainty_a_character() -> None:
    line = output("Huế  An")
    found = LineReader(CHARSET, Settings(convention="title", clear=0.9)).read([line], positions_of(line))
    assert found.text == "Huế An" and found.characters == (found.confidence,) * 6


def test_one_trust_for_clear_and_for_decoded_lines(language: NGram) -> None:
    """What is known of the text counts: language, places, length, its own likelihood, and what comes next."""
    clear, other = output("Long Trạch Cần Đước Long An"), output("Long Trảch Cần Đước Long An", {7: ("ạ", 0.3)})

    def read(line: np.ndarray, *, at: float = 1.0, **weights: float) -> float:
        coefficients = [
            weights.get(key, 0.0) for key in ("plain", "margin", "own", "language", "places", "length", "comma")
        ]
        settings = Settings(decoder="beam", clear=at, trust=tuple(coefficients))
        reader = LineReader(CHARSET, settings, language=language, gazetteer=PLACES)
        return reader.read([line], positions_of(line)).confidence

    for one in ({"own": 1.0}, {"language": 1.0}, {"places": 0.5}, {"length": 0.02}):
        assert read(clear, at=0.5, **one) == pytest.approx(read(clear, **one), abs=2e-3), one
    assert read(clear) == read(other) == 0.5, "nothing is known"
    assert read(other, margin=0.2) < read(clear, margin=0.2)
    assert read(clear, places=0.5) == pytest.approx(1 / (1 + np.exp(-1.5))), "a ward, its district and its province"
