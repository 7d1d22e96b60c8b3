"""The table of contestants that were measured in turns, and the memory of a process."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def memory_mb(process: int | str = "self") -> float:
    """Resident memory of a process, 10^6 bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def print_rates(rates: Mapping[str, Sequence[float]], head: str, relate: Callable[[float], str]) -> None:
    """Print median, least and largest lines a second of each contestant, and under `head` what `relate` says of its
    median."""
    name_width = max(26, *(len(name) + 2 for name in rates))
    print(f"{'':{name_width}}{'lines/s':>9}{'min':>8}{'max':>8}{head:>12}")
    for name, measured in rates.items():
        median = statistics.median(measured)
        print(f"{name:{name_width}}{median:9.2f}{min(measured):8.2f}{max(measured):8.2f}{relate(median):>12}")
