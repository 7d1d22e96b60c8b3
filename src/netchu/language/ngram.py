"""A character n-gram language model of address lines: which character may follow which, in a file of some megabytes.

Digits are one symbol, since which digit stands in a house number is no matter of language. Probabilities are stored in
back-off form: p(c | context), or else the context's back-off weight times p(c | context without its first symbol).

Symbols are numbers: 0 the start of a line, 1 its end, 2 and up the characters. An n-gram's key is one uint64: the place
of its context among the n-grams shorter by one, and behind that its last symbol. So an n-gram may have any length, and
all with one context lie side by side in a sorted array.
"""

import io
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from netchu.core.charset import normalise
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path

FORMAT = 2  # 1: a key was all symbols of an n-gram side by side
START, END, CHARACTERS = 0, 1, 2
DIGIT = "0"  # the symbol of every digit
STEP = 1 / 16  # nats between two stored log-probabilities
UNSEEN = -16.0  # log-probability of a character that the model has never met
CACHE = 50_000  # steps that are remembered

Keys = NDArray[np.uint64]
Places = NDArray[np.int64]
Floats = NDArray[np.float32]


def pack(contexts: Places, last: NDArray[Any], bits: int) -> Keys:
    """The keys of n-grams whose contexts are at these places, and whose last symbols take `bits`."""
    return contexts.astype(np.uint64) << np.uint64(bits) | last.astype(np.uint64)


def unpack(keys: Keys, bits: int) -> tuple[Places, Keys]:
    """(places of the contexts, last symbols) of keys."""
    return (keys >> np.uint64(bits)).astype(np.int64), keys & np.uint64((1 << bits) - 1)


@dataclass(frozen=True, slots=True)
class Level:
    """All n-grams of one length: sorted keys, log-probabilities of their last symbol, log back-off weights."""

    keys: Keys
    log_probs: Floats
    backoffs: Floats


