"""The size limit of a submission: the bytes of every file that inference opens, and the one place with the limit."""

from collections.abc import Iterable
from pathlib import Path

from netchu.core.errors import NetchuError

BUDGET_MB = 50.0  # Kalapa 2023: 50 MB of model files; counted here in 10^6 bytes, the stricter reading
MEGABYTE = 1_000_000


def measure(paths: Iterable[Path]) -> dict[Path, int]:
    """Size in bytes of each file, counted once; raises NetchuError for a file that is not there."""
    sizes: dict[Path, int] = {}
    for path in paths:
        if not path.is_file():
            raise NetchuError(
                f"{path}: no such file; give a bundle that train.py wrote (outputs/NAME/best.safetensors)"
            )
        sizes[path.resolve()] = path.stat().st_size
    return sizes


def table(sizes: dict[Path, int], budget_mb: float) -> str:
    """The files, their sizes, the sum and what is left of the budget, one a line."""
    total = sum(sizes.values())
    rows = [f"{size / MEGABYTE:9.3f} MB  {path.name}" for path, size in sizes.items()]
    rows.append(
        f"{total / MEGABYTE:9.3f} MB  total of {len(sizes)} files, budget {budget_mb:g} MB ({MEGABYTE:,} bytes each)"
    )
    return "\n".join(rows)


def check(sizes: dict[Path, int], budget_mb: float = BUDGET_MB) -> None:
    """Raise NetchuError with the numbers when the files are over the budget."""
    total = sum(sizes.values())
    if total > budget_mb * MEGABYTE:
        raise NetchuError(
            f"over budget: {total / MEGABYTE:.3f} MB in {len(sizes)} files, {budget_mb:g} MB allowed, "
            f"{total / MEGABYTE - budget_mb:.3f} MB too much; leave a bundle out or raise --budget-mb"
        )
