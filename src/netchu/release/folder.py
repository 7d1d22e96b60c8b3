"""`netchu release`: an ensemble.json and everything that it opens -> a folder of its own, ready to commit.

The figures of a selection are out of fold: measured with bundles that were trained without the fold that they read.
What is released may be their refits, trained on every line: `--replace MEASURED.safetensors=RELEASED.safetensors`. The
folder appears whole, and only after the copy has read its own test vectors; until then an older release stays.
"""

import argparse
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from netchu.core.budget import BUDGET_MB, MEGABYTE, check, measure, table
from netchu.core.config import GEOMETRY, PATH, ROOT, differing, marked, portable_path
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder, hash_file, refuse_foreign_folder
from netchu.core.images import read_image
from netchu.core.options import add_number, add_options, new_folder, refuse_overwriting
from netchu.data.manifest import Line, read_lines
from netchu.model.bundle_file import read_arrays
from netchu.reading.recipe import RELEASE, Recipe, read_recipe, write_recipe
from netchu.release.card import write_card
from netchu.release.measured import ReleasedBundle
from netchu.release.vectors import MAX_DIFFERENCE, compare_engines, differences, make_vectors, open_exact, save_vectors
from netchu.selection.selection_table import selection_table_path

IN_PLACE = (ROOT / "pyproject.toml").is_file()  # whether this is the repository, and no installed copy
FOLDER = RELEASE.parent if IN_PLACE else Path("weights") / "release"  # the package's own, so that a wheel carries it
RECIPE, VECTORS, CARD, SELECTION_TABLE = "ensemble.json", "vectors.json", "MODEL_CARD.md", "ensemble_choices.csv"
OWN = ("*.safetensors", "*.nlm", "*.tsv", RECIPE, VECTORS, CARD, SELECTION_TABLE)  # patterns of what a release may hold
LARGEST_MB = 25.0  # a bundle stays under it, 10^6 bytes each


def release(
    recipe: Path,
    out: Path,
    *,
    lines: Path,
    manifests: Sequence[Path],
    replaced: Mapping[Path, Path] | None = None,
    budget_mb: float = BUDGET_MB,
    check_every: int = 1,
) -> Recipe:
    """Write the folder `out` and return the recipe in it. Each bundle gets a graph for onnxruntime where it has none.

    `lines`: synthetic lines for the test vectors; `manifests`: what the bundles were trained on, for the card;
    `replaced`: measured bundle -> the one that is released for it; `check_every`: of so many held-out lines one is read
    with both engines. Raises NetchuError for what cannot be opened, a replacement that is no refit, sizes over the
    limits, a copy that does not read its own vectors, or engines that do not read alike.
    """
    measured = read_recipe(recipe)
    chosen = swap(measured, replaced or {})
    refuse_foreign_folder(out, OWN)
    refuse_overwriting([out], [*measured.files, *chosen.files, lines, *manifests])
    with atomic_folder(out) as folder:
        copied = _copy(chosen, measured, folder)
        write_recipe(folder / RECIPE, copied)
        copied = read_recipe(folder / RECIPE)
        sizes = measure(copied.files)
        print(table(sizes, budget_mb))
        for path in copied.bundles:
            if path.stat().st_size >= LARGEST_MB * MEGABYTE:
                raise NetchuError(
                    f"{path.name}: {path.stat().st_size / MEGABYTE:.3f} MB, a released bundle stays under "
                    f"{LARGEST_MB:g} MB; make its int8 copy or leave it out"
                )
        check(sizes, budget_mb)
        vectors = make_vectors(lines, open_exact(chosen))
        save_vectors(folder / VECTORS, vectors)
        torch, onnx = (open_exact(copied, engine) for engine in ("torch", "onnx"))
        for ensemble in (torch, onnx):
            if wrong := differences(ensemble, vectors):
                raise NetchuError(f"{out}: the copy does not read its own vectors ({wrong[0]}); nothing was replaced")
        held_out = held_out_lines(manifests, measured)[::check_every]
        apart, wrong = compare_engines(
            torch, onnx,
            [*((f"vector {i}", partial(getattr, v, "image")) for i, v in enumerate(vectors, 1)),
             *((str(line.path), partial(read_image, line.path)) for line in held_out)],
        )  # fmt: skip
        if wrong or apart > MAX_DIFFERENCE:
            why = wrong[0] if wrong else f"log-probabilities are {apart:.1e} apart, {MAX_DIFFERENCE:g} is allowed"
            raise NetchuError(f"{out}: its engines do not read alike ({why}); nothing was replaced")
        print(f"engines: {len(vectors)} vectors and {len(held_out)} held-out lines read alike, within {apart:.1e}")
        if selection_table_path(recipe).is_file():
            shutil.copyfile(selection_table_path(recipe), folder / SELECTION_TABLE)
        pairs = dict(zip(copied.bundles, measured.bundles, strict=True))
        members = list(zip(copied.bundles, copied.all_stretches, strict=True))
        bundles = [
            ReleasedBundle(file, read_arrays(file)[1], read_arrays(refit)[1], tuple(s for b, s in members if b == file))
            for file, refit in pairs.items()
        ]
        write_card(folder / CARD, copied, bundles, vectors, manifests)
    print(f"{out}: {len(bundles)} bundles, {sum(sizes.values()) / MEGABYTE:.3f} MB, {len(vectors)} test vectors")
    return read_recipe(out / RECIPE)


