"""The language model inside beam search: what appending a class adds to a prefix's score.

A character adds `weight` x its log-probability + `bonus`, and no probability counts as less than `SURPRISE`: a name
that no text held costs something, but not so much that a plain reading of it could not win. A word that holds a digit
adds nothing at all: what its letters had added before the digit came is taken back, so house numbers and ward numbers
keep their optical reading.
"""

from collections.abc import Sequence
from math import exp, log
from typing import cast

from netchu.core.charset import Charset
from netchu.language.ngram import END, UNSEEN, NGram
from netchu.language.ngram import State as Context

SURPRISE = 0.02  # is added to what is left of every probability

State = tuple[Context, float, bool]  # of the model; what the last word has added; whether that holds a digit


class LanguageScorer:
    """Joins a model to a charset; see `beam.Scorer`."""

    def __init__(self, model: NGram, charset: Charset, *, weight: float, bonus: float) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self._digits = {i for i, c in enumerate(charset.characters, 1) if c.isdigit()}
        self._space = charset.space or None  # None where the charset has none
        self._symbols = [-1, *(model.symbol(c) for c in charset.characters)]

    def start(self) -> State:
        """The state of the empty prefix."""
        return self.model.start(), 0.0, False

    def advance(self, state: object, label: int) -> tuple[State, float]:
        """(the state after one more class, what it adds)."""
        context, word, numeral = cast(State, state)
        context, log_prob = self._step(context, label)
        value = self.weight * log_prob + self.bonus
        if label == self._space:
            return (context, 0.0, False), value
        if numeral:
            return (context, 0.0, True), 0.0
        if label in self._digits:
            return (context, 0.0, True), -word
        return (context, word + value, False), value

    def features(self, sequence: Sequence[int]) -> tuple[float, int]:
        """(sum of log-probabilities, none far below log(SURPRISE), how many characters it is of): of all that counts in
        a text, the line's end included."""
        context = self.model.start()
        total, length = 0.0, 0
        word, letters, numeral = 0.0, 0, False
        for label in sequence:
            context, value = self._step(context, label)
            if label == self._space:
                total, length = total + word + value, length + letters + 1
                word, letters, numeral = 0.0, 0, False
            elif numeral or label in self._digits:
                word, letters, numeral = 0.0, 0, True
            else:
                word, letters = word + value, letters + 1
        return total + word + _dulled(self.model.step(context, END)[1]), length + letters

    def _step(self, context: Context, label: int) -> tuple[Context, float]:
        """The model's step by the character of a class, and what that character is worth."""
        symbol = self._symbols[label]
        context, value = self.model.step(context, symbol) if symbol >= 0 else ((), UNSEEN)
        return context, _dulled(value)


def _dulled(log_prob: float) -> float:
    """A log-probability with a floor that it nears smoothly."""
    return log((1 - SURPRISE) * exp(log_prob) + SURPRISE)
