"""Every command of the README and of docs/ runs, on a stand-in for the challenge's folders."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from netchu.core.errors import EXTRAS
from tests.support.checkout import SHRUNK
from tests.support.commands import python
from tests.support.tiny import ROOT

FIRST = ("README.md", "docs/data.md", "docs/training.md", "docs/ensembling.md", "docs/first_model.md")  # in this order
PAGES = [*FIRST, *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md") if f"docs/{p.name}" not in FIRST)]


def commands(page: str) -> list[str]:
    """Commands of a page's `sh` blocks, without their remarks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_fits_its_promise() -> None:
    assert commands("README.md")[:3] == [
        "make install",
        "netchu read docs/lines",
        "make demo",
    ]
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_whom_it_is_for(page: str) -> None:
    title, rest = (ROOT / page).read_text(encoding="utf-8").split("\n", 1)
    assert title.startswith("# ")
    assert len(rest.strip().split("\n\n")[0]) > 60, "its first paragraph"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, "synthetic_data/README.md", "benchmarks/README.md"])
def test_rows_of_a_table_have_as_many_cells_as_its_head(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, *rows = [re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()]
        assert set(rows) == {head}, table.splitlines()[0]


def test_every_picture_of_docs_is_shown() -> None:
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    shown = {Path(target).name for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", pages)}
    assert {path.name for path in (ROOT / "docs").glob("*.png")} == shown


@pytest.mark.parametrize("page", [*PAGES, "synthetic_data/README.md", "benchmarks/README.md"])
def test_modules_that_a_page_names_exist(page: str) -> None:
    folders = ("src", "tests", "benchmarks", "configs", "synthetic_data", "scripts")
    known = {path.name for folder in folders for path in (ROOT / folder).rglob("*.py")}
    known |= {path.name for path in ROOT.glob("*.py")}
    named = set(re.findall(r"\b([a-z]\w*\.py)\b", (ROOT / page).read_text(encoding="utf-8")))
    assert named - known == set()


def test_extras_that_are_named_exist() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    files = [ROOT / "synthetic_data" / "README.md", *(ROOT / page for page in PAGES)]
    files += [*(ROOT / "deploy").iterdir(), *(ROOT / "src").rglob("*.py")]
    named = {
        (extra, file.name)
        for file in files
        for extras in re.findall(r"'(?:netchu|\.)\[([a-z,]+)\]'", file.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert {name for extra, name in named if extra not in known} == set()
    assert set(EXTRAS.values()) <= set(known) and ("serve", "Dockerfile") in named


def test_commands_run_in_the_order_shown(checkout: Path) -> None:
    done: set[str] = set()
    for command in (command for page in PAGES for command in commands(page)):
        words = shlex.split(command)
        if words[0] == "make":
            dry = subprocess.run(["make", "--dry-run", words[1]], cwd=ROOT, capture_output=True, check=False)
            assert dry.returncode == 0, command
            continue
        assert words[0] in ("python", "netchu"), command
        if command in done:
            continue
        done.add(command)
        shrunk = [extra for script, extra in SHRUNK.items() if f"{script} " in f"{command} "]
        start = ["-m", "netchu"] if words[0] == "netchu" else []
        ended = python(*start, *words[1:], *(word for extra in shrunk for word in extra), cwd=checkout)
        assert ended.returncode == 0, f"{command}\n{ended.stderr[-2000:]}"
    assert (checkout / "submission.csv").is_file()
