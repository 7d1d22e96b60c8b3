"""Kinds of mistakes, and the page about runs."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.experiments.analysis import by_length, by_writer, confusions, count_kinds, kind_of, worst
from netchu.experiments.report import read_finished, write_report
from netchu.training.engine import fit


def answered(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """A table of (label, answer, writer)."""
    table = pd.DataFrame(rows, columns=["text", "answer", "writer_id"])
    return table.assign(img_path="a.png", source="kalapa", confidence=0.5)


@pytest.mark.parametrize(
    ("there", "read", "kind"),
    [
        ("a", "o", "letter"), ("ộ", "ô", "mark"), ("Đ", "D", "mark"), ("đ", "D", "mark"), ("P", "p", "case"),
        ("Ộ", "ộ", "case"), ("8", "6", "digit"), ("0", "o", "digit"), (" ", "", "space"), ("", " ", "space"),
        ("h", "", "missing"), ("", "h", "added"),
    ],
)  # fmt: skip
def test_kinds(there: str, read: str, kind: str) -> None:
    assert kind_of(there, read) == kind


def test_confusions_count_what_was_read_for_what() -> None:
    counts = confusions(answered(("Hà Nội", "Hà Nôi", ""), ("Tp Huế", "TpHuế", ""), ("ab", "abc", "")))
    assert counts == {("ộ", "ô"): 1, (" ", ""): 1, ("", "c"): 1}
    assert count_kinds(counts) == {"mark": 1, "space": 1, "added": 1}


def test_groups() -> None:
    lines = answered(("a" * 10, "a" * 10, "1"), ("b" * 60, "c" * 60, "2"), ("", "", "1"), ("NA", "NA", ""))
    assert {name: scores.lines for name, scores in by_length(lines).items()} == {"0 to 20": 3, "over 50": 1}
    writers = by_writer(lines)
    assert list(writers) == ["kalapa 2", "kalapa 1"] and writers["kalapa 1"].cer == 0
    assert worst(lines, 5).edits.to_dict() == {1: 60}


def test_the_page_holds_everything(tiny: Config, tmp_path: Path) -> None:
    runs = [tiny, replace(tiny, name="other_f5", fold=5, lr=1e-3)]
    for cfg in runs:
        fit(cfg)
    out = tmp_path / "report.html"
    write_report(out, [read_finished(cfg.run_dir) for cfg in runs])
    text = out.read_text(encoding="utf-8")
    assert "http" not in re.sub(r"base64,[^']*", "", text)
    wrong = list(csv.DictReader((tiny.run_dir / "valid.csv").open(encoding="utf-8")))
    assert text.count("data:image/jpeg") == sum(row["text"] != row["answer"] for row in wrong)
    for expected in ("tiny_f0", "trained on every line", "kalapa_score", "Writers, the worst first", "<td>0.001</td>"):
        assert expected in text


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="is not the folder of a run"):
        read_finished(tmp_path)
