"""Bundles that read together: `python -m netchu.ensemble`, and `Ensemble` for programs of one's own.

Members are measured on lines that they never trained on, chosen within limits of bytes and time, written down as
ensemble.json, and opened as one recogniser.
"""

from netchu.ensemble.recogniser import Ensemble

__all__ = ["Ensemble"]
