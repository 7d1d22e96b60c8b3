"""Hand a manifest's lines on to other tools: netchu export-data MANIFEST --to paddleocr --out DIR."""

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tqdm import tqdm

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_folder, refuse_foreign_folder
from netchu.core.image_files import is_file
from netchu.core.images import read_image
from netchu.core.options import new_folder, refuse_overwriting
from netchu.data.manifest import Line, read_lines
from netchu.reading.alto import NAMESPACE

Written = Sequence[tuple[str, Line]]  # name of the image below the folder, line


def write_paddleocr(folder: Path, written: Written) -> None:
    """`rec_gt.txt`: path, tab, text."""
    text = "".join(f"{name}\t{line.text}\n" for name, line in written)
    (folder / "rec_gt.txt").write_text(text, encoding="utf-8")


def write_huggingface(folder: Path, written: Written) -> None:
    """`metadata.jsonl` of an imagefolder."""
    rows = [{"file_name": name, "text": line.text, "writer_id": line.writer_id or None} for name, line in written]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")


def write_label_studio(folder: Path, written: Written) -> None:
    """`tasks.json`: one accepted transcription a task, images by Label Studio's local files."""
    tasks = []
    for name, line in written:
        result = {"type": "textarea", "from_name": "transcription", "to_name": "image", "value": {"text": [line.text]}}
        data = {"image": f"/data/local-files/?d={name}", "writer": line.writer_id or None}
        tasks.append({"data": data, "annotations": [{"result": [result]}]})
    (folder / "tasks.json").write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")


def write_alto(folder: Path, written: Written) -> None:
    """An ALTO 4 file beside each image, whose only line covers it."""
    for name, line in written:
        height, width = (str(side) for side in read_image(line.path, page=True).shape)
        box = {"HPOS": "0", "VPOS": "0", "WIDTH": width, "HEIGHT": height}
        root = ElementTree.Element("alto", {"xmlns": NAMESPACE})
        about = ElementTree.SubElement(ElementTree.SubElement(root, "Description"), "sourceImageInformation")
        ElementTree.SubElement(about, "fileName").text = Path(name).name
        page = ElementTree.SubElement(
            ElementTree.SubElement(root, "Layout"), "Page", {"WIDTH": width, "HEIGHT": height}
        )
        block = ElementTree.SubElement(ElementTree.SubElement(page, "PrintSpace", box), "TextBlock", box)
        ElementTree.SubElement(ElementTree.SubElement(block, "TextLine", box), "String", {**box, "CONTENT": line.text})
        path = (folder / name).with_suffix(".xml")
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


TARGETS: dict[str, Callable[[Path, Written], None]] = {
    "paddleocr": write_paddleocr,
    "label-studio": write_label_studio,
    "alto": write_alto,
    "huggingface": write_huggingface,
}


def export_lines(lines: Sequence[Line], target: str, out: Path) -> None:
    """Copy the images and write their labels for a tool, all or nothing; raises NetchuError for a missing image."""
    refuse_foreign_folder(out, ("images", "rec_gt.txt", "metadata.jsonl", "tasks.json"))
    refuse_foreign_folder(out / "images", ("[0-9]" * 6 + ".*", "[1-9]" + "[0-9]" * 6 + ".*"))
    with atomic_folder(out) as folder:
        (folder / "images").mkdir()
        written = []
        for number, line in enumerate(tqdm(lines, "copying", unit="line", leave=False)):
            name = f"images/{number:06d}{line.path.suffix or '.jpg'}"
            try:
                shutil.copyfile(line.path, folder / name)
            except OSError as error:
                raise NetchuError(f"{line.path}: image cannot be read ({error.strerror}); run netchu check") from error
            written.append((name, line))
        TARGETS[target](folder, written)


def main() -> None:
    """Read the manifest, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, metavar="MANIFEST.csv")
    parser.add_argument("--to", choices=TARGETS, required=True, help="the tool whose layout is written")
    parser.add_argument("--out", type=new_folder, required=True, metavar="DIR", help="folder of images and labels")
    args = parser.parse_args()
    lines = read_lines(args.manifest)
    refuse_overwriting([args.out], [args.manifest, *{line.path.parent for line in lines if is_file(line.path)}])
    export_lines(lines, args.to, args.out)
    print(f"{args.out}: {len(lines)} lines for {args.to}")
