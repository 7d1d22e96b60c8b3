"""Tiny data sets in each layout that is read, written by hand from the layouts' public descriptions.

Every maker gets an empty folder and lines (image file, label, writer), and returns the path that a user would give.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

Sample = tuple[Path, str, str]  # image file, label, writer


def copy(image: Path, target: Path) -> None:
    """Put an image where a layout wants it, in the format of the target's suffix."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if image.suffix == target.suffix:
        target.write_bytes(image.read_bytes())
    else:
        pixels = cv2.imread(str(image))
        assert pixels is not None and cv2.imwrite(str(target), pixels)


def make_kalapa(folder: Path, lines: Sequence[Sample]) -> Path:
    """A text file a writer."""
    (folder / "training_data/annotations").mkdir(parents=True)
    for number, (image, text, writer) in enumerate(lines):
        copy(image, folder / f"training_data/images/{writer}/{number}.jpg")
        with (folder / f"training_data/annotations/{writer}.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{writer}/{number}.jpg\t{text}\n\n")
    return folder


def make_labels_json(folder: Path, lines: Sequence[Sample]) -> Path:
    """One object for all images."""
    for number, (image, _, _) in enumerate(lines):
        copy(image, folder / f"train/images/{number:04d}_samples.jpg")
    labels = {f"{number:04d}_samples.jpg": text for number, (_, text, _) in enumerate(lines)}
    (folder / "train/labels.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder / "train"


def make_labels_tsv(folder: Path, lines: Sequence[Sample]) -> Path:
    """The project's own."""
    rows = []
    for number, (image, text, writer) in enumerate(lines):
        copy(image, folder / f"images/{number}.jpg")
        rows.append(f"images/{number}.jpg\t{text}\t{writer}\n")
    (folder / "labels.tsv").write_text("".join(rows), encoding="utf-8")
    return folder


def make_answers(folder: Path, lines: Sequence[Sample]) -> Path:
    """What infer.py writes, with a doubtful answer, an empty one and an image that could not be read."""
    rows: list[dict[str, object]] = []
    for number, (image, text, writer) in enumerate(lines):
        copy(image, folder / f"{writer}/{number}.jpg")
        rows.append({"id": f"{writer}/{number}.jpg", "text": text, "confidence": 0.999, "accept": True})
    copy(lines[0][0], folder / "9/0.jpg")
    rows.insert(1, {"id": "9/0.jpg", "text": "H", "confidence": 0.4, "accept": False})
    rows.append({"id": "9/0.jpg", "text": "", "confidence": 1.0, "accept": True})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "details.jsonl").write_text(text, encoding="utf-8")
    return folder


def annotation(text: str, choice: str, **fields: object) -> dict[str, object]:
    """An annotation of Label Studio with one choice and one text."""
    return {
        "id": 1001,
        "completed_by": 10,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 4.2,
        "result": [
            {"id": "a1", "type": "choices", "from_name": "quality", "to_name": "image", "origin": "manual",
             "value": {"choices": [choice]}},
            {"id": "a2", "type": "textarea", "from_name": "transcription", "to_name": "image", "origin": "manual",
             "value": {"text": [text]}},
        ],
        **fields,
    }  # fmt: skip


def make_label_studio(folder: Path, lines: Sequence[Sample]) -> Path:
    """Tasks with cancelled, refused and second annotations, and every kind of path to the image."""
    prefixes = (
        "s3://bucket/lines/{}",
        "https://host.example/lines/{}?X-Amz-Expires=60",
        "/data/local-files/?d=lines/{}",
        "/data/upload/3/{}",
    )
    tasks = []
    for number, (image, text, writer) in enumerate(lines):
        name = f"0a1b2c3d-dòng {number}.jpg" if number % 4 == 3 else f"dòng {number}.jpg"
        copy(image, folder / f"media/dòng {number}.jpg")
        tasks.append(
            {
                "id": number + 1,
                "project": 3,
                "data": {"image": prefixes[number % 4].format(name.replace(" ", "%20")), "writer": writer},
                "annotations": [
                    annotation("cancelled", "Good", was_cancelled=True),
                    annotation("refused", "Reject"),
                    annotation(text, "Good"),
                    annotation("second opinion", "Good"),
                ],
                "predictions": [{"model_version": "m", "result": []}],
            }
        )
    tasks.append({"id": 900, "data": {"image": "s3://bucket/unseen.jpg"}, "annotations": [], "predictions": []})
    (folder / "project-3-at-2026-01-05.json").write_text(json.dumps(tasks), encoding="utf-8")
    return folder / "project-3-at-2026-01-05.json"


