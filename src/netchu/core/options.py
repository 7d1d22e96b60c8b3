"""Options that several commands have, each declared once: a name means one thing everywhere."""

import argparse
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from netchu.core.budget import BUDGET_MB
from netchu.core.config import ROOT, SEEDS, Config, load_config
from netchu.core.errors import NetchuError
from netchu.core.files import refuse_unwritable


class Number:
    """The type of an option that takes a number: whole or not (`kind`), finite, and from `least` to `most`."""

    def __init__(self, option: str, kind: type[int] | type[float], least: float, most: float = math.inf) -> None:
        self.option, self.kind, self.least, self.most = option, kind, least, most

    def __call__(self, text: str) -> float:
        """The number that a user wrote; raises NetchuError, one line that says what is expected, for another text."""
        try:
            value = self.kind(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most or value == math.inf:
            which = "a whole number" if self.kind is int else "a number"
            least, most = f"{self.least:g}", f"{self.most:.12g}"
            allowed = f"of {least} or more" if self.most == math.inf else f"from {least} to {most}"
            raise NetchuError(f"{self.option} {text}: expected {which} {allowed}")
        return value


def new_file(text: str | Path) -> Path:
    """The type of an option that names a file to write; raises NetchuError, before any work, when it cannot be."""
    path = Path(text)
    refuse_unwritable(path)
    return path


def new_folder(text: str | Path) -> Path:
    """The same of a folder to write in or to replace."""
    path = Path(text)
    refuse_unwritable(path, folder=True)
    return path


def refuse_overwriting(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise NetchuError, before anything is written, when an output is read as well, or is another output: one would be
    lost. A folder that is read stands for the files in it but reports (.html), one that is written for all in it."""
    read = [path for path in inputs if path]
    taken = {_identity(path) for path in read}
    folders = {_place(path) for path in read if os.path.isdir(path)}  # noqa: PTH112  # pathlib raises for a long name
    for path in (path for path in outputs if path):
        own, place = _identity(path), _place(path)
        loses = path.is_dir() and any(place in _place(other).parents for other in read)
        if own in taken or loses or (path.is_file() and path.suffix != ".html" and {*place.parents} & folders):
            raise NetchuError(f"{path}: is among what this command reads or writes, and would be lost; name another")
        taken.add(own)


def _place(path: Path) -> Path:
    """Where a path leads to, past all links."""
    return Path(os.path.realpath(path))


def _identity(path: Path) -> object:
    """What all names of a file have in common: links of both kinds, and other cases where these make no difference."""
    try:
        found = path.stat()
    except OSError:
        return _place(path)
    return found.st_dev, found.st_ino


def refuse_idle(parser: argparse.ArgumentParser, args: argparse.Namespace, options: str, why: str) -> None:
    """Raise NetchuError for the first of some options that was given where it would do nothing; `why`: what it is of,
    and the remedy."""
    for option in options.split():
        name = option.strip("-").replace("-", "_")
        if (given := getattr(args, name)) != parser.get_default(name):
            raise NetchuError(f"{option} {given}: {why}")


def add_number(
    parser: argparse._ActionsContainer,
    option: str,
    kind: type[int] | type[float],
    least: float,
    most: float = math.inf,
    **keywords: Any,
) -> None:
    """Give a parser an option that takes a number from `least` to `most`, see `Number`."""
    parser.add_argument(option, type=Number(option, kind, least, most), **keywords)


OPTIONS: dict[str, dict[str, Any]] = {
    "--config": {"metavar": "NAME", "help": "a file of the folder of configs, without .py"},
    "--configs": {"type": Path, "metavar": "DIR", "help": "folder of configs; default: configs/ here, or the packaged"},
    "--set": {"nargs": "+", "action": "extend", "default": [], "metavar": "key=value", "help": "fields of the config"},
    "--seed": {
        "type": Number("--seed", int, 0, SEEDS - 1), "default": 0, "help": "the same seed gives the same result",
    },
    "--manifest": {"type": Path, "metavar": "FILE.csv", "help": "lines with texts and folds, from netchu prepare"},
    "--bundles": {"type": Path, "nargs": "+", "metavar": "FILE", "help": "bundles, each a .safetensors file"},
    "--budget-mb": {
        "type": Number("--budget-mb", float, 0), "default": BUDGET_MB,
        "help": "limit on all files opened, 10^6 bytes each",
    },
    "--language": {"type": Path, "metavar": "FILE.nlm", "help": "n-gram model that the ensemble opens"},
    "--held-out-language": {
        "type": Path, "nargs": "*", "default": [], "metavar": "FILE.nlm",
        "help": "models that left a fold's labels out, to measure that fold with",
    },
    "--places": {"type": Path, "metavar": "FILE.tsv", "help": "gazetteer: province, district and ward in a row"},
    "--oof": {
        "nargs": "+", "required": True, "metavar": "RUN|BUNDLE=OOF,OOF",
        "help": "members: run folders (best.safetensors, oof.npz), or a bundle and its out-of-fold files",
    },
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser, *names: str, **changes: Any) -> None:
    """Give a parser some of OPTIONS; `changes` of their keywords, such as `required` or a more precise `help`, are for
    all that are named."""
    for name in names:
        flags = ("-C", name) if name == "--config" else (name,)
        parser.add_argument(*flags, **{**OPTIONS[name], **changes})


def configured(args: argparse.Namespace, **choices: Any) -> Config:
    """The config that `--config`, `--configs` and `--set` name; `choices` as in `load_config`."""
    here = Path("configs")
    folder = args.configs or (here if here.is_dir() else ROOT / "configs")
    return load_config(args.config, overrides=getattr(args, "set", ()), folder=folder, **choices)
