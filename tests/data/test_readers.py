"""Readers: every layout on a tiny sample in its real format, and what a wrong row or a missing image says."""

import csv
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from netchu.core.errors import NetchuError
from netchu.core.image_files import find_images, natural_key
from netchu.core.images import cut_polygon, read_image
from netchu.core.tables import read_table
from netchu.data.cutting import line_corners
from netchu.data.importing import parse_columns, read_sources
from netchu.data.label_files import ImageFinder
from netchu.data.layouts import READERS, detect_layout, find_sets
from netchu.data.lmdb_file import read_records, write_lmdb
from netchu.data.manifest import Line
from tests.support.samples import MAKERS, annotation, make_label_studio, make_lmdb, make_mcocr, make_parquet
from tests.support.tiny import ROOT

MADE = {"synthetic", "answers"}
NO_WRITERS = {"labels-json", "path-text", "pairs"}
LABELS = ["Hà Nội", "Huế", "Số 12 Huế"]


@pytest.fixture
def three(lines_folder: Path) -> list[tuple[Path, str, str]]:
    """Three lines of two writers; the second label is decomposed."""
    images = [lines_folder / f"images/0/{number}.jpg" for number in range(3)]
    return list(zip(images, ["Hà Nội", "Hue\u0302\u0301", "Số 12 Huế"], ["7", "7", "8"], strict=True))


def made(name: str, tmp_path: Path, lines: list[tuple[Path, str, str]]) -> Path:
    """A sample in a folder named after its layout."""
    folder = tmp_path / "source" / name
    folder.mkdir(parents=True)
    return MAKERS[name](folder, lines)


def test_every_layout_is_in_the_docs() -> None:
    docs = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert [name for name in READERS if f"`{name}`" not in docs] == []


