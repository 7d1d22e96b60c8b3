"""Read the twelve test vectors of the release and draw them: python scripts/first_lines.py FILE.png.

For who has just installed it: needs what reading needs, and no PyTorch.
"""

import sys
from pathlib import Path

from netchu import Reader
from netchu.core.errors import run_main
from netchu.reading.drawing import draw_samples
from netchu.reading.recipe import default_recipe
from netchu.release.vectors import load_vectors


def main() -> None:
    """Print each reading, then write the picture."""
    lines = load_vectors(default_recipe().parent / "vectors.json")
    readings = Reader().read([line.image for line in lines])
    for line, reading in zip(lines, readings, strict=True):
        wrong = "" if reading.text == line.label else f"  (wrong: {line.label})"
        print(f"{reading.confidence:4.0%}  {reading.text}{wrong}")
    picture = Path(sys.argv[1])
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_samples(picture, [v.image for v in lines], [r.text for r in readings], [v.label for v in lines])
    print(f"{picture}: the same lines with what was read")


if __name__ == "__main__":
    run_main(main)