def held_out_lines(manifests: Sequence[Path], measured: Recipe) -> list[Line]:
    """The real lines of the folds that an ensemble was measured on; of all folds when it does not say."""
    folds = (measured.measured or {}).get("folds")
    return [line for path in manifests for line in read_lines(path)
            if line.is_real and (folds is None or line.fold in folds)]  # fmt: skip


def swap(recipe: Recipe, replaced: Mapping[Path, Path]) -> Recipe:
    """The recipe with other bundles; raises NetchuError for one that it does not hold or that is of another kind."""
    by_path = {old.resolve(): new for old, new in replaced.items()}
    unknown = by_path.keys() - {path.resolve() for path in recipe.bundles}
    if unknown:
        names = ", ".join(map(str, recipe.bundles))
        raise NetchuError(f"--replace {sorted(unknown)[0]}: is no bundle of {recipe.path}; it holds {names}")
    for old, new in replaced.items():
        (_, before), (_, after) = read_arrays(old), read_arrays(new)
        wrong = differing(before["config"], after["config"], GEOMETRY)
        wrong += ["charset"] if before["charset"] != after["charset"] else []
        if wrong:
            raise NetchuError(f"{new}: its {wrong[0]} differs from that of {old}; release a refit of what was measured")
    return replace(recipe, bundles=tuple(by_path.get(path.resolve(), path) for path in recipe.bundles))


def portable(text: str) -> str:
    """The text, absolute paths cut to their last two parts (a folder: one), without the maker's machine."""
    return re.sub(r"(?<![\w.~/])/[^\s=,'\"]+", lambda match: portable_path(match[0]), text)


def _copy(chosen: Recipe, measured: Recipe, folder: Path) -> Recipe:
    """Copy all files under their released names; the recipe of the copies."""
    from netchu.model.bundle import read_stored, write_bundle  # PyTorch is not imported for --help
    from netchu.model.graph import add_graph

    names: dict[Path, Path] = {}  # one bundle may stand in a recipe more than once
    for path in chosen.bundles:
        if path.resolve() not in names:
            tensors, about = read_stored(path)
            config: dict[str, Any] = about["config"]
            stem = PurePosixPath(config.get("name") or "member").name  # a config of a subfolder has that in its name
            number = sum(copy.stem.rsplit("~", 1)[0] == stem for copy in names.values())
            names[path.resolve()] = folder / (f"{stem}~{number + 1}.safetensors" if number else f"{stem}.safetensors")
            config |= {key: portable_path(config.get(key, "")) for key in marked(PATH)}
            write_bundle(names[path.resolve()], tensors, about)
            add_graph(names[path.resolve()])
    language, places = (
        Path(shutil.copyfile(source, folder / name)) if source else None
        for source, name in ((chosen.language, "language.nlm"), (chosen.places, "places.tsv"))
    )
    pairs = zip(chosen.bundles, measured.bundles, strict=True)
    known = measured.measured or {}
    figures = {
        **known,
        "command": portable(known.get("command", "")),
        "measured_with": {names[new.resolve()].name: hash_file(old) for new, old in pairs},
    }
    return replace(
        chosen,
        bundles=tuple(names[path.resolve()] for path in chosen.bundles),
        language=language,
        places=places,
        measured=figures,
        path=None,
    )


def main() -> None:
    """Read the arguments and release."""
    parser = argparse.ArgumentParser(
        description="Copy everything that an ensemble opens into one folder, with model card and test vectors"
    )
    parser.add_argument("--ensemble", type=Path, default=Path("ensemble.json"), metavar="FILE.json")
    parser.add_argument("--lines", type=Path, required=True, metavar="DIR", help="synthetic lines for the test vectors")
    parser.add_argument(
        "--manifest", type=Path, nargs="+", required=True, metavar="FILE", help="what the bundles were trained on"
    )
    parser.add_argument(
        "--replace", action="append", default=[], metavar="OLD=NEW",
        help="release NEW, a refit, in place of the measured OLD",
    )  # fmt: skip
    add_options(parser, "--budget-mb")
    parser.add_argument("--out", type=new_folder, default=FOLDER, metavar="DIR")
    add_number(
        parser, "--check-every", int, 1,
        default=1, metavar="N", help="read one of N held-out lines with both engines; 1: all",
    )  # fmt: skip
    args = parser.parse_args()
    replaced = {}
    for pair in args.replace:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise NetchuError(f"--replace {pair}: expected OLD.safetensors=NEW.safetensors")
        replaced[Path(old)] = Path(new)
    release(
        args.ensemble, args.out, lines=args.lines, manifests=args.manifest, replaced=replaced, budget_mb=args.budget_mb,
        check_every=args.check_every,
    )  # fmt: skip
