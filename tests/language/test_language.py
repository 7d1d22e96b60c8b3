"""The character n-gram: its probabilities sum to one, it learns, it travels as a small file and as ARPA text."""

import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from netchu.commands.language import main, read_texts
from netchu.core.charset import Charset
from netchu.core.errors import NetchuError
from netchu.ctc.beam import propose
from netchu.data.manifest import read_lines
from netchu.language.arpa import read_arpa, write_arpa
from netchu.language.fusion import LanguageScorer
from netchu.language.mixture import mix
from netchu.language.ngram import NGram, load_ngram, save_ngram
from netchu.language.smoothing import train_ngram
from tests.support.outputs import spell

TEXTS = ["Ấp Bắc Mỹ Tho", "Tổ 5 Ấp Bắc", "Số 12 Mỹ Tho", "Xóm Mới Huế", "Tổ 7 Xóm Mới Huế"] * 4


@pytest.fixture(scope="module")
def model() -> NGram:
    return train_ngram(TEXTS, order=4, cutoff=2, folds=[1, 2])


def contexts(model: NGram) -> list[tuple[int, ...]]:
    """Contexts seen, half seen and never seen."""
    symbols = [model.symbol(c) for c in "Ấp Bắc"]
    return [(), (0,), tuple(symbols), (0, *symbols[:2]), (symbols[0], symbols[0]), (5, 9, 3), tuple(symbols[-1:] * 5)]


def distribution(model: NGram, context: tuple[int, ...]) -> np.ndarray:
    """Log-probability of each symbol after a context."""
    state: tuple[int, ...] = ()
    for symbol in context:
        state, _ = model.step(state, symbol)
    return np.array([model.step(state, symbol)[1] for symbol in range(model.size)])


def test_distributions_sum_to_one(model: NGram) -> None:
    for context in contexts(model):
        assert np.exp(distribution(model, context)[1:]).sum() == pytest.approx(1, abs=1e-3), context


def test_witten_bell_by_hand() -> None:
    """After a: b twice, the end once, so 3 seen and 2 types; b's share is (2 + 2 p(b)) / (3 + 2)."""
    model = train_ngram(["ab", "ab", "a"], order=2)
    unigram = {"a": 4, "b": 3, "end": 4, "all": 11 + 1e-9}  # one more each than they occur; starts are not foretold
    a, b = model.symbol("a"), model.symbol("b")
    after = np.exp(distribution(model, (a,)))
    assert after[b] == pytest.approx((2 + 2 * unigram["b"] / unigram["all"]) / 5, rel=1e-4)
    assert after[1] == pytest.approx((1 + 2 * unigram["end"] / unigram["all"]) / 5, rel=1e-4)
    assert after[a] == pytest.approx(1 - after[b] - after[1], rel=1e-4)


def test_it_foretells_what_it_has_seen(model: NGram) -> None:
    assert model.log_prob("Ấp Bắc Mỹ Tho") > model.log_prob("Ấp Bạc Mỹ Tho") > model.log_prob("qqqqqqqqqqqqq")
    assert model.log_prob("Tổ 5 Huế") == model.log_prob("Tổ 8 Huế")
    assert model.bits_a_character(TEXTS) < 1.5 < model.bits_a_character(["zzzz zz"])


def test_file_is_small_and_close(model: NGram, tmp_path: Path) -> None:
    save_ngram(tmp_path / "a.nlm", model)
    again = load_ngram(tmp_path / "a.nlm")
    assert (again.characters, again.order, again.folds) == (model.characters, 4, (1, 2))
    assert load_ngram(tmp_path / "a.nlm") is again  # as long as it is in use
    for context in contexts(model):
        assert np.abs(distribution(again, context) - distribution(model, context))[1:].max() < 0.2
    assert (tmp_path / "a.nlm").stat().st_size < 6000


def test_arpa_there_and_back(model: NGram, tmp_path: Path) -> None:
    write_arpa(tmp_path / "a.arpa", model)
    again = read_arpa(tmp_path / "a.arpa")
    for text in [*TEXTS[:5], "Ấp Mỹ 77"]:
        assert again.log_prob(text) == pytest.approx(model.log_prob(text), abs=1e-3)
    assert "\\1-grams:" in (tmp_path / "a.arpa").read_text(encoding="utf-8")


