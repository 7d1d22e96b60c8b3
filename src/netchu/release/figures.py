"""`netchu figures`: the README's two pictures of a release.

`readings.png`: its test vectors, synthetic lines with what the release reads in them. `pareto.png`: everything that
the selection tried, error against size and against time, the best at each cost joined by a line.
"""

import argparse
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from netchu.core.files import atomic_path
from netchu.core.options import new_folder
from netchu.reading.drawing import draw_samples
from netchu.reading.recipe import default_recipe
from netchu.release.folder import SELECTION_TABLE, VECTORS
from netchu.release.vectors import load_vectors
from netchu.selection.search import pareto
from netchu.selection.selection_table import read_selection_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

AXES = (("mb", "MB of all files"), ("ms_a_line", "ms a line, one at a time"))
COLOURS = ("#4477aa", "#ee7733", "#009988", "#aa3377")  # by members: 1, 2, 3, more


def draw_pareto(path: Path, rows: "pd.DataFrame") -> None:
    """Draw CER over MB and over ms a line; choices over the limits are hollow, the chosen one is ringed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    for axis, (cost, title) in zip(figure.subplots(1, 2, sharey=True), AXES, strict=True):
        _draw_panel(axis, rows, cost)
        axis.margins(0.1)
        axis.set(xlabel=title, xlim=(0, None))
        axis.grid(alpha=0.3)
    figure.axes[0].set(ylabel="CER %, lines that no member was trained on")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(COLOURS) + 1)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _draw_panel(axis: "Axes", table: "pd.DataFrame", cost: str) -> None:
    """Points by number of members, the frontier, and names of the single members on it."""
    table = table.assign(voters=table.members.str.count(r" \+ ") + 1, percent=100 * table.cer)
    rows = list(table.itertuples(index=False))
    best = pareto([c for c in rows if c.fits], lambda row: (getattr(row, cost),), attrgetter("cer"))
    axis.plot(
        [getattr(c, cost) for c in best], [c.percent for c in best], drawstyle="steps-post", color="#bbbbbb", zorder=1
    )
    for count, colour in enumerate(COLOURS, 1):
        for fits in (True, False):
            shown = table[(table.voters.clip(upper=len(COLOURS)) == count) & (table.fits == fits)]
            name = f"{count}{' or more' if count == len(COLOURS) else ''} member{'s' * (count > 1)}"
            axis.scatter(
                shown[cost], shown.percent, s=26, edgecolors=colour, facecolors=colour if fits else "none",
                label=name if len(shown) and fits else None, zorder=2,
            )  # fmt: skip
    for row in rows:
        place = (getattr(row, cost), row.percent)
        if row.chosen:
            name = f"chosen: {place[1]:.2f} %, {row.mb:.1f} MB, {row.ms_a_line:.0f} ms"
            axis.scatter(*place, s=150, facecolors="none", edgecolors="#cc3311", label=name, zorder=3)
        elif row.voters == 1 and row in best:
            name = row.members.split()[0]
            axis.annotate(name, place, (7, 3), textcoords="offset points", fontsize=8, color="#555555")


def main() -> None:
    """Read the arguments and draw both pictures."""
    parser = argparse.ArgumentParser(description="The README's pictures of a release")
    parser.add_argument("--release", type=Path, metavar="DIR", help="released folder; by default the package's")
    parser.add_argument("--out", type=new_folder, default="docs", metavar="DIR")
    args = parser.parse_args()
    folder = args.release or default_recipe().parent
    lines, rows = load_vectors(folder / VECTORS), read_selection_table(folder / SELECTION_TABLE)
    draw_samples(args.out / "readings.png", *([getattr(v, key) for v in lines] for key in ("image", "text", "label")))
    draw_pareto(args.out / "pareto.png", rows)
    print(f"{args.out / 'readings.png'}\n{args.out / 'pareto.png'}")
