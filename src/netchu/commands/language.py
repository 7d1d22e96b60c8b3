"""Command line of the language model: train it on texts and labels, measure it, turn it into ARPA and back.

netchu language train --texts synthetic/addresses.txt --manifest data/train_folds.csv --fold 0 --out data/lm_f0.nlm
"""

import argparse
import gzip
import zlib
from pathlib import Path

from netchu.core.config import ALL_DATA_FOLD
from netchu.core.errors import NetchuError
from netchu.core.options import add_number, add_options, new_file, refuse_idle, refuse_overwriting
from netchu.data.manifest import read_lines, split
from netchu.language.arpa import read_arpa, write_arpa
from netchu.language.mixture import mix
from netchu.language.ngram import load_ngram, save_ngram
from netchu.language.smoothing import CUTOFF, ORDER, train_ngram

REPEAT = 2  # how often a label counts beside a made-up address: less than CUTOFF, so long runs of one label stay out
LABEL_SHARE = 0.3  # of the mixture, that a model of the labels alone has


def read_texts(path: Path) -> list[str]:
    """The lines of a text file (plain or .gz); raises NetchuError when it cannot be read or is empty."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [line for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise NetchuError(
            f"{path}: no such file; make texts: python synthetic_data/gentext_address.py --out {path}"
        ) from None
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise NetchuError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    if not lines:
        raise NetchuError(f"{path}: holds no text")
    return lines


def train(args: argparse.Namespace) -> None:
    """Train on texts and on the labels of all folds but one."""
    texts = [text for path in args.texts for text in read_texts(path)]
    labels: list[str] = []
    held_out: list[str] = []
    folds: list[int] = []
    if args.manifest:
        used, kept_aside = split([line for line in read_lines(args.manifest) if line.is_real], args.fold)
        labels = [line.text for line in used]
        held_out = [line.text for line in kept_aside]
        folds = sorted({line.fold for line in used if line.fold >= 0})
    if not (texts or labels):
        raise NetchuError("nothing to train on; give --texts or --manifest")
    model = train_ngram(texts + labels * args.repeat, args.order, args.cutoff, folds)
    if texts and labels and args.label_share:
        own = train_ngram(labels, args.order, args.cutoff, folds, model.characters)
        model = mix(model, own, args.label_share)
    save_ngram(args.out, model)
    grams = sum(len(level.keys) for level in model.levels)
    print(f"{args.out}: {grams} n-grams up to {model.order} characters, {args.out.stat().st_size / 1e6:.3f} MB")
    if held_out:
        print(f"fold {args.fold}, left out: {model.bits_a_character(held_out):.3f} bits a character")


def main() -> None:
    """Read the arguments and run the sub-command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = training = commands.add_parser("train", help="texts and labels -> model")
    command.add_argument("--texts", type=Path, nargs="*", default=[], metavar="FILE", help="one text a line, or .gz")
    add_options(command, "--manifest", help="learn from the labels of its real lines too")
    add_number(
        command, "--fold", int, 0, ALL_DATA_FOLD, default=ALL_DATA_FOLD, help="whose labels are left out; 5: none"
    )
    add_number(command, "--repeat", int, 1, default=REPEAT, help="how often a label counts")
    add_number(
        command, "--label-share", float, 0, 0.9, default=LABEL_SHARE,
        help="share of a model of the labels alone, mixed with that of all texts",
    )  # fmt: skip
    add_number(command, "--order", int, 1, default=ORDER, help="characters of the longest n-gram")
    add_number(command, "--cutoff", int, 1, default=CUTOFF, help="long n-grams that occur less often are left out")
    command.add_argument("--out", type=new_file, required=True, metavar="FILE.nlm")
    command = commands.add_parser("export", help="model -> ARPA text")
    command.add_argument("model", type=Path)
    command.add_argument("--out", type=new_file, required=True, metavar="FILE.arpa")
    command = commands.add_parser("import", help="ARPA text of single characters -> model")
    command.add_argument("arpa", type=Path)
    command.add_argument("--out", type=new_file, required=True, metavar="FILE.nlm")
    command = commands.add_parser("measure", help="bits a character of texts")
    command.add_argument("model", type=Path)
    command.add_argument("--texts", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    if args.command == "train":
        if not args.manifest:
            refuse_idle(
                training, args, "--fold --repeat --label-share", "is of the labels of a manifest; give --manifest"
            )
        elif not args.texts:
            refuse_idle(training, args, "--label-share", "is mixed with what other texts say; give --texts")
        refuse_overwriting([args.out], [*args.texts, args.manifest])
        train(args)
    elif args.command == "export":
        refuse_overwriting([args.out], [args.model])
        write_arpa(args.out, load_ngram(args.model))
        print(f"{args.out}: written")
    elif args.command == "import":
        refuse_overwriting([args.out], [args.arpa])
        save_ngram(args.out, read_arpa(args.arpa))
        print(f"{args.out}: written")
    else:
        print(f"{load_ngram(args.model).bits_a_character(read_texts(args.texts)):.3f} bits a character")