def test_a_long_context_decides() -> None:
    """What a Quan is called is ten letters away, and another one occurs more often."""
    texts = ["Lạc Long Quân Huế"] * 3 + ["Tân Long Quận Huế"] * 9
    wrong = "Lạc Long Quận Huế"
    short, long = (train_ngram(texts, order=order, cutoff=1) for order in (5, 40))
    assert short.log_prob(wrong) > short.log_prob(texts[0])
    assert long.log_prob(wrong) < long.log_prob(texts[0]) - 1
    assert long.order == len(texts[0]) + 2


def test_a_file_of_format_1_is_read(model: NGram, tmp_path: Path) -> None:
    """There a key is all symbols of an n-gram side by side."""
    save_ngram(tmp_path / "b.nlm", model)
    with np.load(tmp_path / "b.nlm") as stored:
        arrays = dict(stored)
    packed = [0]
    for n, level in enumerate(model.levels, 1):
        packed = [packed[key >> model.bits] << model.bits | key & (1 << model.bits) - 1 for key in level.keys.tolist()]
        steps = np.diff(np.array(packed, np.uint64), prepend=np.uint64(0))
        arrays[f"keys{n}"] = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 8).T)
    about = json.loads(arrays["about"].tobytes()) | {"format": 1}
    arrays["about"] = np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), np.uint8)
    with (tmp_path / "old.nlm").open("wb") as stream:
        np.savez(stream, **arrays)
    for old, new in zip(load_ngram(tmp_path / "old.nlm").levels, load_ngram(tmp_path / "b.nlm").levels, strict=True):
        assert np.array_equal(old.keys, new.keys) and np.array_equal(old.backoffs, new.backoffs)
    del arrays["keys1"]
    with (tmp_path / "old.nlm").open("wb") as stream:
        np.savez(stream, **arrays | {"keys1": arrays["keys2"]})
    with pytest.raises(NetchuError, match="is damaged or no language model"):
        load_ngram(tmp_path / "old.nlm")


@pytest.mark.parametrize("odd", ["\u00a0", "\u2028", "\u3000", "\t", "\x85"])
def test_spaces_of_every_kind_are_plain_ones_in_a_model(odd: str, tmp_path: Path) -> None:
    model = train_ngram([f"Số 12{odd}Huế", f"Huế{odd}"] * 5, order=3)
    write_arpa(tmp_path / "a.arpa", model)
    again = read_arpa(tmp_path / "a.arpa")
    assert odd not in model.characters
    assert again.log_prob("Số 12 Huế") == pytest.approx(model.log_prob("Số 12 Huế"), abs=1e-3)


def test_foreign_and_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "words.arpa").write_text("\\data\\\nngram 1=1\n\n\\1-grams:\n-1.0\tword\n\\end\\\n")
    with pytest.raises(NetchuError, match=r"words.arpa:5: 'word' is no single character"):
        read_arpa(tmp_path / "words.arpa")
    (tmp_path / "bad.arpa").write_text("\\1-grams:\nhello\n")
    with pytest.raises(NetchuError, match=r"bad.arpa:2: is no 1-gram"):
        read_arpa(tmp_path / "bad.arpa")
    rows = "-1 </s>\n-1 a\n-1 b\n\n\\2-grams:\n-1 a b\n\n\\3-grams:\n-1 b a b\n"
    (tmp_path / "gap.arpa").write_text(f"\\1-grams:\n{rows}")
    with pytest.raises(NetchuError, match=r"gap.arpa:10: 'b a' is not among the 2-grams"):
        read_arpa(tmp_path / "gap.arpa")
    (tmp_path / "a.nlm").write_bytes(b"nonsense")
    with pytest.raises(NetchuError, match="is damaged or no language model"):
        load_ngram(tmp_path / "a.nlm")
    with pytest.raises(NetchuError, match="no such language model"):
        load_ngram(tmp_path / "none.nlm")
    with pytest.raises(NetchuError, match="no text to train"):
        train_ngram([])


CHARSET = Charset("".join(sorted(set("".join(TEXTS)) | set("ạ8B"))))
output = partial(spell, CHARSET)


def read(line: np.ndarray, model: NGram, weight: float = 0.5) -> str:
    scorer = LanguageScorer(model, CHARSET, weight=weight, bonus=0.8)
    return CHARSET.decode(propose(line, scorer=scorer)[0])


def test_language_mends_letters_and_leaves_numbers(model: NGram) -> None:
    unsure = output("Ấp Bạc Mỹ Tho", {4: ("ắ", 0.4)})
    assert read(unsure, model, weight=0.0) == "Ấp Bạc Mỹ Tho"
    assert read(unsure, model) == "Ấp Bắc Mỹ Tho"
    for text, doubt in (
        ("Tổ 8 Ấp Bắc", {3: ("5", 0.45)}),
        ("Số B8 Mỹ Tho", {4: ("ắ", 0.3)}),
        ("88 Huế", {1: ("ế", 0.4)}),
    ):
        assert read(output(text, doubt), model, weight=1.0) == text


