"""`netchu check` finds what was planted, says it with pictures, and cleans without touching the source."""

import hashlib
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.data import check
from netchu.data.cleaning import clean, clean_label
from netchu.data.findings import KINDS, check_readings, find_all, has_errors
from netchu.data.image_facts import read_image_facts
from netchu.data.manifest import Line, assign_folds, read_lines, refuse_leaks, write_manifest
from netchu.data.near_duplicates import ALIKE, find_near_duplicates, sign
from netchu.data.table import read_labels_tsv
from tests.support.commands import assert_refused, netchu

CFG = Config(height=32, max_width=1024, width_stride=4)


@pytest.fixture
def planted(lines_folder: Path, tmp_path: Path) -> Path:
    """A manifest with one fault of each kind that needs no model."""
    shutil.copytree(lines_folder, tmp_path / "set")
    lines = assign_folds(read_labels_tsv(tmp_path / "set"), seed=0)
    image = lines[0].path.parent

    def change(number: int, **fields: object) -> None:
        lines[number] = replace(lines[number], **fields)  # type: ignore[arg-type]

    lines[1].path.unlink()
    lines[2].path.write_bytes(b"no image")
    change(3, text="")
    change(4, text="dài " * 200)
    change(5, text="Rất dài, mà hình thì hẹp, nên không vừa " * 2)
    change(6, text="Hue\u0302\u0301")
    change(7, text="\u00d0ắk\u200b Lắk")
    shutil.copy(lines[8].path, image / "copy.jpg")
    lines.append(replace(lines[8], path=image / "copy.jpg"))
    shutil.copy(lines[9].path, image / "other.jpg")
    lines.append(replace(lines[9], path=image / "other.jpg", text="Khác"))
    again = read_image(lines[10].path)
    lighter = np.clip(cv2.resize(again, None, fx=1.3, fy=1.3) * 0.9 + 20, 0, 255).astype(np.uint8)
    cv2.imwrite(str(image / "near.jpg"), lighter, [cv2.IMWRITE_JPEG_QUALITY, 60])
    lines.append(replace(lines[10], path=image / "near.jpg"))
    change(11, fold=(lines[12].fold + 1) % 5)
    shutil.copy(lines[20].path, image / "unlabelled.jpg")
    (image / "unlabelled.jpg").write_bytes(b"not opened")
    path = tmp_path / "train_folds.csv"
    write_manifest(path, lines)
    raw = path.read_text(encoding="utf-8")
    assert "Hue\u0302\u0301" in raw, "the label stands in the file as it was planted"
    return path


def test_every_planted_fault_is_found(planted: Path) -> None:
    lines = check.read_data(planted, "", planted.parent, ())
    findings = find_all(lines, read_image_facts(lines), CFG)
    counts = Counter(finding.kind for finding in findings)
    once = ("missing-image", "unreadable", "empty-label", "over-long", "too-narrow", "unlabelled", "not-nfc", "copy",
            "odd-character", "copy-other-label")  # fmt: skip
    assert {kind: counts[kind] for kind in once} == dict.fromkeys(once, 1)
    assert has_errors(findings)
    by_kind = {finding.kind: finding for finding in findings}
    assert "U+00D0 LATIN CAPITAL LETTER ETH" in by_kind["odd-character"].message
    assert "U+200B" in by_kind["odd-character"].message
    near = [{line.path.name for line in finding.lines} for finding in findings if finding.kind == "near-duplicate"]
    assert {lines[10].path.name, "near.jpg"} in near
    assert [f.message for f in findings if f.kind == "leak"] == [
        f"writer {lines[11].origin} is in folds {folds(lines)}"
    ]
    rare = [finding.message for finding in findings if finding.kind == "rare-character"]
    assert any("LETTER ETH: 1 in all" in message for message in rare)
    assert not any(message.startswith("'i'") for message in rare)


def folds(lines: list[Line]) -> list[int]:
    """Folds of the writer that was planted in two."""
    return sorted({lines[11].fold, lines[12].fold})


def test_sound_data_has_no_errors(manifest: Path) -> None:
    lines = read_lines(manifest)
    findings = find_all(lines, read_image_facts(lines), CFG)
    assert not has_errors(findings)
    assert {finding.kind for finding in findings} <= {"rare-character", "near-duplicate"}
    assert has_errors(findings, strict=True) == bool(findings)


def test_cleaned_manifest_is_sound_and_the_source_untouched(planted: Path) -> None:
    before = fingerprint(planted.parent)
    lines = check.read_data(planted, "", planted.parent, ())
    kept, dropped = clean(lines, find_all(lines, read_image_facts(lines), CFG))
    assert fingerprint(planted.parent) == before
    assert len(kept) + len(dropped) == len(lines)
    assert sorted(line.path.name for line, _ in dropped) == sorted(
        [*(lines[n].path.name for n in (1, 2, 3, 4, 9)), "copy.jpg", "other.jpg"]
    )
    texts = {line.text for line in kept}
    assert {"Huế", "Đắk Lắk"} <= texts
    again = find_all(kept, read_image_facts(kept), CFG)
    assert not has_errors(again)
    refuse_leaks(kept, planted)
    assert len({line.fold for line in kept if line.writer_id == lines[11].writer_id}) == 1


