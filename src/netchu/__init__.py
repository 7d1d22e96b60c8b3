"""netchu reads handwritten Vietnamese address lines."""

__version__ = "0.2.0"
