"""netchu reads handwritten Vietnamese address lines.

`netchu.read("line.jpg").text`, or `netchu.Reader(...)` for another recipe, engine or number of threads. Both are
imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netchu.ctc.decoders import Reading as Reading
    from netchu.reading.reader import Reader as Reader
    from netchu.reading.reader import read as read

__version__ = "0.2.0"
__all__ = ["Reader", "Reading", "__version__", "read"]


def __getattr__(name: str) -> Any:
    """The public names, from where they are defined."""
    where = {"Reader": "netchu.reading.reader", "read": "netchu.reading.reader", "Reading": "netchu.ctc.decoders"}
    if name not in where:
        raise AttributeError(f"module 'netchu' has no attribute {name!r}")
    return getattr(import_module(where[name]), name)
