"""Data sets as people have them: odd names, cells, encodings, files beside the set, receipts on their side."""

import csv
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.image_files import find_images
from netchu.core.images import read_image
from netchu.core.tables import plain_label
from netchu.data.findings import find_all
from netchu.data.image_facts import read_image_facts
from netchu.data.importing import read_sources
from netchu.data.layouts import READERS, find_sets
from netchu.data.manifest import Line, read_lines, write_manifest
from tests.support.commands import run

PNG = cv2.imencode(".png", np.full((20, 90), 200, np.uint8))[1].tobytes()


def put(folder: Path, *names: str) -> None:
    """Images of those names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)


def task(image: str, text: str) -> dict[str, object]:
    """A task of Label Studio with one accepted text."""
    result = {"type": "textarea", "value": {"text": [text]}}
    return {"data": {"image": image}, "annotations": [{"result": [result]}]}


def read(path: Path, layout: str = "") -> list[tuple[str, str]]:
    """(image's name, label) of the lines of a data set."""
    lines = read_sources([(layout, path)], path / "out", {})
    return [(line.path.name, line.text) for line in lines]


@pytest.mark.parametrize(
    ("layout", "name", "row"),
    [
        ("path-text", "gt.txt", "0.png\tSố 12\tLê Lợi, Huế\n"),
        ("kalapa", "annotations/7.txt", "7/0.png\tSố 12\tLê Lợi, Huế\n"),
        ("labels-tsv", "labels.tsv", "0.png\tHuế\n1.png\tSố 12\tLê Lợi\n"),
        ("labels-tsv", "labels.tsv", "0.png\tSố 12\tLê Lợi\t7\n"),
        ("path-text", "GT.TXT", "0.png\tHuế\n1.png\tSố 12\tLê Lợi\n"),
    ],
)
def test_a_tab_inside_a_label_is_refused_by_row(layout: str, name: str, row: str, tmp_path: Path) -> None:
    put(tmp_path, "0.png", "1.png", "images/7/0.png")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(row, encoding="utf-8")
    with pytest.raises(NetchuError, match=rf"{Path(name).name}:{row.count(chr(10))}: has \d columns"):
        read(tmp_path, layout)


@pytest.mark.parametrize("inside", ["\n", "\r\n", "\u00a0", "\u2028", "\t"])
def test_spaces_of_every_kind_become_plain_ones(inside: str, tmp_path: Path) -> None:
    put(tmp_path, "0.png")
    with (tmp_path / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["image", "text"], ["0.png", f"Số 12{inside}Huế "]])
    assert read(tmp_path) == [("0.png", "Số 12 Huế")]
    (tmp_path / "train.csv").unlink()
    (tmp_path / "export.json").write_text(json.dumps([task("0.png", f"Số 12{inside}Huế")]), encoding="utf-8")
    assert read(tmp_path, "label-studio") == [("0.png", "Số 12 Huế")]
    write_manifest(tmp_path / "m.csv", [Line(tmp_path / "0.png", f"Số 12{inside}Huế", fold=0)])
    assert read_lines(tmp_path / "m.csv")[0].text == "Số 12 Huế"


@pytest.mark.parametrize(
    ("header", "row", "image"),
    [
        ("image, text", "0.png, Huế", "0.png"),
        ("id,text", "0,Huế", "0.png"),
        ("image_id,file_name,text", "7,0.png,Huế", "0.png"),
        ("Image ; Label", "0.PNG;Huế", "0.png"),
        ("img_id,text", "2.jfif,Huế", "2.jfif"),
        ("img_id,text", "2,Huế", "2.jfif"),
        ("img_id,text", "Ảnh 1.JPG,Huế", "ảnh 1.jpg"),
        ("img_id,text", unicodedata.normalize("NFD", "ảnh 1.jpg") + ",Huế", "ảnh 1.jpg"),
    ],
)
@pytest.mark.parametrize("folder", ["", "images"])
def test_columns_and_names_are_found(header: str, row: str, image: str, folder: str, tmp_path: Path) -> None:
    put(tmp_path / folder, "0.png", "2.jfif", "ảnh 1.jpg")
    (tmp_path / "TRAIN.CSV").write_text(f"{header}\n{row}\n", encoding="utf-8")
    assert read(tmp_path) == [(image, "Huế")]


def decomposed(name: str) -> str:
    """A name as a Mac writes it."""
    return unicodedata.normalize("NFD", name)


