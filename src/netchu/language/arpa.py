"""Character n-gram models as ARPA text, the format that KenLM, SRILM and flashlight read and write.

A character is a word of its own there; the space is written `<space>`. Probabilities are base-10 logarithms.
"""

from pathlib import Path

import numpy as np

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.tables import read_text
from netchu.language.ngram import CHARACTERS, END, START, Level, NGram, symbol_bits

SPACE = "<space>"
NAMES = {"<s>": START, "</s>": END}
LOG10 = float(np.log(10))


def write_arpa(path: Path, model: NGram) -> None:
    """Write the model as ARPA text, atomically."""
    words = ["<s>", "</s>", *(SPACE if c == " " else c for c in model.characters)]
    mask, levels = (1 << model.bits) - 1, model.levels
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write("\\data\\\n")
        stream.writelines(f"ngram {n}={len(level.keys)}\n" for n, level in enumerate(levels, 1))
        texts = [""]
        for n, level in enumerate(levels, 1):
            stream.write(f"\n\\{n}-grams:\n")
            texts = [f"{texts[key >> model.bits]} {words[key & mask]}".lstrip() for key in level.keys.tolist()]
            for key, text, log_prob, backoff in zip(
                level.keys.tolist(), texts, level.log_probs.tolist(), level.backoffs.tolist(), strict=True
            ):
                value = -99.0 if key == START and n == 1 else log_prob / LOG10
                end = f"\t{backoff / LOG10:.6f}" if n < model.order else ""
                stream.write(f"{value:.6f}\t{text}{end}\n")
        stream.write("\n\\end\\\n")


def read_arpa(path: Path) -> NGram:
    """The model in an ARPA file of single characters; `<unk>` is left out.

    Raises NetchuError that names the row which is no such n-gram.
    """
    sections = _sections(path)
    if not sections or not sections[0]:
        raise NetchuError(f"{path}: has no \\1-grams: section; is it an ARPA file?")
    names = dict(NAMES)
    for number, _, words, _ in sections[0]:
        word = words[0]
        if word not in names and word != "<unk>":
            character = " " if word == SPACE else word
            if len(character) != 1:
                raise NetchuError(f"{path}:{number}: {word!r} is no single character; train the model on characters")
            names[word] = CHARACTERS + len(names) - len(NAMES)
    characters = "".join(" " if w == SPACE else w for w in list(names)[len(NAMES) :])
    bits = symbol_bits(len(characters))
    levels: list[Level] = []
    places: dict[tuple[str, ...], int] = {(): 0}  # of the n-grams of the last level
    for section in sections:
        rows = {}
        for number, log_prob, words, backoff in section:
            if "<unk>" in words:
                continue
            *context, last = words
            for word in words:
                if word not in names:
                    raise NetchuError(f"{path}:{number}: {word!r} is not among the 1-grams")
            if tuple(context) not in places:
                raise NetchuError(f"{path}:{number}: {' '.join(context)!r} is not among the {len(context)}-grams")
            key = places[tuple(context)] << bits | names[last]
            rows[key] = (tuple(words), log_prob * LOG10, backoff * LOG10)
        keys = sorted(rows)
        places = {rows[key][0]: place for place, key in enumerate(keys)}
        values = np.array([rows[key][1:] for key in keys], np.float32).reshape(-1, 2)
        levels.append(Level(np.array(keys, np.uint64), values[:, 0].copy(), values[:, 1].copy()))
    return NGram(characters, levels)


Row = tuple[int, float, list[str], float]  # line number, log10 probability, words, log10 back-off weight


def _sections(path: Path) -> list[list[Row]]:
    """The n-grams by length."""
    sections: list[list[Row]] = []
    for number, line in enumerate(map(str.strip, normalise(read_text(path)).split("\n")), 1):
        if line.startswith("\\"):
            if line.endswith("-grams:"):
                sections.append([])
            continue
        if not sections or not line:
            continue
        size = len(sections)
        cells = line.split()
        try:
            if len(cells) not in (size + 1, size + 2):
                raise ValueError
            backoff = float(cells[size + 1]) if len(cells) == size + 2 else 0.0
            sections[-1].append((number, float(cells[0]), cells[1 : size + 1], backoff))
        except ValueError:
            raise NetchuError(
                f"{path}:{number}: is no {size}-gram; expected a number, {size} words, a number"
            ) from None
    return sections