def test_scores_of_the_search_and_of_whole_texts_agree(model: NGram) -> None:
    scorer = LanguageScorer(model, CHARSET, weight=0.7, bonus=0.3)
    sequence = CHARSET.encode("Tổ B8c Ấp Bắc")
    state, total = scorer.start(), 0.0
    for label in sequence:
        state, added = scorer.advance(state, label)
        total += added
    log_prob, length = scorer.features(sequence)
    assert length == len("Tổ  Ấp Bắc")
    end = log_prob * 0.7 + length * 0.3 - total
    assert end == pytest.approx(0.7 * np.log(0.98 * np.exp(model.step(state[0], 1)[1]) + 0.02), abs=1e-4)


def test_a_name_that_no_text_held_has_a_bounded_cost(model: NGram) -> None:
    """However unlikely the model finds a character, it costs at most log(0.02); what it expects costs as before."""
    scorer = LanguageScorer(model, CHARSET, weight=1.0, bonus=0.0)
    (known, _), (odd, length) = (scorer.features(CHARSET.encode(text)) for text in ("Ấp Bắc Huế", "Ấp oBBHo Huế"))
    assert known > odd >= (length + 1) * np.log(0.02)
    assert model.log_prob("Ấp oBBHo Huế") < odd - 3


def test_a_mixture_is_the_mean_of_both(model: NGram) -> None:
    """In every n-gram that it has, be it of both or of one alone; elsewhere it backs off, and still sums to one."""
    labels = train_ngram(["Tổ 5 Huế Mới", "Tổ 7 Huế Mới", "Ấp Mỹ"] * 3, order=6, folds=[3], characters=model.characters)
    mixed = mix(model, labels, 0.25)
    assert (mixed.order, mixed.characters, mixed.folds) == (6, model.characters, (1, 2, 3))
    for context in contexts(mixed):
        assert np.exp(distribution(mixed, context)[1:]).sum() == pytest.approx(1, abs=1e-3), context
    for text, last in (("Tổ 5 ", "H"), ("Huế ", "M"), ("Xóm", " "), ("Tổ 5 X", "ó")):
        after = [
            np.exp(distribution(one, (0, *map(one.symbol, text)))[one.symbol(last)]) for one in (model, labels, mixed)
        ]
        assert after[2] == pytest.approx(0.75 * after[0] + 0.25 * after[1], rel=1e-3), text
    assert mixed.log_prob("Tổ 8 Huế Mới") > model.log_prob("Tổ 8 Huế Mới") + 1
    with pytest.raises(NetchuError, match="of different characters cannot be mixed"):
        mix(model, train_ngram(["Huế"]), 0.5)


def test_commands(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")

    def run(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["language", *map(str, words)])
        main()
        return capsys.readouterr().out

    said = run(
        "train", "--texts", tmp_path / "texts.txt", "--manifest", manifest, "--fold", 2, "--out", tmp_path / "a.nlm"
    )
    assert "fold 2, left out: " in said
    folds = {line.fold for line in read_lines(manifest)} - {2}
    assert set(load_ngram(tmp_path / "a.nlm").folds) == folds
    words = ("train", "--texts", tmp_path / "texts.txt", "--manifest", manifest, "--fold", 2, "--label-share", 0)
    run(*words, "--out", tmp_path / "counted.nlm")
    labels = [line.text for line in read_lines(manifest) if line.fold in folds]
    mixed, counted = (load_ngram(tmp_path / f"{name}.nlm").bits_a_character(labels) for name in ("a", "counted"))
    assert mixed < counted - 0.01, "a model of the labels alone has a say"
    run("export", tmp_path / "a.nlm", "--out", tmp_path / "a.arpa")
    run("import", tmp_path / "a.arpa", "--out", tmp_path / "b.nlm")
    one, two = (run("measure", tmp_path / f"{name}.nlm", "--texts", tmp_path / "texts.txt") for name in "ab")
    assert one == two and "bits a character" in one


def test_damaged_gzip_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.gz"
    path.write_bytes(gzip.compress(b"x")[:10] + b"\xff" * 20)
    with pytest.raises(NetchuError, match=r"texts\.gz: cannot be read as UTF-8 text \(Error -3"):
        read_texts(path)
