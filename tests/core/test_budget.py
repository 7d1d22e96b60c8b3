"""The budget counts every file once and refuses with the numbers."""

from pathlib import Path

import pytest

from netchu.core import budget
from netchu.core.errors import NetchuError


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    paths[0].write_bytes(bytes(1_500_000))
    paths[1].write_bytes(bytes(1_000_001))
    return paths


def test_files_are_counted_once(files: list[Path]) -> None:
    sizes = budget.measure([*files, files[0]])
    assert sum(sizes.values()) == 2_500_001
    text = budget.table(sizes, 50)
    assert "1.500 MB  a.safetensors" in text
    assert "2.500 MB  total of 2 files, budget 50 MB" in text


def test_exactly_at_the_limit_passes_and_a_byte_more_does_not(files: list[Path]) -> None:
    sizes = budget.measure(files)
    budget.check(sizes, 2.500001)
    with pytest.raises(NetchuError, match=r"over budget: 2\.500 MB in 2 files, 2\.5 MB allowed"):
        budget.check(sizes, 2.5)
    budget.check(sizes)
