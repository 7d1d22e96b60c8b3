"""What `make demo` shows first is read by the lean environment, which is made once."""

import re
import shutil
import subprocess
from pathlib import Path

from netchu.core.images import read_image
from netchu.reading.recipe import default_recipe
from netchu.release.vectors import load_vectors
from tests.support.commands import fresh, python
from tests.support.tiny import ROOT


def test_twelve_lines_are_read_and_drawn_without_the_extras(tmp_path: Path) -> None:
    picture = tmp_path / "new" / "lines.png"
    code = (
        "import runpy, sys\nsys.modules.update(dict.fromkeys(('torch', 'timm', 'PIL', 'matplotlib', 'pandas')))\n"
        f"sys.argv = ['first_lines.py', {str(picture)!r}]\n"
        f"runpy.run_path({str(ROOT / 'scripts/first_lines.py')!r}, run_name='__main__')"
    )
    done = fresh("-c", code)
    assert done.returncode == 0, done.stderr
    texts = [line.text for line in load_vectors(default_recipe().parent / "vectors.json")]
    assert re.findall(r"^ *\d+%  (.*?)(?:  \(wrong: .*\))?$", done.stdout, re.MULTILINE) == texts and len(texts) == 12
    drawn = read_image(picture)
    assert drawn.shape[0] > 12 * 60 and drawn.min() < 60 < 240 < drawn.max()


def test_a_picture_that_cannot_be_written_is_refused_before_the_reading(tmp_path: Path) -> None:
    for words, says in (((), "required: FILE.png"), ((".",), ".: is a folder"), (("a.xyz",), "no kind of picture")):
        done = python(ROOT / "scripts/first_lines.py", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "") and says in done.stderr and "Traceback" not in done.stderr


def test_the_lean_environment_comes_first_and_neither_is_made_twice(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def steps() -> str:
        asked = subprocess.run(["make", "--dry-run", "demo"], cwd=tmp_path, capture_output=True, text=True, check=True)
        return "".join(
            letter
            for line in asked.stdout.splitlines()
            for letter, sign in (("l", "--editable ."), ("1", "first_lines"), ("f", "--requirement"), ("t", "train.py"))
            if sign in line
        )

    assert steps() == "l1ft"
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/netchu").touch()
    assert steps() == "1ft"
    (tmp_path / ".venv/.installed").touch()
    assert steps() == "1t"
