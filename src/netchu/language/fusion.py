"""The language model inside beam search: what appending a class adds to a prefix's score.

A character adds `weight` x its log-probability + `bonus`. A word that holds a digit adds nothing at all: what its
letters had added before the digit came is taken back, so house numbers and ward numbers keep their optical reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netchu.core.charset import BLANK, Charset
from netchu.ctc.beam import Row
from netchu.language.ngram import END, START, UNSEEN, NGram

CACHE = 20_000  # contexts whose rows are kept in memory


@dataclass(frozen=True, slots=True)
class State:
    """A prefix as the model sees it: its last symbols, what its last word has added, whether that holds a digit."""

    context: tuple[int, ...]
    word: float = 0.0
    numeral: bool = False


class LanguageScorer:
    """Joins a model to a charset; see `beam.Scorer`."""

    def __init__(self, model: NGram, charset: Charset, *, weight: float, bonus: float) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self.classes, self._keep = len(charset), model.order - 1
        self._digits = np.array([i for i, c in enumerate(charset.characters, 1) if c.isdigit()], np.int64)
        self._is_digit = np.zeros(len(charset), bool)
        self._is_digit[self._digits] = True
        self._space = charset.characters.find(" ") + 1  # BLANK where the charset has none
        symbols = np.array([-1, *(model.symbol(c) for c in charset.characters)])
        self._symbols: list[int] = symbols.tolist()
        self._known = np.flatnonzero(symbols >= 0)
        self._places = symbols[self._known]
        self._rows: dict[tuple[int, ...], Row] = {}

    def start(self) -> State:
        """The state of the empty prefix."""
        return State((START,))

    def advance(self, state: object, label: int) -> State:
        """The state after one more class."""
        assert isinstance(state, State)
        symbol = self._symbols[label]
        context = (*state.context, symbol)[-self._keep :] if symbol >= 0 and self._keep else ()
        if label == self._space and label != BLANK:
            return State(context)
        if state.numeral or self._is_digit[label]:
            return State(context, numeral=True)
        return State(context, word=state.word + float(self._row(state.context)[label]))

    def row(self, state: object) -> Row:
        """(C,): what appending each class adds."""
        assert isinstance(state, State)
        plain = self._row(state.context)
        if state.numeral:
            row = np.zeros(self.classes, np.float32)
            row[self._space] = plain[self._space]
        else:
            row = plain.copy()
            row[self._digits] = -state.word
        return row

    def score(self, sequence: Sequence[int]) -> float:
        """What a whole text adds, the line's end included."""
        log_prob, length = self.features(sequence)
        return self.weight * log_prob + self.bonus * length

    def features(self, sequence: Sequence[int]) -> tuple[float, int]:
        """(log-probability, how many characters it is of): of all that counts in a text, the line's end included."""
        context: tuple[int, ...] = (START,)
        total, length = 0.0, 0
        word, letters, numeral = 0.0, 0, False
        for label in sequence:
            symbol = self._symbols[label]
            value = float(self.model.distribution(context)[symbol]) if symbol >= 0 else UNSEEN
            context = (*context, symbol)[-self._keep :] if symbol >= 0 and self._keep else ()
            if label == self._space:
                total, length = total + word + value, length + letters + 1
                word, letters, numeral = 0.0, 0, False
            elif numeral or self._is_digit[label]:
                word, letters, numeral = 0.0, 0, True
            else:
                word, letters = word + value, letters + 1
        return total + word + float(self.model.distribution(context)[END]), length + letters

    def _row(self, context: tuple[int, ...]) -> Row:
        """(C,) of a context, digits not treated yet."""
        known = self._rows.get(context)
        if known is None:
            if len(self._rows) >= CACHE:
                self._rows.clear()
            known = np.full(self.classes, self.weight * UNSEEN + self.bonus, np.float32)
            known[self._known] = self.weight * self.model.distribution(context)[self._places] + self.bonus
            self._rows[context] = known
        return known