def test_what_was_made_from_a_writer_moves_with_him(planted: Path) -> None:
    lines = check.read_data(planted, "", planted.parent, ())
    split = next(line for line in lines if line.is_real and line.writer_id == lines[11].writer_id)
    moved = [replace(line, fold=(line.fold + 1) % 5) if line is split else line for line in lines]
    made = [replace(line, aug="aug", writer_id=line.origin) for line in moved if line.writer_id == split.writer_id]
    kept, _ = clean([*moved, *made], [])
    assert len({line.fold for line in made}) == 2
    assert len({line.fold for line in kept if split.origin in (line.writer_id, line.origin)}) == 1


def fingerprint(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder."""
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_a_row_that_stands_twice_is_kept_once(manifest: Path) -> None:
    lines = read_lines(manifest)
    lines.append(replace(lines[0]))
    kept, dropped = clean(lines, find_all(lines, read_image_facts(lines), CFG))
    assert kept == lines[:-1]
    assert [reason for _, reason in dropped] == [f"copy of {lines[0].path}"]


def test_lines_without_folds_get_some_and_nothing_left_is_an_error(lines_folder: Path) -> None:
    lines = read_labels_tsv(lines_folder)
    kept, _ = clean(lines, [])
    assert {line.fold for line in kept} == set(range(5))
    empty = [replace(lines[0], text="")]
    with pytest.raises(NetchuError, match="no line is left"):
        clean(empty, find_all(empty, read_image_facts(empty), CFG))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("Hue\u0302\u0301", "Huế"), ("\u00d0ắk\u00a0Lắk\u200b", "Đắk Lắk"), ("Hoà, hòa 5/3", "Hoà, hòa 5/3"), ("\t", "")],
)
def test_labels_are_cleaned_of_slips_only(text: str, cleaned: str) -> None:
    assert clean_label(text) == cleaned


def test_near_duplicates_are_the_same_writing_and_nothing_else(lines_folder: Path) -> None:
    images = [read_image(path) for path in sorted(lines_folder.rglob("*.jpg"))[:12]]
    smaller = [cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA) for image in images]
    changed = [np.clip(image * 0.8 + 30, 0, 255).astype(np.uint8) for image in smaller]
    pairs = {(i, j) for i, j, _ in find_near_duplicates([sign(image) for image in (*images, *changed)])}
    assert {(i, i + 12) for i in range(12)} <= pairs
    assert not any(j < 12 for _, j in pairs)
    assert list(find_near_duplicates([sign(images[0])])) == []
    assert 0.5 < ALIKE < 1


def test_labels_far_from_the_reading_come_worst_first(manifest: Path) -> None:
    lines = read_lines(manifest)[:4]
    answers = {lines[0].path: lines[0].text, lines[1].path: "", lines[2].path: lines[2].text[:-3]}
    found = check_readings(lines, answers)
    assert [finding.lines[0] for finding in found] == [lines[1], lines[2]]
    assert found[0].message == "read as: "


def test_the_command_prints_reports_and_exits_with_one(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, fixed = tmp_path / "check" / "report.html", tmp_path / "fixed.csv"
    arguments = ["check", str(planted), "--report", str(report), "--fix", str(fixed)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert re.search(r"error +1 image named but missing; first: .*1\.jpg", printed)
    assert "47 lines kept, 7 left out" not in printed
    assert "44 lines kept, 7 left out" in printed
    page = report.read_text(encoding="utf-8")
    assert all(f"id='{kind}'" in page for kind in KINDS if kind not in ("suspicious", "on-its-side"))
    assert page.count("data:image/jpeg;base64,") > 10
    assert not re.search(r"(src|href)='(?!data:|#)", page), "nothing is loaded from elsewhere"
    monkeypatch.setattr(sys, "argv", ["check", str(fixed), "--report", str(report)])
    assert check.main() == 0
    monkeypatch.setattr(sys, "argv", ["check", str(fixed), "--report", str(report), "--strict"])
    assert check.main() == 1
    monkeypatch.setattr(sys, "argv", ["check", str(planted), "--fix", str(planted)])
    with pytest.raises(NetchuError, match="would be lost; name another"):
        check.main()


def test_a_data_set_is_checked_in_its_own_layout_and_against_a_model(
    lines_folder: Path,
    tiny: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from netchu.training.engine import fit

    fit(replace(tiny, epochs=1))
    bundle = tiny.run_dir / "best.safetensors"
    arguments = ["check", str(lines_folder), "--bundles", str(bundle), "--report", str(tmp_path / "r.html")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert check.main() == 0
    assert re.search(r"warning +\d+ label far from what the model reads", capsys.readouterr().out)
    assert "width stride 4" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_path_that_is_no_data_is_one_line(tmp_path: Path) -> None:
    assert_refused(netchu("check", tmp_path), "is in no known layout")
