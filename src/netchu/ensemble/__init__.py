"""Bundles that read together: `python -m netchu.ensemble`, and `Ensemble` for programs of one's own.

Members are measured on lines that they never trained on, chosen within limits of bytes and time, written down as
ensemble.json, and opened as one recogniser. `Ensemble` is imported when it is first asked for, and PyTorch with it:
recipes and choices can be read without.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netchu.ensemble.recogniser import Ensemble

__all__ = ["Ensemble"]


def __getattr__(name: str) -> Any:
    """`Ensemble`, late."""
    if name != "Ensemble":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from netchu.ensemble.recogniser import Ensemble

    return Ensemble