def make_mcocr(folder: Path, lines: Sequence[Sample]) -> Path:
    """Two lines a receipt, the second one slanted; receipts two folders deep."""
    rows = []
    for number in range(0, len(lines), 2):
        receipt = np.full((260, 460), 235, np.uint8)
        polygons, texts = [], []
        for k, (file, text, _) in enumerate(lines[number : number + 2]):
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            assert image is not None
            height, width = image.shape
            box = [(20, 20), (20 + width, 20), (20 + width, 20 + height), (20, 20 + height)]
            if k:
                box = [(20, 150), (20 + width, 135), (22 + width, 135 + height), (22, 150 + height)]
            source = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
            matrix = cv2.getPerspectiveTransform(source, np.array(box, dtype=np.float32))
            cv2.warpPerspective(image, matrix, (460, 260), receipt, borderMode=cv2.BORDER_TRANSPARENT)
            xs, ys = [x for x, _ in box], [y for _, y in box]
            polygons.append(
                {
                    "category_id": 15 + k,
                    "segmentation": [[c for point in box for c in point]],
                    "area": width * height,
                    "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
                    "width": 460,
                    "height": 260,
                }
            )
            texts.append(text)
        name = f"mcocr_public_{number:05d}.jpg"
        (folder / "train_images/train_images").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "train_images/train_images" / name), receipt, [cv2.IMWRITE_JPEG_QUALITY, 98])
        rows.append([name, str(polygons), "|||".join(texts), "SELLER|||ADDRESS"[: 6 if len(texts) == 1 else None],
                     len(texts), 0.81])  # fmt: skip
    rows.append(["mcocr_public_blank.jpg", "[]", "", "", 0, 0.2])
    path = folder / "mcocr_train_df.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["img_id", "anno_polygons", "anno_texts", "anno_labels", "anno_num", "anno_image_quality"])
        writer.writerows(rows)
    return path


def make_path_text(folder: Path, lines: Sequence[Sample]) -> Path:
    """Rows that were written for another folder, as PaddleOCR's are."""
    rows = []
    for number, (image, text, _) in enumerate(lines):
        copy(image, folder / f"rec/train/word_{number}.png")
        rows.append(f"train_data/rec/train/word_{number}.png\t{text}\n")
    (folder / "rec/rec_gt_train.txt").write_text("".join(rows), encoding="utf-8")
    return folder / "rec" / "rec_gt_train.txt"


def make_csv(folder: Path, lines: Sequence[Sample]) -> Path:
    """A plain `img_id,text` table with a writer, and a byte order mark as Excel writes it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["img_id", "text", "writer"])
    for number, (image, label, who) in enumerate(lines):
        copy(image, folder / f"images/images/{number}.jpg")
        writer.writerow([f"{number}.jpg", label, who])
    (folder / "train.csv").write_text("\ufeff" + text.getvalue(), encoding="utf-8")
    return folder / "train.csv"


def make_sidecars(folder: Path, lines: Sequence[Sample]) -> Path:
    """A review tool's: the model's text and the corrected one; an image that nobody has reviewed."""
    for number, (image, text, writer) in enumerate(lines):
        copy(image, folder / f"{number}.png")
        sidecar = {"text": "as the model read it", "corrected_text": text, "writer": writer}
        (folder / f"{number}.json").write_text(json.dumps(sidecar, ensure_ascii=False), encoding="utf-8")
    copy(lines[0][0], folder / "not yet.png")
    return folder


def make_iam(folder: Path, lines: Sequence[Sample]) -> Path:
    """Line images by form, the forms' writers in a file of their own."""
    rows, forms = ["#--- lines.txt -----#\n", "# a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE\n"], ["#--- forms.txt\n"]
    for number, (image, text, writer) in enumerate(lines):
        form = f"a01-{number // 2:03d}u"
        copy(image, folder / f"lines/a01/{form}/{form}-{number % 2:02d}.png")
        state = "err" if number == 1 else "ok"
        rows.append(f"{form}-{number % 2:02d} {state} 154 19 408 746 1661 89 {text.replace(' ', '|')}\n")
        forms.append(f"{form} {writer} 2 prt 7 5 52 36\n")
    (folder / "ascii").mkdir()
    (folder / "ascii/lines.txt").write_text("".join(rows), encoding="utf-8")
    (folder / "ascii/forms.txt").write_text("".join(forms), encoding="utf-8")
    return folder