@pytest.mark.parametrize("name", READERS)
def test_every_reader(name: str, tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = made(name, tmp_path, three)
    before = sorted(tmp_path.rglob("*"))
    lines = READERS[name](path, images=tmp_path / "images")
    assert [line.text for line in lines] == LABELS
    assert all(line.source and line.fold == -1 and line.is_real == (name not in MADE) for line in lines)
    if name == "mcocr":
        assert [line.writer_id for line in lines] == ["mcocr_public_00000"] * 2 + ["mcocr_public_00002"]
    else:
        assert [line.writer_id for line in lines] == ([""] * 3 if name in NO_WRITERS else ["7", "7", "8"])
    for line, (image, _, _) in zip(lines, three, strict=True):
        difference = np.abs(read_image(line.path)[:36, :40].astype(int) - read_image(image)[:36, :40])
        assert difference.mean() < 12, "the line's own image, up to JPEG and cutting"
    assert [p for p in sorted(tmp_path.rglob("*")) if "images" not in p.relative_to(tmp_path).parts[:1]] == before
    assert [line.text for line in READERS[name].read(path, **options(name, tmp_path))][1] in ("Hue\u0302\u0301", "Huế")


def options(name: str, tmp_path: Path) -> dict[str, object]:
    """Arguments of a reader's own function."""
    return {key: {"images": tmp_path / "images", "columns": {}}[key] for key in READERS[name].takes}


@pytest.mark.parametrize("name", [name for name in READERS if name != "synthetic"])
def test_layout_is_detected(name: str, tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = made(name, tmp_path, three)
    assert detect_layout(path) == name
    if path.is_file() and name != "path-text":
        assert detect_layout(path.parent) == name, "the folder does as well"
    assert read_sources([("", path)], tmp_path / "images", {}) == READERS[name](path, images=tmp_path / "images")


def test_a_labels_json_beside_an_image_of_its_name_is_no_sidecar(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "labels.png"), np.full((40, 300), 255, np.uint8))
    (tmp_path / "labels.json").write_text('{"labels.png": "Huế"}', encoding="utf-8")
    assert detect_layout(tmp_path) == "labels-json"


def test_unknown_and_ambiguous_layouts_say_what_to_do(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    with pytest.raises(NetchuError, match="is in no known layout; say which: --kalapa, "):
        find_sets(tmp_path)
    with pytest.raises(NetchuError, match="no such file or folder"):
        detect_layout(tmp_path / "none")
    both = made("labels-tsv", tmp_path, three)
    kalapa = made("kalapa", tmp_path, three)
    assert find_sets(tmp_path) == [("kalapa", kalapa), ("labels-tsv", both)], "two levels below"
    (both / "labels.json").write_text("{}")
    with pytest.raises(NetchuError, match="any of several layouts; say which: --labels-json, --labels-tsv"):
        detect_layout(both)


@pytest.mark.parametrize("name", READERS)
def test_folder_of_another_layout(name: str, tmp_path: Path) -> None:
    message = r"no annotations|no such (file|CSV)|holds no images|no num-samples|cannot be opened"
    with pytest.raises(NetchuError, match=message):
        READERS[name](tmp_path, images=tmp_path / "images")
    assert not list((tmp_path / "images").glob("*")), "nothing half-written is left"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Huế", "row 1 is no answer"),
        ('{"id": 5, "text": "Huế", "accept": true}', "row 1 is no answer"),
        ('{"id": "0.jpg", "text": "Huế"}', "row 1 is no answer"),
        ('{"id": "0.jpg", "text": "Huế", "accept": null}', "no answer is marked accept"),
    ],
)
def test_answers_that_cannot_be_taken(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "details.jsonl").write_text(row + "\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=message):
        READERS["answers"](tmp_path, images=tmp_path)


@pytest.mark.parametrize(
    "name", [n for n in READERS if n not in ("mcocr", "parquet", "lmdb", "page-xml", "synthetic", "sidecars", "pairs")]
)
def test_missing_image_is_named(name: str, tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = made(name, tmp_path, three)
    lost = READERS[name](path, images=tmp_path)[1].path
    lost.unlink()
    with pytest.raises(NetchuError, match=rf"names .*{re.escape(lost.name)}, which is missing"):
        READERS[name](path, images=tmp_path)
    assert len(READERS[name](path, images=tmp_path, raw=True)) == 3


def test_wrong_rows_are_named(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    kalapa, cinnamon = made("kalapa", tmp_path, three), made("labels-json", tmp_path, three)
    annotations = kalapa / "training_data" / "annotations" / "7.txt"
    annotations.write_text("7/0.jpg\tHà Nội\n7/1.jpg Huế\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=re.escape(f"{annotations}:2: expected 2 columns")):
        READERS["kalapa"](kalapa, images=tmp_path)
    labels = cinnamon / "labels.json"
    labels.write_text('{"2.jpg": "Hà Nội",\n}', encoding="utf-8")
    with pytest.raises(NetchuError, match=re.escape("labels.json:2: is not JSON")):
        READERS["labels-json"](cinnamon, images=tmp_path)
    labels.write_text('["2.jpg"]', encoding="utf-8")
    with pytest.raises(NetchuError, match="expected one object"):
        READERS["labels-json"](cinnamon, images=tmp_path)
    iam = made("iam", tmp_path, three)
    (iam / "ascii/lines.txt").write_text("a01-000u-00 ok 154 19 A|MOVE\n")
    with pytest.raises(NetchuError, match=r"lines\.txt:1: has 5 fields"):
        READERS["iam"](iam, images=tmp_path)
    sidecars = made("sidecars", tmp_path, three)
    (sidecars / "1.json").write_text('{"score": 1}')
    with pytest.raises(NetchuError, match=r"1\.json: has no text; expected one of corrected_text"):
        READERS["sidecars"](sidecars, images=tmp_path)
    paddle = made("path-text", tmp_path, three)
    paddle.write_text('train/word_0.png\t[{"transcription": "a", "points": []}]\n')
    with pytest.raises(NetchuError, match="holds boxes of whole pages"):
        READERS["path-text"](paddle, images=tmp_path)


def test_label_studio_takes_the_first_accepted_annotation(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = make_label_studio(tmp_path, three)
    tasks = json.loads(path.read_text(encoding="utf-8"))
    tasks[0]["annotations"] = [annotation("", "Correct")]
    tasks[0]["data"]["text"] = "as the model read it"
    tasks[1]["annotations"] = [annotation("unsure", "illegible")]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    lines = READERS["label-studio"](path, images=tmp_path)
    assert [line.text for line in lines] == ["as the model read it", "Số 12 Huế"]


SLANTED = [(80, 60), (480, 130), (473, 170), (73, 100)]  # corners of a line that falls by a tenth


def slanted_page(path: Path, line: Path, *corners: Sequence[tuple[float, float]]) -> np.ndarray:
    """A page on which one line is drawn into each quadrilateral; returns the line."""
    image = cv2.resize(read_image(line), (406, 41))
    page = np.full((500, 600), 235, np.uint8)
    source = np.array([(0, 0), (406, 0), (406, 41), (0, 41)], dtype=np.float32)
    for four in corners:
        matrix = cv2.getPerspectiveTransform(source, np.array(four, dtype=np.float32))
        cv2.warpPerspective(image, matrix, (600, 500), page, borderMode=cv2.BORDER_TRANSPARENT)
    cv2.imwrite(str(path), page)
    return image


def likeness(cut: Path, line: np.ndarray) -> float:
    """Correlation of a cut line with the one that was drawn; nothing for one of another size."""
    image = read_image(cut)
    if max(abs(a - b) for a, b in zip(image.shape, line.shape, strict=True)) > 6:
        return 0.0
    return float(np.corrcoef(cv2.resize(image, line.shape[::-1]).ravel(), line.ravel())[0, 1])


def region(key: str, kind: str, value: dict[str, object], *texts: str, **fields: object) -> list[dict[str, object]]:
    """The results of Label Studio's OCR template for one region: its shape, its label and its text, of one id."""
    frame = {
        "original_width": 600,
        "original_height": 500,
        "image_rotation": 0,
        "id": key,
        "to_name": "image",
        **fields,
    }
    return [
        {**frame, "type": kind, "from_name": "bbox", "value": value},
        {**frame, "type": "labels", "from_name": "label", "value": {**value, "labels": ["Handwriting"]}},
        {**frame, "type": "textarea", "from_name": "transcription", "value": {**value, "text": list(texts)}},
    ]


def test_label_studio_cuts_rectangles_and_polygons(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    angle = np.degrees(np.arctan2(70, 400))
    upper = [(60, 300), (466, 300), (466, 341), (60, 341)]
    drawn = slanted_page(tmp_path / "trang 1.png", three[0][0], SLANTED, upper)
    polygon = [(x / 6, y / 5) for x, y in (upper[2], upper[3], upper[0], upper[1])]
    box = {"x": 80 / 6, "y": 60 / 5, "width": 406 / 6, "height": 41 / 5, "rotation": angle}
    results: list[dict[str, object]] = [
        *region("a", "rectangle", box, "Số 12", "Huế"),
        *region("b", "polygon", {"points": polygon, "closed": True}, "Hà Nội"),
        *region("c", "rectangle", {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0}),
        *region("d", "rectangle", {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0}, "?"),
        {"id": "d", "type": "choices", "value": {"x": 1, "choices": ["Unreadable"]}},
    ]
    tasks: list[dict[str, object]] = [
        {"id": 1, "data": {"ocr": "/data/upload/1/0a1b2c3d-trang_1.png"}, "annotations": [{"result": results}]}
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    lines = read_sources([("", tmp_path)], tmp_path / "cut", {})
    assert [(line.text, line.writer_id) for line in lines] == [("Số 12 Huế", "trang 1"), ("Hà Nội", "trang 1")]
    assert all(likeness(line.path, drawn) > 0.9 for line in lines)
    changes: list[tuple[dict[str, object], str]] = [
        ({"image_rotation": 90}, "task 1, region a: was drawn on a turned image"),
        ({"value": {"x": 1, "y": 2, "radiusX": 3, "text": ["Huế"]}}, "region a: is no rectangle or polygon"),
        ({"value": {"rle": [1, 2], "text": ["Huế"]}}, "region a: is no rectangle or polygon"),
        ({"value": {**box, "width": 0, "text": ["Huế"]}}, "region a: its rectangle has no area"),
        ({"value": {"points": [[1, 1], [2, 2]], "text": ["Huế"]}}, "region a: its polygon has no area"),
    ]
    for change, message in changes:
        broken = {**tasks[0], "annotations": [{"result": [{**results[2], **change}]}]}
        path.write_text(json.dumps([broken]), encoding="utf-8")
        with pytest.raises(NetchuError, match=message):
            READERS["label-studio"](path, images=tmp_path / "cut")


def test_pages_of_one_name_keep_their_lines_apart(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    tasks = []
    for number, (own, text, _) in enumerate(three):
        (tmp_path / f"{number}").mkdir()
        slanted_page(tmp_path / f"{number}/1.png", own, [(60, 300), (466, 300), (466, 341), (60, 341)])
        box = region("a", "rectangle", {"x": 10, "y": 60, "width": 406 / 6, "height": 41 / 5, "rotation": 0}, text)
        tasks.append({"data": {"image": f"s3://b/{number}/1.png"}, "annotations": [{"result": box}]})
    (tmp_path / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    lines = READERS["label-studio"](tmp_path, images=tmp_path / "cut")
    for line, (image, text, _) in zip(lines, three, strict=True):
        assert line.text == unicodedata.normalize("NFC", text)
        assert likeness(line.path, cv2.resize(read_image(image), (406, 41))) > 0.9


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize("form", ["page", "alto"])
def test_slanted_lines_of_page_xml_are_cut_along_their_writing(
    form: str, baseline: bool, tmp_path: Path, three: list[tuple[Path, str, str]]
) -> None:
    drawn = slanted_page(tmp_path / "0.png", three[0][0], SLANTED)
    one, two, three_, four = (np.array(corner) for corner in SLANTED)
    outline = [two, three_, (three_ + four) / 2, four, one, (one + two) / 2]  # as tools draw them, from anywhere
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in outline)
    under = f"{four[0]},{four[1]} {three_[0]},{three_[1]}" if baseline else ""
    if form == "page":
        inside = f'<Coords points="{points}"/>' + (f'<Baseline points="{under}"/>' if under else "")
        line = f"<TextLine>{inside}<TextEquiv><Unicode>Huế</Unicode></TextEquiv></TextLine>"
        xml = f'<PcGts><Page imageFilename="0.png" imageWidth="600" imageHeight="500">{line}</Page></PcGts>'
    else:
        shape = f'<Shape><Polygon POINTS="{points.replace(",", " ")}"/></Shape><String CONTENT="Huế"/>'
        line = f'<TextLine HPOS="73" VPOS="60" WIDTH="407" HEIGHT="110" BASELINE="{under or 130}">{shape}</TextLine>'
        xml = f"<alto><fileName>0.png</fileName><Layout><Page>{line}</Page></Layout></alto>"
    (tmp_path / "0.xml").write_text(xml, encoding="utf-8")
    assert likeness(READERS["page-xml"](tmp_path, images=tmp_path / "cut")[0].path, drawn) > 0.9


def test_a_page_that_exif_turns_is_cut_as_its_frame_says(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    drawn = slanted_page(tmp_path / "0.png", three[0][0], SLANTED)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.open(tmp_path / "0.png").save(tmp_path / "0.jpg", quality=95, exif=exif)
    (tmp_path / "0.png").unlink()
    points = " ".join(f"{x},{y}" for x, y in SLANTED)
    line = f'<TextLine><Coords points="{points}"/><TextEquiv><Unicode>Huế</Unicode></TextEquiv></TextLine>'
    page = f'<Page imageFilename="0.jpg" imageWidth="600" imageHeight="500">{line}</Page>'
    (tmp_path / "0.xml").write_text(f"<PcGts>{page}</PcGts>", encoding="utf-8")
    assert likeness(READERS["page-xml"](tmp_path, images=tmp_path / "cut")[0].path, drawn) > 0.9


def test_a_short_line_is_cut_along_its_baseline() -> None:
    """The smallest rectangle around a single letter may lie at any angle; the baseline says which."""
    letter = np.array([(10, 30), (20, 10), (30, 30), (20, 50)], dtype=np.float32)
    corners = line_corners(letter, "", np.array([(8, 50), (32, 50)], dtype=np.float32))
    assert corners.tolist() == [[10, 10], [30, 10], [30, 50], [10, 50]]
    upside_down = line_corners(letter, "", np.array([(32, 8), (8, 8)], dtype=np.float32))
    assert upside_down.tolist() == [[30, 50], [10, 50], [10, 10], [30, 10]]


def test_mcocr_cuts_the_slanted_line_upright(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = make_mcocr(tmp_path, three)
    for line, (image, _, _) in zip(READERS["mcocr"](path, images=tmp_path / "cut"), three, strict=True):
        cut, own = read_image(line.path), read_image(image)
        assert abs(cut.shape[0] - own.shape[0]) <= 2 and abs(cut.shape[1] - own.shape[1]) <= 3
        scaled = cv2.resize(cut, own.shape[::-1])
        assert np.corrcoef(scaled.ravel(), own.ravel())[0, 1] > 0.9


def test_mcocr_rows_that_do_not_pair(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = make_mcocr(tmp_path, three)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    for column, value, message in (
        (2, "one|||two|||three", r"receipt mcocr_public_00000\.jpg: 2 polygons and 3 texts"),
        (1, "[{", "anno_polygons is not a list"),
        (1, "[{'segmentation': [[1, 1, 2, 2]], 'bbox': []}, {}]", "polygon 0: has neither an area nor"),
        (0, "gone.jpg", r"gone\.jpg: image cannot be read"),
    ):
        changed = [row[:] for row in rows]
        changed[1][column] = value
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(changed)
        with pytest.raises(NetchuError, match=message):
            READERS["mcocr"](path, images=tmp_path / "cut")
        assert not (tmp_path / "cut").exists(), "nothing half-written is left"


def test_polygon_beyond_the_image_takes_the_edge() -> None:
    image = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (50, 1))
    cut = cut_polygon(image, [(50, 10), (120, 10), (120, 40), (50, 40)])
    assert cut.shape == (30, 70)
    assert cut[0, 0] == 100 and cut[-1, -1] == 198


def test_csv_columns(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    path = made("csv", tmp_path, three)
    renamed = path.read_text(encoding="utf-8-sig").replace("img_id,text,writer", "ảnh;nhãn;ai").replace(",", ";")
    path.write_text(renamed, encoding="utf-8")
    with pytest.raises(NetchuError, match="which column is the image"):
        READERS["csv"](path, images=tmp_path)
    columns = parse_columns(["image=ảnh", "text=nhãn", "writer=ai"], [("csv", path)])
    assert [line.text for line in READERS["csv"](path, images=tmp_path, columns=columns)] == LABELS
    with pytest.raises(NetchuError, match="no column 'nhan'; did you mean 'nhãn'"):
        READERS["csv"](path, images=tmp_path, columns={**columns, "text": "nhan"})
    with pytest.raises(NetchuError, match="--columns picture=x: expected image=NAME"):
        parse_columns(["picture=x"], [])
    path.write_text("img_id,text\n0.jpg\n", encoding="utf-8")
    with pytest.raises(NetchuError, match="fewer columns than the header"):
        READERS["csv"](path, images=tmp_path)


def test_stores_that_are_damaged(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    import lmdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = make_lmdb(tmp_path / "lmdb", three)
    with lmdb.open(str(store)) as opened, opened.begin(write=True) as writing:
        writing.delete(b"image-000000002")
    with pytest.raises(NetchuError, match="label-000000002 has no image"):
        READERS["lmdb"](store, images=tmp_path / "images")
    assert not (tmp_path / "images").exists()
    (tmp_path / "hub").mkdir()
    table = make_parquet(tmp_path / "hub", three)
    file = next(table.rglob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-50])
    with pytest.raises(NetchuError, match="is truncated or no parquet"):
        READERS["parquet"](table, images=tmp_path / "images")
    pq.write_table(pa.table({"image": [b""], "label": [3]}), file)
    with pytest.raises(NetchuError, match="row 0: its image has no bytes"):
        READERS["parquet"](table, images=tmp_path / "images")
    pq.write_table(pa.table({"image": [b"x"], "label": [3]}), file)
    with pytest.raises(NetchuError, match="label is int, not a text"):
        READERS["parquet"](table, images=tmp_path / "images")


@pytest.mark.parametrize("number", ["../../evil", "/{}/evil"])
def test_an_lmdb_writes_nothing_outside_of_its_folder(
    number: str, tmp_path: Path, three: list[tuple[Path, str, str]]
) -> None:
    import lmdb

    (tmp_path / "lmdb").mkdir()
    store, key = make_lmdb(tmp_path / "lmdb", three), number.format(tmp_path).encode()
    with lmdb.open(str(store)) as opened, opened.begin(write=True) as writing:
        writing.put(b"image-" + key, three[0][0].read_bytes())
        writing.put(b"label-" + key, b"x")
    with pytest.raises(NetchuError, match="would name a file outside of its folder"):
        READERS["lmdb"](store, images=tmp_path / "a" / "images")
    assert not list(tmp_path.rglob("evil*"))


def test_lmdb_out_and_in(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    lines = [Line(image, text, writer) for image, text, writer in three]
    for _ in range(2):  # the second time over the first
        write_lmdb(tmp_path / "store", lines)
    assert [r.number for r in read_records(tmp_path / "store")] == ["000000001", "000000002", "000000003"]
    again = READERS["lmdb"](tmp_path / "store", images=tmp_path / "images")
    assert [line.path.read_bytes() for line in again] == [line.path.read_bytes() for line in lines]
    assert [(line.text, line.writer_id) for line in again] == list(zip(LABELS, ["7", "7", "8"], strict=True))
    (tmp_path / "store" / "thesis.txt").write_text("mine")
    with pytest.raises(NetchuError, match=r"store: holds thesis\.txt, which would be lost"):
        write_lmdb(tmp_path / "store", lines)
    (tmp_path / "store" / "thesis.txt").unlink()
    with pytest.raises(NetchuError, match="image cannot be read"):
        write_lmdb(tmp_path / "store", [*lines, Line(tmp_path / "none.jpg", "x")])
    assert len(list(read_records(tmp_path / "store"))) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "store"]


def test_names_that_fit_two_images(tmp_path: Path) -> None:
    for name in ("a/x/1.jpg", "b/x/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    finder = ImageFinder(tmp_path)
    assert finder.find("else\\b\\x\\1.jpg") == tmp_path / "b/x/1.jpg"
    assert finder.find("2.jpg") == tmp_path / "2.jpg"
    with pytest.raises(NetchuError, match=r"the name x/1\.jpg may also mean"):
        finder.find("x/1.jpg")


def test_no_image_stands_for_a_missing_one(tmp_path: Path) -> None:
    for name in ("7/1.jpg", "8/5.jpg", "crops/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    finder = ImageFinder(tmp_path)
    assert finder.find("7/5.jpg") == tmp_path / "7/5.jpg", "there is a folder 7, so it is missing there"
    assert finder.find("elsewhere/3.jpg") == tmp_path / "crops/3.jpg" == finder.find("elsewhere/3.jpg")
    with pytest.raises(NetchuError, match=r"3\.jpg: is all there is for elsewhere/3\.jpg and for other/3\.jpg"):
        finder.find("other/3.jpg")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0.jpg,12 Lê Lợi, Phường 3, Quận 1", r"set\.csv:2: has more columns than the header; quote"),
        ('0.jpg,"12 Lê Lợi\n1.jpg,Huế', "is not CSV"),
    ],
)
def test_a_csv_loses_no_part_of_a_label(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text(f"image,text\n{rows}\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=message):
        READERS["csv"](tmp_path, images=tmp_path / "images")


def test_sidecars_without_a_writer_or_with_an_empty_correction(
    tmp_path: Path, three: list[tuple[Path, str, str]]
) -> None:
    (tmp_path / "0.jpg").write_bytes(three[0][0].read_bytes())
    (tmp_path / "0.json").write_text('{"corrected_text": "", "text": "Huế", "writer": null}', encoding="utf-8")
    line = READERS["sidecars"](tmp_path, images=tmp_path / "images")[0]
    assert (line.text, line.writer_id) == ("Huế", "")


def test_layouts_side_by_side_are_all_found(tmp_path: Path, three: list[tuple[Path, str, str]]) -> None:
    folders = {name: tmp_path / name for name in ("kalapa", "sidecars")}
    for name, folder in folders.items():
        folder.mkdir()
        MAKERS[name](folder, three)
    assert find_sets(tmp_path) == list(folders.items())
    (tmp_path / "0.jpg").write_bytes(three[0][0].read_bytes())
    (tmp_path / "0.json").write_text('{"text": "Huế"}', encoding="utf-8")
    with pytest.raises(NetchuError, match="holds sidecars and kalapa"):
        find_sets(tmp_path)


def test_parquet_asks_which_of_two_columns_is_the_image(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"sha256": [b"0123"], "scan": [b"4567"], "text": ["Huế"]}), tmp_path / "a.parquet")
    with pytest.raises(NetchuError, match="which column is the image"):
        READERS["parquet"](tmp_path / "a.parquet", images=tmp_path / "images")
    pq.write_table(pa.table({"sha256": [b"0123"], "img": [b"4567"], "text": ["Huế"]}), tmp_path / "b.parquet")
    line = READERS["parquet"](tmp_path / "b.parquet", images=tmp_path / "images")[0]
    assert line.path.read_bytes() == b"4567"


def test_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(NetchuError, match="holds no rows"):
        read_table(path)


def test_images_in_natural_order(tmp_path: Path) -> None:
    for name in ("10/0.jpg", "2/10.PNG", "2/9.png", "2/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path)] == ["2/9.png", "2/10.PNG", "10/0.jpg"]
    assert natural_key("a2") < natural_key("a10") < natural_key("b1")