@pytest.mark.parametrize(("disk", "said"), [(decomposed, str), (str, decomposed), (str, str.upper)])
@pytest.mark.parametrize("layout", ["kalapa", "labels-tsv", "labels-json", "path-text"])
def test_names_differ_in_composition_or_case(
    layout: str, disk: Callable[[str], str], said: Callable[[str], str], tmp_path: Path
) -> None:
    name = "số 7/dòng.png"
    put(tmp_path / "images", disk(name))
    (tmp_path / "annotations").mkdir()
    files = {
        "kalapa": "annotations/7.txt",
        "labels-tsv": "labels.tsv",
        "path-text": "gt.txt",
        "labels-json": "labels.json",
    }
    row = json.dumps({said(name): "Huế"}) if layout == "labels-json" else f"{said(name)}\tHuế\n"
    row = row.replace(said(name), f"images/{said(name)}") if layout == "labels-tsv" else row
    (tmp_path / files[layout]).write_text(row, encoding="utf-8")
    assert read(tmp_path, layout) == [(disk("dòng.png"), "Huế")]


def test_the_exact_name_comes_before_one_in_another_case(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "A.png")
    (tmp_path / "labels.tsv").write_text("A.png\tHuế\na.png\tHà Nội\n", encoding="utf-8")
    assert read(tmp_path) == [("A.png", "Huế"), ("a.png", "Hà Nội")]
    (tmp_path / "labels.tsv").write_text("A.PNG\tHuế\n", encoding="utf-8")
    with pytest.raises(NetchuError, match="which is missing"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["train.csv", "gt.txt", "labels.tsv"])
def test_encodings(name: str, tmp_path: Path) -> None:
    put(tmp_path, "0.png")
    mark = "," if name.endswith("csv") else "\t"
    text = f"0.png{mark}Đường Huế\n"
    text = f"image,text\n{text}" if mark == "," else text
    for coding in ("utf-8-sig", "utf-16", "utf-8"):
        (tmp_path / name).write_bytes(text.encode(coding))
        assert read(tmp_path) == [("0.png", "Đường Huế")], coding
    (tmp_path / name).write_bytes(text.replace("ế", "\u00ea\u0301").replace("ờ", "\u01a1\u0300").encode("cp1258"))
    with pytest.raises(NetchuError, match=rf"{name}: is not UTF-8 .*1258.*save it again as CSV UTF-8"):
        read(tmp_path)


def test_the_only_table_with_texts_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "0.png")
    tables = {"train": "image,text\n0.png,Huế\n", "test": "image\n1.png\n", "sample_submission": "id,answer\n1.png,\n"}
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    assert read(tmp_path) == [("0.png", "Huế")]


@pytest.mark.parametrize("layout", ["csv", "labels-tsv", "path-text", "labels-json", "kalapa", "label-studio"])
def test_swapped_columns_are_one_line(layout: str, tmp_path: Path) -> None:
    text = "Số 12 đường Lê Lợi, " * 30
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/7.txt").write_text(f"{text}\t0.png\n", encoding="utf-8")
    (tmp_path / "train.csv").write_text(f'image,text\n"{text}",0.png\n', encoding="utf-8")
    (tmp_path / "labels.tsv").write_text(f"{text}\t0.png\n", encoding="utf-8")
    (tmp_path / "gt.txt").write_text(f"0.png\ta\n{text}\t0.png\n", encoding="utf-8")
    (tmp_path / "labels.json").write_text(json.dumps({text: "0.png"}), encoding="utf-8")
    (tmp_path / "export.json").write_text(json.dumps([task(f"{text}.png", "x")]), encoding="utf-8")
    put(tmp_path, "0.png")
    with pytest.raises(NetchuError, match="which is missing; add the image"):
        read(tmp_path, layout)


def test_a_parquet_row_without_a_text_is_left_out(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"image": [PNG, PNG], "text": [None, "Huế"]}), tmp_path / "a.parquet")
    assert [text for _, text in read(tmp_path)] == ["Huế"]


