"""Read the twelve test vectors of the release and draw them: python scripts/first_lines.py FILE.png.

For who has just installed it: needs what reading needs, and no PyTorch.
"""

import argparse

from netchu import Reader
from netchu.core.errors import run_main
from netchu.core.options import new_file
from netchu.reading.drawing import check_picture, draw_samples
from netchu.reading.recipe import default_recipe
from netchu.release.vectors import load_vectors


def main() -> None:
    """Print each reading, then write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("picture", type=new_file, metavar="FILE.png")
    picture = parser.parse_args().picture
    check_picture(picture, "picture")
    lines = load_vectors(default_recipe().parent / "vectors.json")
    readings = Reader().read([line.image for line in lines])
    for line, reading in zip(lines, readings, strict=True):
        wrong = "" if reading.text == line.label else f"  (wrong: {line.label})"
        print(f"{reading.confidence:4.0%}  {reading.text}{wrong}")
    draw_samples(picture, [v.image for v in lines], [r.text for r in readings], [v.label for v in lines])
    print(f"{picture}: the same lines with what was read")


if __name__ == "__main__":
    run_main(main)