def make_parquet(folder: Path, lines: Sequence[Sample]) -> Path:
    """As `datasets` writes an image column: a struct of bytes and path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir()
    columns = {
        "image": [{"bytes": image.read_bytes(), "path": None} for image, _, _ in lines],
        "text": [text for _, text, _ in lines],
        "writer_id": [int(writer) if writer.isdecimal() else None for _, _, writer in lines],
    }
    pq.write_table(pa.table(columns), folder / "data" / "train-00000-of-00001.parquet")
    return folder


def make_lmdb(folder: Path, lines: Sequence[Sample]) -> Path:
    """As `create_lmdb_dataset.py` of the deep-text-recognition benchmark writes it."""
    import lmdb

    with lmdb.open(str(folder), map_size=1 << 26) as store, store.begin(write=True) as writing:
        for number, (image, text, writer) in enumerate(lines, 1):
            writing.put(f"image-{number:09d}".encode(), image.read_bytes())
            writing.put(f"label-{number:09d}".encode(), text.encode())
            writing.put(f"writer-{number:09d}".encode(), writer.encode())
        writing.put(b"num-samples", str(len(lines)).encode())
    return folder


def make_pairs(folder: Path, lines: Sequence[Sample]) -> Path:
    """As kraken and tesstrain want them, with an image that nobody has transcribed."""
    for number, (image, text, _) in enumerate(lines):
        copy(image, folder / f"{number}.png")
        end = "txt" if number % 3 == 2 else "gt.txt"
        (folder / f"{number}.{end}").write_text(f"{text}\n", encoding="utf-8")
    return folder


def make_huggingface(folder: Path, lines: Sequence[Sample]) -> Path:
    """An imagefolder of the `datasets` library."""
    rows = []
    for number, (image, text, writer) in enumerate(lines):
        copy(image, folder / f"images/{number}.jpg")
        rows.append(json.dumps({"file_name": f"images/{number}.jpg", "text": text, "writer_id": writer}) + "\n")
    (folder / "metadata.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


def make_page_xml(folder: Path, lines: Sequence[Sample]) -> Path:
    """A page a writer, the first in PAGE, the others in ALTO, with a line that has no text."""
    by_writer: dict[str, list[Sample]] = {}
    for line in lines:
        by_writer.setdefault(line[2], []).append(line)
    for number, (writer, own) in enumerate(sorted(by_writer.items())):
        page = np.full((80 * len(own) + 20, 900), 235, np.uint8)
        rows = []
        for k, (file, text, _) in enumerate(own):
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            assert image is not None
            (height, width), top = image.shape, 80 * k + 10
            page[top : top + height, 20 : 20 + width] = image
            box = f"20,{top} {20 + width},{top} {20 + width},{top + height} 20,{top + height}"
            coords = f'<Coords points="{box}"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv>'
            place = f'HPOS="20" VPOS="{top}" WIDTH="{width}" HEIGHT="{height}"'
            alto = f'<TextLine {place}><String CONTENT="{text}"/></TextLine>'
            rows.append(alto if number else f'<TextLine id="a{k}">{coords}</TextLine>')
        cv2.imwrite(str(folder / f"{writer}.png"), page)
        inside = "".join([*rows, '<TextLine id="empty"/>'])
        whole = f'<Page imageFilename="{writer}.png">{inside}</Page>'
        xml = f'<PcGts xmlns="http://schema.primaresearch.org/PAGE">{whole}</PcGts>'
        if number:
            about = f"<sourceImageInformation><fileName>{writer}.png</fileName></sourceImageInformation>"
            layout = f"<Description>{about}</Description><Layout><Page>{inside}</Page></Layout>"
            xml = f'<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">{layout}</alto>'
        (folder / f"{writer}.xml").write_text(xml, encoding="utf-8")
    return folder


MAKERS: dict[str, Callable[[Path, Sequence[Sample]], Path]] = {
    "kalapa": make_kalapa,
    "labels-json": make_labels_json,
    "labels-tsv": make_labels_tsv,
    "label-studio": make_label_studio,
    "mcocr": make_mcocr,
    "path-text": make_path_text,
    "csv": make_csv,
    "sidecars": make_sidecars,
    "iam": make_iam,
    "parquet": make_parquet,
    "lmdb": make_lmdb,
    "page-xml": make_page_xml,
    "pairs": make_pairs,
    "huggingface": make_huggingface,
    "answers": make_answers,
    "synthetic": make_labels_tsv,
}
