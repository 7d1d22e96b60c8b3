"""Cut a photographed page into line images: netchu cut-page PAGE.jpg [--out DIR] [--draw FILE.png]."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.files import folder_for
from netchu.core.images import read_image
from netchu.core.options import new_file, new_folder, refuse_overwriting
from netchu.reading.drawing import check_picture, save_picture
from netchu.reading.pages import draw_lines, find_lines


def main() -> None:
    """Cut a page; write the lines and, when asked for, the page with its lines drawn in, all or nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", type=Path, metavar="PAGE.jpg")
    parser.add_argument("--out", type=new_folder, metavar="DIR", help="default: a folder beside the page, PAGE_lines")
    parser.add_argument("--draw", type=new_file, metavar="FILE.png", help="the page with the lines found")
    args = parser.parse_args()
    if args.draw:
        check_picture(args.draw, "--draw")
    photo = read_image(args.page, page=True)
    folder = args.out or new_folder(args.page.with_name(f"{args.page.stem}_lines"))
    if folder.is_dir() and (older := sorted(folder.glob("[0-9][0-9][0-9].png"))):
        raise NetchuError(f"{older[0]}: is a line of an earlier page; remove it and its like, or choose another --out")
    lines = find_lines(photo)
    if not lines:
        raise NetchuError(f"{args.page}: no writing was found; photograph the page closer, or in better light")
    paths = [folder / f"{number:03d}.png" for number in range(len(lines))]
    refuse_overwriting([*paths, args.draw], [args.page])
    with folder_for(paths[0]), ExitStack() as undone:  # a second try would refuse what one that fails leaves
        for path, line in zip(paths, lines, strict=True):
            undone.callback(path.unlink, missing_ok=True)
            save_picture(path, line.image)
        if args.draw:
            save_picture(args.draw, draw_lines(photo, lines))
        undone.pop_all()
    print(f"{folder}: {len(lines)} lines")
