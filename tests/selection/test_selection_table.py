"""What selection tried: one row a set of members, the same after reading it back, and drawn."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from netchu.core.errors import NetchuError
from netchu.data.frames import write_frame
from netchu.release.figures import draw_pareto
from netchu.selection.search import Choice, Limits, pareto, search
from netchu.selection.selection_table import (
    COLUMNS,
    read_selection_table,
    selection_rows,
    selection_table_path,
)
from tests.support.selecting import SETTINGS, make_lines


def row(members: str, mb: float, ms: float, cer: float, *, fits: bool = True, chosen: bool = False) -> pd.DataFrame:
    return pd.DataFrame([(mb, ms, cer, 1 - cer, 1 - cer / 2, fits, chosen, members)], columns=list(COLUMNS))


ROWS = pd.concat([
    row("a 0.50 + b 0.50", 9.0, 60.0, 0.02, chosen=True),
    row("a 1.00", 5.0, 40.0, 0.03),
    row("b 1.00", 4.0, 20.0, 0.05),
    row("c 1.00", 60.0, 10.0, 0.01, fits=False),
    row("a 0.50 + c 0.50", 8.0, 55.0, 0.04),
], ignore_index=True)  # fmt: skip


def test_each_set_of_members_is_one_row_with_its_best_weights() -> None:
    lines = make_lines(60)
    limits = Limits(sizes=(1_000_000, 2_000_000, 9_000_000), seconds=(0.01, 0.02, 0.03), max_bytes=4e6, max_seconds=1.0)
    found = search(lines, limits, SETTINGS)
    alone = [Choice(tuple(np.eye(3)[i].tolist()), 0.0) for i in range(3)]
    rows = selection_rows(found, alone, ["a", "b", "c"], lines, limits, SETTINGS)
    names = ["+".join(part.split()[0] for part in members.split(" + ")) for members in rows.members]
    assert sorted(names) == ["a", "a+b", "b", "c"]
    rows.index = pd.Index(names)
    assert rows.loc["a+b", ["mb", "ms_a_line"]].tolist() == [3.0, 30.0]
    assert rows.index[~rows.fits].tolist() == ["c"]
    assert rows[rows.chosen].kalapa_score.item() == pytest.approx(found[0].gain, abs=1e-6)
    assert rows[rows.chosen].kalapa_score.item() == rows[rows.fits].kalapa_score.max()


def test_the_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = selection_table_path(tmp_path / "best.json")
    write_frame(path, ROWS)
    assert path.name == "best_choices.csv"
    pd.testing.assert_frame_equal(read_selection_table(path), ROWS)


def test_broken_tables(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    with pytest.raises(NetchuError, match="no such selection table"):
        read_selection_table(path)
    head = ",".join(COLUMNS)
    for content, message in (
        ("mb\n1\n", "no column 'ms_a_line'"),
        (head, "has no rows"),
        (f"{head}\n1,1,much,1,1,True,True,a\n", ":2: cer is 'much'; expected a number"),
        (f"{head}\n1,1,1,1,1,yes,True,a\n", ":2: fits is 'yes'; expected True or False"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(NetchuError, match=message):
            read_selection_table(path)


def test_the_frontier_holds_what_nothing_cheaper_reads_as_well_as() -> None:

    def frontier(table: pd.DataFrame, cost: str) -> list[str]:
        rows = list(table[table.fits].itertuples())
        return [r.members for r in pareto(rows, lambda r: (getattr(r, cost),), lambda r: r.cer)]

    assert frontier(ROWS, "mb") == ["b 1.00", "a 1.00", "a 0.50 + b 0.50"]
    slower = row("d 1.00", 4.0, 90.0, 0.05)
    assert "d 1.00" not in frontier(pd.concat([ROWS, slower]), "ms_a_line")


def test_the_plot_shows_every_choice(tmp_path: Path) -> None:
    draw_pareto(tmp_path / "all.png", ROWS)
    draw_pareto(tmp_path / "fewer.png", ROWS[:-1])
    every, fewer = (cv2.imread(str(tmp_path / name)) for name in ("all.png", "fewer.png"))
    assert every is not None and fewer is not None
    red = (every == (0x11, 0x33, 0xCC)).all(axis=2)
    assert red.any(), "the chosen one is ringed"
    assert every.shape != fewer.shape or (every != fewer).any()
