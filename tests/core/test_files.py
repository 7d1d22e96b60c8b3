"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder, atomic_path


def test_success_replaces_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    for text in ("one", "two"):
        with atomic_path(target) as temporary:
            temporary.write_text(text)
    assert target.read_text() == "two"
    assert list(target.parent.iterdir()) == [target]


def test_others_may_read_what_a_writer_put_in_the_temporarys_place(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)
    (tmp_path / "b.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_a_users_matter(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(NetchuError, match=r"a\.txt: cannot be written \(No space left"), atomic_path(target):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_not_said_to_be_the_written_one(tmp_path: Path) -> None:
    for writer in (atomic_path, atomic_folder):
        with pytest.raises(NetchuError, match=r"gone: cannot be read \(No such file.*; put it right"):  # noqa: SIM117
            with writer(tmp_path / "a.txt"):
                (tmp_path / "gone").read_text()
        with pytest.raises(NetchuError, match=r"a\.txt: cannot be written \(No such file"):  # noqa: SIM117
            with writer(tmp_path / "a.txt") as temporary:
                temporary.with_suffix(".beside").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="is a folder; name a file in it"), atomic_path(tmp_path):
        raise AssertionError("before any work")


def test_a_file_is_no_folder_to_replace(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with (
        pytest.raises(NetchuError, match=r"is a file\); choose another folder"),
        atomic_folder(tmp_path / "thesis.txt"),
    ):
        raise AssertionError("before any work")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
