"""Read line images, or photographs of pages: netchu read IMAGE_OR_FOLDER..."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.files import write_text
from netchu.core.image_files import find_images
from netchu.core.images import read_image
from netchu.core.options import new_file, refuse_overwriting
from netchu.core.tables import csv_text
from netchu.reading.kept_answers import Answer
from netchu.reading.options import add_model_options, check_model_options
from netchu.reading.reader import Reader
from netchu.reading.submission import cores, describe, read_images, report_unread

FORMATS = ("text", "json", "csv", "alto")


def main() -> int:
    """Read what is named; print it, or write it to a file. Returns 1 when some images could not be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--page", action="store_true", help="the images are photographs of pages: find their lines")
    parser.add_argument(
        "--format", choices=FORMATS,
        help="text, json (one object a line), csv, or alto (XML of one page); default: text for one image, else csv",
    )  # fmt: skip
    parser.add_argument("--out", type=new_file, metavar="FILE", help="write it there instead of printing it")
    add_model_options(parser)
    args = parser.parse_args()
    check_model_options(args)

    alone = len(args.images) == 1
    images = [(path, name) for given in args.images for path, name in _named(given, alone=alone)]
    refuse_overwriting([args.out], [*(path for path, _ in images), *args.bundles, args.ensemble])
    form = args.format or ("text" if alone and args.images[0].is_file() else "csv")
    if form == "alto" and (not args.page or len(images) != 1):
        raise NetchuError("--format alto: is of one page; give --page and a single photograph")
    single = args.page or len(images) == 1
    reader = Reader(
        args.ensemble, bundles=args.bundles, decoder=args.decoder, engine=args.engine,
        threads=args.threads if single else 1,
    )  # fmt: skip
    if args.page:
        text, problems = _pages(reader, images, form)
    else:
        answers = read_images(images, reader.ensemble, workers=args.threads or cores(), quiet=len(images) == 1)
        text, problems = format_lines(answers, form), [answer.problem for answer in answers if answer.problem]
    status = report_unread(problems, len(images))
    if args.out:
        write_text(args.out, text)
        print(f"{args.out}: {len(images) - len(problems)} images read")
    else:
        sys.stdout.write(text)
    return status


def _named(given: Path, *, alone: bool) -> list[tuple[Path, str]]:
    """(file, id) of an image or of each image of a folder. Ids are relative to a folder that is given alone; those of
    several keep its name, since each may hold a 1.jpg."""
    if not given.is_dir() and not given.is_file():
        raise NetchuError(f"{given}: no such image or folder")
    root = given if alone and given.is_dir() else None
    return [(path, (path.relative_to(root) if root else path).as_posix()) for path in find_images(given)]


def format_lines(answers: Sequence[Answer], form: str) -> str:
    """Answers as `text`, one line each, as `json`, one object a line, or as `csv`: id, text, confidence, accept."""
    if form == "text":
        return "".join(f"{answer.text}\n" for answer in answers)
    if form == "json":
        return "".join(json.dumps(describe(answer), ensure_ascii=False) + "\n" for answer in answers)
    rows = []
    for a in answers:
        accept = "" if a.reading.accept is None else str(int(a.reading.accept))
        rows.append((a.id, a.text, f"{a.confidence:.4f}", accept))
    return csv_text(["id", "text", "confidence", "accept"], rows)


def _pages(reader: Reader, images: Sequence[tuple[Path, str]], form: str) -> tuple[str, list[str]]:
    """(the lines of photographed pages in a format, what went wrong with some pages)."""
    rows, problems = [], []
    for path, name in images:
        try:
            photo = read_image(path, page=True)
        except NetchuError as error:
            problems.append(str(error))
            continue
        lines = reader.read_page(photo)
        if form == "alto":
            from netchu.reading.alto import write_alto

            return write_alto(path.name, (photo.shape[1], photo.shape[0]), lines), problems
        rows += [line.to_dict(name) for line in lines]
    if form == "text":
        return "".join(f"{row['text']}\n" for row in rows), problems
    if form == "json":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), problems
    cells = [(row["page"], *row["box"], row["text"], f"{row['confidence']:.4f}") for row in rows]
    return csv_text(["page", "x0", "y0", "x1", "y1", "text", "confidence"], cells), problems
