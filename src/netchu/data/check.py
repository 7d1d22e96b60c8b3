"""Look a data set over: netchu check DATA [--bundles FILE ...] [--fix cleaned.csv].

DATA is a manifest, or a data set in any layout that prepare_ext_data.py reads. Prints a summary and writes an HTML
report with the images. The exit status is 0 when nothing is wrong, 1 when something is, 2 when DATA cannot be read.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from netchu.core.batches import in_chunks
from netchu.core.config import Config
from netchu.core.images import read_image
from netchu.core.options import add_options, configured, new_file, refuse_idle, refuse_overwriting
from netchu.core.tables import csv_header
from netchu.data.check_report import write_report
from netchu.data.cleaning import clean
from netchu.data.findings import KINDS, RARE, Finding, check_readings, find_all, has_errors
from netchu.data.image_facts import ImageFacts, read_image_facts
from netchu.data.importing import parse_columns
from netchu.data.layouts import READERS, find_sets
from netchu.data.manifest import REQUIRED, Line, read_raw_manifest, to_lines, write_manifest

CHUNK = 256  # lines read by the model at once


def read_data(path: Path, layout: str, images: Path, columns: Sequence[str]) -> list[Line]:
    """Lines of a manifest, or of the data sets at or below a path; labels as they stand in it, images unseen."""
    is_manifest = not layout and path.is_file() and set(REQUIRED) <= set(csv_header(path))
    named = parse_columns(columns, [] if is_manifest else [(layout, path)])
    if is_manifest:
        return to_lines(read_raw_manifest(path))
    return [
        line
        for name, folder in find_sets(path, layout)
        for line in READERS[name](folder, images=images, columns=named, raw=True)
    ]


def read_with(bundles: Sequence[Path], lines: Sequence[Line], image_facts: Sequence[ImageFacts]) -> dict[Path, str]:
    """What an ensemble reads in every image that can be opened."""
    from netchu.reading.ensemble import Ensemble  # with PyTorch, which nothing else here wants
    from netchu.reading.recipe import plain_recipe

    ensemble = Ensemble.from_recipe(plain_recipe(bundles))
    paths = [line.path for line, facts in zip(lines, image_facts, strict=True) if not facts.problem]
    answers: dict[Path, str] = {}
    for chosen in in_chunks(paths, CHUNK, "reading"):
        timed = ensemble.read([read_image(path) for path in chosen])
        answers |= {path: one.reading.text for path, one in zip(chosen, timed, strict=True)}
    return answers


def summarise(lines: Sequence[Line], findings: Sequence[Finding]) -> str:
    """The findings by kind, errors first, each with its first example."""
    counts = Counter(finding.kind for finding in findings)
    rows = [f"{len(lines)} lines, {len({line.origin for line in lines if line.writer_id})} writers"]
    for kind, about in KINDS.items():
        if counts[kind]:
            example = next(finding for finding in findings if finding.kind == kind)
            where = f" ({example.lines[0].path.name})" if example.lines else ""
            level = "error  " if about.error else "warning"
            rows.append(f"{level} {counts[kind]:6} {about.title}; first: {example.message[:80]}{where}")
    return "\n".join(rows if len(rows) > 1 else [*rows, "nothing found"])


def main() -> int:
    """Check, report, clean when asked; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--layout", choices=READERS, default="", help="where it cannot be detected")
    parser.add_argument("--columns", nargs="+", default=[], metavar="KEY=NAME", help="of a CSV: image=, text=, writer=")
    add_options(parser, "--config", help="whose height and width stride time steps are counted for")
    add_options(parser, "--configs")
    add_options(parser, "--bundles", default=[], help="labels far from what these read are doubted")
    parser.add_argument("--report", type=new_file, metavar="FILE.html", help="default: outputs/check/NAME.html")
    parser.add_argument("--fix", type=new_file, metavar="FILE.csv", help="write a clean manifest; DATA stays as it is")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    args = parser.parse_args()

    if not args.config:
        refuse_idle(parser, args, "--configs", "is where the config is looked for; name one with -C")
    report = args.report or new_file(f"outputs/check/{args.data.resolve().stem}.html")
    refuse_overwriting([report, args.fix], [args.data, *args.bundles])
    cfg = configured(args) if args.config else Config()
    if args.bundles and not args.config:
        from netchu.model.bundle import load_bundle

        cfg = load_bundle(args.bundles[0]).cfg
    lines = read_data(args.data, args.layout, report.parent / "images", args.columns)
    image_facts = read_image_facts(lines)
    findings = find_all(lines, image_facts, cfg)
    notes = [
        f"{len(lines)} lines of {args.data}.",
        f"Time steps are counted at {cfg.height} px and width stride {cfg.width_stride}; characters under {RARE} times "
        "are named.",
    ]
    if args.bundles:
        findings += check_readings(lines, read_with(args.bundles, lines, image_facts))
        notes.append(f"Labels were compared with what {', '.join(map(str, args.bundles))} reads.")
    write_report(report, f"Check of {args.data.name}", lines, image_facts, findings, cfg, notes)
    print(f"{summarise(lines, findings)}\n{report}: the whole report, with images")
    if args.fix:
        kept, dropped = clean(lines, findings)
        write_manifest(args.fix, kept)
        print(f"{args.fix}: {len(kept)} lines kept, {len(dropped)} left out")
        for line, reason in dropped:
            print(f"  {line.path}: {reason}")
    return int(has_errors(findings, strict=args.strict))
