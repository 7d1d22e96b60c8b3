"""The command: every verb can be asked for help, which is quick and names no path of this machine."""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from netchu.cli import GROUPS, VERBS, help_text, main
from netchu.core.errors import NetchuError, run_main
from netchu.core.options import Number, new_file
from netchu.synthesis import address_lines, poem_lines, recombined_lines
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


def parsers(module: str, *words: str) -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """The parser of a command, and those of its sub-commands, by the words that stand before their options."""
    with pytest.MonkeyPatch.context() as patch:
        found: list[argparse.ArgumentParser] = []

        def stop(parser: argparse.ArgumentParser, *_: object) -> None:
            found.append(parser)
            raise NetchuError("parsed")

        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(NetchuError, match="parsed"):
            import_module(module).main()
    below = [action for action in found[0]._actions if isinstance(action, argparse._SubParsersAction)]
    return {(*words, name): own for action in below for name, own in action.choices.items()} or {words: found[0]}


def options() -> Iterator[tuple[str, list[str], argparse.Action]]:
    """(module, words that a command wants anyway, option) of every command, sub-command and generator."""
    scripts = ("address_lines", "poem_lines", "recombined_lines", "address_texts")
    modules = sorted({verb.module for verb in VERBS.values()} | {f"netchu.synthesis.{name}" for name in scripts})
    for module in modules:
        for words, parser in parsers(module).items():
            needed = [*words]
            for action in parser._actions:
                if action.required:
                    value = str(next(iter(action.choices))) if action.choices else "missing"
                    needed += [*action.option_strings[-1:], value]
            for action in parser._actions:
                if action.option_strings:
                    yield module, needed, action


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("read a.jpg --decoder beam", "--decoder beam: is of --bundles"),
        ("infer --images a --decoder beam", "--decoder beam: is of --bundles"),
        ("language train --texts a --fold 1 --out a.nlm", "--fold 1: .*; give --manifest"),
        ("language train --texts a --repeat 3 --out a.nlm", "--repeat 3: .*; give --manifest"),
        ("language train --manifest a --label-share 0.5 --out a.nlm", "--label-share 0.5: .*; give --texts"),
        ("prepare a --hands 9", "--hands 9: .* --group-hands"),
        ("prepare --labels-tsv docs --columns text=x", "--columns text=x: is of CSV and parquet"),
        ("check docs/lines --layout pairs --columns text=x", "--columns text=x: is of CSV and parquet"),
        ("check a --configs b", "--configs b: .* with -C"),
        ("preview --out a.png --lines a --effects clean", "--effects clean: .*--lines"),
        ("preview --out a.png --lines a --fonts b", "--fonts b: .*--lines"),
        ("trial lr -C demo --seconds 1", "--seconds 1.0: is of netchu trial auto"),
        ("trial auto -C demo --batches 20", "--batches 20: is of netchu trial lr"),
        ("export a --to onnx --scheme static", "--scheme static: is of --to int8"),
        ("export a --to onnx --trained-on x", "--trained-on x: .*; give --package"),
        ("export a --to onnx --count 3", "--count 3: .*; give --manifest"),
        ("train -C demo --seed 1 --set seed=2", "--seed 1: --set says seed=2"),
        ("tune -C b0_192_f5 --fold 1 --set fold=2", "--fold 1: --set says fold=2"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, words: str, says: str) -> None:
    monkeypatch.setattr(sys, "argv", ["netchu", *words.split()])
    with pytest.raises(NetchuError, match=says):
        main()


@pytest.mark.parametrize(
    ("script", "words", "says"),
    [
        (address_lines, "--style kalapa --style-from a", "argument --style-from: not allowed with argument --style"),
        (poem_lines, "--jobs 1 --dask a", "argument --dask: not allowed with argument --jobs"),
        (recombined_lines, "--manifest a --folds 1 --recombine 0 --bundle b", "--bundle b: .*--recombine"),
    ],
)
def test_so_is_one_of_a_generator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: ModuleType, words: str, says: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["gendata.py", "--out", "none", *words.split()])
    with pytest.raises(SystemExit) as ended:
        run_main(script.main)
    assert ended.value.code == 2 and re.search(says, capsys.readouterr().err)


NUMBERS = ("nan", "inf", "-inf", "-2")  # which no command can use
OUTPUTS = ("--out", "--report", "--fix", "--draw", "--details", "--samples", "--package", "--write-lmdb")


@pytest.mark.parametrize("kind", ["numbers", "outputs"])
def test_what_no_command_can_use_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    """In a line, before anything is opened or written: a number that is none, a folder in a file's place, or the other
    way round."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    places = {".": ".: is a folder; name a file in it", "file/a": "file/a: cannot be written (file is a file); choose"}
    tried = set()
    for module, words, action in options():
        option = action.option_strings[-1]
        is_number = action.type in (int, float) or isinstance(action.type, Number)
        is_output = option in OUTPUTS or action.type is new_file
        values = NUMBERS if is_number else [*places][action.metavar == "DIR" :] if is_output else ()
        for value in values if is_number == (kind == "numbers") else ():
            monkeypatch.setattr(sys, "argv", ["netchu", *words, f"{option}={value}"])
            with pytest.raises((NetchuError, SystemExit)) as refused:
                import_module(module).main()
            said = str(refused.value) if isinstance(refused.value, NetchuError) else capsys.readouterr().err
            expected = (option, value) if kind == "numbers" else (places[value],)
            assert all(text in said for text in expected), (module, option, value, said)
            tried.add((module, *words, option))
    assert len(tried) > 15 and [path.name for path in tmp_path.iterdir()] == ["file"]