State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A level for looking up one n-gram at a time: its last symbols as a string, in which a C loop finds the one that
    is asked for, and where the n-grams that go on from each begin on the next level; they end where the next one's
    begin."""

    last: str
    log_probs: memoryview
    backoffs: memoryview
    begins: memoryview

    @classmethod
    def of(cls, level: Level, deeper: Level | None, bits: int) -> "Table":
        """`deeper`: the level of n-grams longer by one, None for the last."""
        last = unpack(level.keys, bits)[1].astype("<u4").tobytes().decode("utf-32-le")
        after = deeper.keys if deeper else np.zeros(0, np.uint64)
        contexts = np.arange(len(level.keys) + 1, dtype=np.uint64) << np.uint64(bits)
        begins = np.searchsorted(after, contexts).astype(np.int32)
        values, weights = memoryview(level.log_probs), memoryview(level.backoffs)  # type: ignore[arg-type]  # 'f' buffers
        return cls(last, values, weights, memoryview(begins))  # type: ignore[arg-type]


class NGram:
    """The model. `characters` are its symbols in order, starting with symbol 2.

    `step(state, symbol)` gives (the state after one more symbol, that symbol's log-probability). A state is the place,
    on each level, of the n-gram that ends there, the shortest first, as far as the model knows what may follow; ()
    where it knows nothing, as after a character that it has never met.
    """

    def __init__(self, characters: str, levels: Sequence[Level], folds: Sequence[int] = ()) -> None:
        """`folds`: those whose labels it was trained on; what it says of lines of these folds is not out of fold."""
        self.characters, self.folds = characters, tuple(folds)
        self.order, self.size = len(levels), len(characters) + CHARACTERS
        self.bits = symbol_bits(len(characters))
        self._symbols = {character: i for i, character in enumerate(characters, CHARACTERS)}
        self._tables = [
            Table.of(level, deeper, self.bits) for level, deeper in zip(levels, [*levels[1:], None], strict=True)
        ]
        self.step = lru_cache(CACHE)(self._look_up)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The n-grams by length, the shortest first; made again from the tables, which need less memory."""
        made = []
        contexts = np.zeros(len(self._tables[0].last), np.int64)
        for table in self._tables:
            last = np.frombuffer(table.last.encode("utf-32-le"), "<u4")
            made.append(Level(pack(contexts, last, self.bits), np.asarray(table.log_probs), np.asarray(table.backoffs)))
            contexts = np.repeat(np.arange(len(last)), np.diff(table.begins))
        return tuple(made)

    def symbol(self, character: str) -> int:
        """The symbol of a character, or -1 when the model has never met it."""
        return self._symbols.get(DIGIT if character.isdigit() else character, -1)

    def start(self) -> State:
        """What a line begins with."""
        return self.step((), START)[0]

    def _look_up(self, state: State, symbol: int) -> tuple[State, float]:
        """What `step` remembers."""
        tables, character = self._tables, chr(symbol)
        table = tables[0]
        place = table.last.find(character)
        if place < 0:
            return (), UNSEEN
        value = UNSEEN if symbol == START else table.log_probs[place]
        found = [place] if table.begins[place] < table.begins[place + 1] else []
        for depth, context in enumerate(state, 1):
            shorter, table = table, tables[depth]
            place = table.last.find(character, shorter.begins[context], shorter.begins[context + 1])
            if place < 0:
                value += shorter.backoffs[context]
                continue
            value = table.log_probs[place]
            if len(found) == depth and table.begins[place] < table.begins[place + 1]:
                found.append(place)
        return tuple(found), value

    def log_prob(self, text: str) -> float:
        """log p(text), its end included, with every digit as one symbol."""
        state, total = self.start(), 0.0
        for character in normalise(text):
            symbol = self.symbol(character)
            state, value = self.step(state, symbol) if symbol >= 0 else ((), UNSEEN)
            total += value
        return total + self.step(state, END)[1]

    def bits_a_character(self, texts: Iterable[str]) -> float:
        """Mean bits a character (and line end) over texts: how well the model foretells them."""
        texts = list(texts)
        return -sum(map(self.log_prob, texts)) / sum(len(normalise(t)) + 1 for t in texts) / float(np.log(2))


_IN_USE: "WeakValueDictionary[tuple[Path, int, int], NGram]" = WeakValueDictionary()  # by path, time, size


def symbol_bits(characters: int) -> int:
    """Bits that a symbol takes in a key."""
    return max(2, (characters + CHARACTERS - 1).bit_length())


def save_ngram(path: Path, model: NGram) -> None:
    """Write the model compactly: keys as differences by byte plane, log values as multiples of `STEP`."""
    about = {"format": FORMAT, "characters": model.characters, "order": model.order, "folds": model.folds}
    arrays: dict[str, NDArray[Any]] = {"about": np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), np.uint8)}
    for n, level in enumerate(model.levels, 1):
        steps = np.diff(level.keys, prepend=np.uint64(0))
        arrays[f"keys{n}"] = np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 8).T)
        arrays[f"log_probs{n}"] = np.clip(np.rint(-level.log_probs / STEP), 0, 255).astype(np.uint8)
        if n < model.order:
            arrays[f"backoffs{n}"] = np.clip(np.rint(-level.backoffs / STEP) + 64, 0, 255).astype(np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def load_ngram(path: Path) -> NGram:
    """Read a model, or give the one that was read from this file and is still in use.

    Raises NetchuError when the file is missing, damaged or of another format.
    """
    try:
        about = path.stat()
        file = (path.resolve(), about.st_mtime_ns, about.st_size)
    except OSError:
        return _read_ngram(path)  # says what is wrong
    model = _IN_USE.get(file)
    if model is None:
        model = _IN_USE[file] = _read_ngram(path)
    return model


def _read_ngram(path: Path) -> NGram:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            about = json.loads(data["about"].tobytes())
            if about["format"] not in (1, FORMAT):
                raise NetchuError(f"{path}: format {about['format']}, this version reads {FORMAT}; train it again")
            levels = []
            shorter = np.zeros(0, np.uint64)  # the keys of the level before, as they are stored
            bits = symbol_bits(len(about["characters"]))
            for n in range(1, about["order"] + 1):
                steps = np.ascontiguousarray(data[f"keys{n}"].T).reshape(-1).view(np.uint64)
                stored = keys = np.cumsum(steps, dtype=np.uint64)
                if about["format"] == 1 and n > 1:
                    keys = _by_place(stored, shorter, bits)
                shorter = stored
                log_probs = -STEP * data[f"log_probs{n}"].astype(np.float32)
                backoffs = (
                    -STEP * (data[f"backoffs{n}"].astype(np.float32) - 64)
                    if n < about["order"]
                    else np.zeros(len(keys), np.float32)
                )
                levels.append(Level(keys, log_probs, backoffs))
            return NGram(about["characters"], levels, about["folds"])
    except FileNotFoundError:
        raise NetchuError(f"{path}: no such language model; train one: netchu language train") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error, AttributeError) as error:
        raise NetchuError(f"{path}: is damaged or no language model ({error}); train it again") from error


def _by_place(keys: Keys, shorter: Keys, bits: int) -> Keys:
    """Keys of format 1 as those of format 2; `shorter`: the keys of format 1 of the level before."""
    contexts, last = keys >> np.uint64(bits), unpack(keys, bits)[1]
    places = np.searchsorted(shorter, contexts)
    if not np.array_equal(shorter.take(places, mode="clip"), contexts):
        raise ValueError("an n-gram without its context")
    return pack(places, last, bits)