def test_foreign_files_belong_to_no_set(tmp_path: Path) -> None:
    put(tmp_path, "images/0.png", "images/._0.png", "__MACOSX/images/0.png", ".ipynb_checkpoints/0.png", "Thumbs.db")
    for name in ("train.csv", ".ipynb_checkpoints/train.csv", "__MACOSX/train.csv"):
        (tmp_path / name).write_text("image,text\n0.png,Huế\n", encoding="utf-8")
    (tmp_path / "._train.csv").write_bytes(b"\0\5\x16\7\xff" * 20)
    assert read(tmp_path) == [("0.png", "Huế")]
    assert find_sets(tmp_path) == [("csv", tmp_path)]
    assert [path.name for path in find_images(tmp_path)] == ["0.png"]
    sidecar = tmp_path / "sidecars"
    put(sidecar, "0.png", "._0.png")
    for name in ("0.json", "._0.json"):
        (sidecar / name).write_text('{"text": "Huế"}', encoding="utf-8")
    assert read(sidecar, "sidecars") == [("0.png", "Huế")]


def test_images_of_every_suffix_are_found_and_the_rest_counted(tmp_path: Path) -> None:
    names = ["0.jfif", "1.jpe", "2.gif", "3.heic", "4.avif", "5.scan", "6"]
    put(tmp_path, *names)
    (tmp_path / "labels.csv").write_text("id,text\n")
    (tmp_path / "7.docx").write_bytes(b"PK\3\4")
    with pytest.warns(UserWarning, match=r"1 files are no images and left out, the first .*7\.docx"):
        assert [path.name for path in find_images(tmp_path)] == names


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """As archives of old systems leave them; no manifest and no submission could hold it."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe1nh.png"))
    path.write_bytes(b"")
    for named in (tmp_path, path):
        with pytest.raises(NetchuError, match=r"\\udce1nh.png': its name is not UTF-8; rename it"):
            find_images(named)


def test_a_link_back_into_its_own_folder_doubles_no_image(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"")
        (tmp_path / name / "linked").symlink_to(tmp_path / other)
    (tmp_path / "a" / "up").symlink_to("..")
    found = [path.relative_to(tmp_path / "a").as_posix() for path in find_images(tmp_path / "a")]
    assert found == ["1.png", "linked/1.png", "up/b/1.png"]


def test_a_ppocrlabel_folder(tmp_path: Path) -> None:
    put(tmp_path, "page.png", "crop_img/page_crop_0.png")
    boxes = '[{"transcription": "Huế", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}]'
    (tmp_path / "Label.txt").write_text(f"set/page.png\t{boxes}\n", encoding="utf-8")
    (tmp_path / "fileState.txt").write_text("/home/me/set/page.png\t1\n", encoding="utf-8")
    (tmp_path / "rec_gt.txt").write_text("crop_img/page_crop_0.png\tHuế\n", encoding="utf-8")
    assert read(tmp_path) == [("page_crop_0.png", "Huế")]
    (tmp_path / "Label.txt").unlink()
    assert read(tmp_path) == [("page_crop_0.png", "Huế")]
    (tmp_path / "rec_gt.txt").unlink()
    with pytest.raises(NetchuError, match="in no known layout"):
        read(tmp_path)


def test_label_studio_changes_names(tmp_path: Path) -> None:
    put(tmp_path, "dòng 1 (2).jpg", "dòng 1 (3).jpg")
    reviewed = task("/data/upload/3/0a1b2c3d-dòng_1_2.jpg", "Huế")
    (tmp_path / "export.json").write_text(json.dumps([reviewed]), encoding="utf-8")
    assert read(tmp_path) == [("dòng 1 (2).jpg", "Huế")]
    put(tmp_path, "dòng 1 [2].jpg")
    with pytest.raises(NetchuError, match="may also mean"):
        read(tmp_path)


def test_links_into_a_cache_keep_their_names(tmp_path: Path) -> None:
    put(tmp_path, "cache/ab/cdef0123")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/0.png").symlink_to(tmp_path / "cache/ab/cdef0123")
    (tmp_path / "set/labels.tsv").write_text("0.png\tHuế\n", encoding="utf-8")
    lines = read_sources([("", tmp_path / "set")], tmp_path, {})
    write_manifest(tmp_path / "m.csv", lines)
    assert "\nset/0.png,Huế" in (tmp_path / "m.csv").read_text(encoding="utf-8")
    findings = find_all(lines, read_image_facts(lines), Config(height=32, max_width=256, width_stride=4))
    assert not any(finding.kind == "unlabelled" for finding in findings)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("exif", [False, True])
def test_a_receipt_is_cut_as_it_reads(turn: int, exif: bool, tmp_path: Path) -> None:
    """`turn`: quarters by which the text lies in the receipt; `exif`: a turn that the polygons' frame leaves out."""
    receipt = np.full((200, 640), 230, np.uint8)
    for left in range(70, 560, 20):
        cv2.line(receipt, (left, 100), (left + left // 60, 120), 20, 3)
    line = receipt[80:144, 60:580]
    corners = np.array([(60, 80), (580, 80), (580, 144), (60, 144)])
    for _ in range(turn):  # counter-clockwise
        corners = np.stack([corners[:, 1], receipt.shape[1] - 1 - corners[:, 0]], axis=1)
        receipt = np.rot90(receipt)
    about = Pillow.Exif()
    about[0x0112] = 6 if exif else 1
    Pillow.fromarray(receipt).save(tmp_path / "r.jpg", quality=95, exif=about)
    polygon = {"segmentation": [corners.ravel().tolist()], "width": receipt.shape[1], "height": receipt.shape[0]}
    with (tmp_path / "mcocr_train_df.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["img_id", "anno_polygons", "anno_texts"], ["r.jpg", str([polygon]), "Huế"]])
    cut = read_image(READERS["mcocr"](tmp_path, images=tmp_path / "cut")[0].path)
    assert cut.shape == line.shape
    assert np.corrcoef(cut.ravel(), line.ravel())[0, 1] > 0.95


def test_check_names_lines_that_lie_on_their_side(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.full((520, 64), 200, np.uint8))
    cv2.imwrite(str(tmp_path / "1.png"), np.full((64, 50), 200, np.uint8))
    lines = [Line(tmp_path / "0.png", "Số 12"), Line(tmp_path / "1.png", "5")]
    findings = find_all(lines, read_image_facts(lines), Config(height=32, max_width=256, width_stride=4))
    assert [f.lines[0].path.name for f in findings if f.kind == "on-its-side"] == ["0.png"]


NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\:"), min_size=1, max_size=20
).filter(lambda name: not name.startswith((".", "~$", "#")))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    NAMES,
    st.text(st.characters(exclude_categories=("Cs", "Cn")), min_size=1, max_size=40),
    st.sampled_from(["labels-tsv", "path-text", "csv", "labels-json", "kalapa"]),
)
def test_any_label_and_name_comes_back_or_is_refused_by_row(name: str, text: str, layout: str) -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        image = f"{name}.png"
        put(folder, image, f"images/{image}")
        (folder / "annotations").mkdir()
        files = {"kalapa": "annotations/7.txt", "labels-tsv": "labels.tsv", "path-text": "gt.txt", "csv": "a.csv"}
        if layout == "labels-json":
            (folder / "labels.json").write_text(json.dumps({image: text}), encoding="utf-8")
        elif layout == "csv":
            with (folder / "a.csv").open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows([["image", "text"], [image, text]])
        else:
            (folder / files[layout]).write_text(f"{image}\t{text}\n", encoding="utf-8", newline="")
        try:
            lines = READERS[layout](folder, images=folder)
        except NetchuError as error:
            assert any(c in text for c in "\t\r\n\0") or not text.strip(), error
            return
        assert [(line.path.name, line.text) for line in lines] == [(image, plain_label(text))]


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_pictures_of_phones_are_prepared_and_read(
    form: str, tiny_bundle: Path, lines_folder: Path, tmp_path: Path
) -> None:
    pillow_heif.register_heif_opener()
    suffix = {"HEIF": "heic", "AVIF": "avif"}[form]
    with (tmp_path / "labels.csv").open("w", encoding="utf-8") as table:
        table.write("id,text,writer\n")
        for number in range(5):
            line = Pillow.open(lines_folder / f"images/{number}/0.jpg").convert("RGB")
            line.save(tmp_path / f"{number}.{suffix}", form, quality=90)
            difference = read_image(tmp_path / f"{number}.{suffix}") - np.asarray(line.convert("L"), float)
            assert np.abs(difference).mean() < 4
            table.write(f"{number},Huế,{number}\n")
    names = [f"{number}.{suffix}" for number in range(5)]
    made = run("prepare_ext_data.py", tmp_path / "labels.csv", "--out", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    lines = read_lines(tmp_path / "data/train_folds.csv")
    assert [line.path.name for line in lines] == names
    assert not any(facts.problem for facts in read_image_facts(lines))
    answers = run("infer.py", "--images", tmp_path, "--bundles", tiny_bundle, "--out", tmp_path / "s.csv", "--strict")
    assert answers.returncode == 0, answers.stderr
    rows = (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == names
    assert all(row.split(",")[1] for row in rows), "and something is read in each"
