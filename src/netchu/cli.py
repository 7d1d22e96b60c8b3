"""`netchu VERB ...`: one command; the table of its verbs, and the function that each one calls.

A verb's module is imported when the verb is asked for, so `netchu --help` imports nothing heavy.
"""

import sys
from importlib import import_module
from typing import NamedTuple

from netchu.core.errors import NetchuError, closest, run_main


class Verb(NamedTuple):
    """What a verb does in a phrase, and where its `main` lives; `shared`: several verbs have one parser there."""

    about: str
    module: str
    shared: bool = False


GROUPS: dict[str, dict[str, Verb]] = {
    "read": {
        "read": Verb("read line images or pages and print the texts", "netchu.commands.read"),
        "infer": Verb("read a folder of lines into a submission file", "netchu.commands.infer"),
        "cut-page": Verb("cut a photographed page into line images", "netchu.commands.cut_page"),
        "serve": Verb("the service with its web page, corrections and retraining", "netchu.serve.command"),
    },
    "data": {
        "prepare": Verb("turn data sets of any layout into manifests with folds", "netchu.commands.prepare"),
        "export-data": Verb("copy lines for PaddleOCR, Label Studio and others", "netchu.commands.export_data"),
        "check": Verb("look a data set or manifest over", "netchu.data.check"),
        "preview": Verb("draw a contact sheet of synthetic lines", "netchu.synthesis.preview"),
        "language": Verb("train, measure, export or import a language model", "netchu.commands.language"),
    },
    "train": {
        "train": Verb("train a run of configs/, or the runs of all folds", "netchu.commands.train"),
        "import-weights": Verb("weights of PP-OCRv6 as a bundle to start from", "netchu.commands.import_weights"),
        "slim": Verb("make a bundle of PP-OCRv6's network quicker", "netchu.commands.slim"),
        "trial": Verb("find the fastest settings, or the learning rate", "netchu.experiments.trial"),
        "tune": Verb("search over the fields of a config", "netchu.experiments.tune"),
        "runs": Verb("list runs, the best first", "netchu.experiments.runs"),
        "report": Verb("make one report about one run or several", "netchu.experiments.report"),
        "registry": Verb("keep bundles with their data, parents and figures", "netchu.experiments.registry"),
    },
    "ensemble": {
        "oof": Verb("read the lines that a bundle was not trained on", "netchu.selection.command", shared=True),
        "select": Verb("choose the best ensemble within limits", "netchu.selection.command", shared=True),
        "compare": Verb("compare ways of decoding and combining", "netchu.selection.command", shared=True),
        "soup": Verb("average bundles of one start", "netchu.selection.command", shared=True),
        "int8": Verb("store a bundle in half the bytes", "netchu.selection.command", shared=True),
    },
    "hand on": {
        "export": Verb("write ONNX, int8, TorchScript or ExecuTorch", "netchu.export.targets"),
        "release": Verb("copy an ensemble with card and vectors", "netchu.release.folder"),
        "figures": Verb("draw the pictures of a release", "netchu.release.figures"),
    },
}
VERBS = {name: verb for verbs in GROUPS.values() for name, verb in verbs.items()}


def help_text() -> str:
    """All verbs in groups, on one screen."""
    rows = ["usage: netchu VERB [options]; `netchu VERB --help` tells more", ""]
    for group, verbs in GROUPS.items():
        for i, (name, verb) in enumerate(verbs.items()):
            rows.append(f"{group if not i else '':10}{name:15}{verb.about}")
    return "\n".join(rows)


def main() -> int | None:
    """Call the verb of the command line with the arguments behind it."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(help_text())
        return 0
    if name == "--version":
        from netchu import __version__

        print(f"netchu {__version__}")
        return 0
    if name not in VERBS:
        raise NetchuError(f"{name}: no such verb{closest(name, VERBS)}; `netchu --help` lists them")
    verb = VERBS[name]
    sys.argv = ["netchu", *sys.argv[1:]] if verb.shared else [f"netchu {name}", *sys.argv[2:]]
    status: int | None = import_module(verb.module).main()
    return status


def run() -> None:
    """The console script."""
    run_main(main)
