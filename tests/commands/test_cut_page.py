"""netchu cut-page writes the lines of a page, or says why not."""

import errno
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.cli import main
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from tests.support.commands import fresh
from tests.support.forms import make_form


def test_the_command_writes_the_lines_or_says_why_not(tmp_path: Path) -> None:
    form = make_form("blank", 3, rows=3)
    cv2.imwrite(str(tmp_path / "page.jpg"), form.photo)
    program = ["-m", "netchu", "cut-page"]
    for words, says in (
        (["."], ".: image cannot be read"),
        (["page.jpg", "--draw", "."], ".: is a folder; name a file in it"),
        (["page.jpg", "--draw", "a.xyz"], "--draw a.xyz: no kind of picture ends in .xyz; name it .png"),
        (["page.jpg", "--draw", "page.jpg"], "page.jpg: is among what this command reads or writes"),
        (["page.jpg", "--draw", "page_lines/001.png"], "001.png: is among what this command reads or writes"),
    ):
        done = fresh(*program, *words, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["page.jpg"], "no line is left to be refused next time"
    command = [*program, tmp_path / "page.jpg", "--draw", tmp_path / "drawn.jpg"]
    done = fresh(*command)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in sorted((tmp_path / "page_lines").iterdir())] == ["000.png", "001.png", "002.png"]
    assert read_image(tmp_path / "drawn.jpg").shape == form.photo.shape
    assert (tmp_path / "drawn.jpg").read_bytes().startswith(b"\xff\xd8"), "it is what its name says"
    done = fresh(*command)
    assert done.returncode == 2 and "000.png: is a line of an earlier page" in done.stderr
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((300, 300), 230, np.uint8))
    done = fresh(*program, tmp_path / "empty.png")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no writing was found" in done.stderr
    assert not (tmp_path / "empty_lines").exists()


@pytest.mark.parametrize("whole", [2, 3])
def test_lines_on_a_full_disk_go_again(whole: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many whole ones, the last of three or the picture of the page fails; the next try is not refused."""
    cv2.imwrite(str(tmp_path / "page.jpg"), make_form("blank", 3, rows=3).photo)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    write, count = Path.write_bytes, 0

    def fill(path: Path, data: bytes) -> int:
        nonlocal count
        count += 1
        if count > whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    def cut(out: str) -> None:
        words = [str(tmp_path / "page.jpg"), "--out", str(tmp_path / out), "--draw", str(tmp_path / "drawn.png")]
        monkeypatch.setattr(sys, "argv", ["netchu", "cut-page", *words])
        main()

    for out in ("new/lines", "mine"):
        count = 0
        with monkeypatch.context() as full, pytest.raises(NetchuError, match="No space left"):
            full.setattr(Path, "write_bytes", fill)
            cut(out)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "notes.txt", "page.jpg"]
    cut("mine")
    assert len(list((tmp_path / "mine").glob("*.png"))) == 3 and (tmp_path / "drawn.png").is_file()


def test_lines_have_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in its place is said before the picture of the page is written."""
    cv2.imwrite(str(tmp_path / "page.jpg"), make_form("blank", 3, rows=3).photo)
    (tmp_path / "page_lines").touch()
    words = [str(tmp_path / "page.jpg"), "--draw", str(tmp_path / "drawn.png")]
    monkeypatch.setattr(sys, "argv", ["netchu", "cut-page", *words])
    with pytest.raises(NetchuError, match=r"page_lines: cannot be written \(.*page_lines is a file\)"):
        main()
    assert not (tmp_path / "drawn.png").exists()
