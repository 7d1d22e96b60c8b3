"""The command: every verb can be asked for help, which is quick and names no path of this machine."""

import re

import pytest

from netchu.cli import GROUPS, VERBS, help_text
from tests.support.commands import fresh, netchu
from tests.support.tiny import ROOT


def test_all_verbs_fit_one_screen() -> None:
    rows = help_text().splitlines()
    assert len(rows) <= 40 and max(map(len, rows)) <= 100
    assert all(any(f" {verb} " in f" {row} " for row in rows) for verb in VERBS)
    assert sum(map(len, GROUPS.values())) == len(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_whole_and_knows_no_machine(verb: str) -> None:
    done = netchu(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: netchu" in done.stdout
    assert str(ROOT) not in done.stdout and not re.search(r"/(home|root|Users)/", done.stdout)


def test_help_imports_no_pytorch() -> None:
    """Of all verbs, one after another in one process of its own."""
    code = (
        "import sys\nfrom netchu.cli import VERBS, main\n"
        "for verb in VERBS:\n    sys.argv = ['netchu', verb, '--help']\n"
        "    try:\n        main()\n    except SystemExit:\n        pass\n"
        "    assert not {'torch', 'pandas', 'timm', 'sklearn'} & set(sys.modules), verb"
    )
    done = fresh("-c", code)
    assert done.returncode == 0, done.stderr


def test_an_unknown_verb_is_one_line() -> None:
    done = netchu("selct")
    assert done.returncode == 2 and done.stderr == (
        "error: selct: no such verb; did you mean 'select'?; `netchu --help` lists them\n"
    )
