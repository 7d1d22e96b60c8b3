"""Readers of what review tools leave: Label Studio's JSON export, and images with a JSON sidecar each."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from netchu.core.errors import NetchuError
from netchu.core.image_files import find_images, is_image_name, list_files
from netchu.data.cutting import Corners, Page, cut_regions, line_corners
from netchu.data.label_files import ImageFinder, read_json, source_name, writer_of
from netchu.data.manifest import Line

REFUSING = frozenset(
    {"reject", "rejected", "bad", "skip", "unreadable", "illegible", "unusable", "discard", "delete", "blank", "empty"}
)  # choices with which a reviewer gives a line up
APPROVING = frozenset({"accept", "accepted", "approve", "approved", "correct", "right", "ok", "good", "yes"})
SIDECAR_KEYS = ("corrected_text", "corrected", "text", "label", "transcription")


def find_exports(path: Path) -> list[tuple[Path, list[dict[str, Any]]]]:
    """(file, tasks) of the exports that a path may mean: itself, or those of the folder."""
    files = [file for file in list_files(path, ".json") if path.is_file() or file.name != "labels.json"]
    return [(file, tasks) for file in files if (tasks := _tasks(file))]


def read_label_studio(path: Path, *, images: Path) -> list[Line]:
    """Label Studio: a JSON export, or a folder with one; the first accepted annotation of each task.

    An annotation counts when it was not cancelled, has no refusing choice (see REFUSING) and has a text: its textarea,
    or the task's own `text` where a choice approves of that. Texts of rectangles and polygons (the OCR template) are
    cut out of the task's image, a page, which stands for a writer where the task names none. Tasks without a text are
    left out. s3, http and local paths are reduced to the file's name, which is looked for below the export's folder.
    """
    exports = find_exports(path)
    if not exports:
        raise NetchuError(f"{path}: no such file of Label Studio tasks; export them as JSON (not JSON-MIN)")
    finder = ImageFinder(path if path.is_dir() else path.parent)
    lines: list[Line] = []
    pages: list[Page] = []
    for file, tasks in exports:
        for task in tasks:
            where = f"{file}: task {task.get('id', '?')}"
            accepted = _accepted(task, where)
            if accepted is not None:
                image, writer = finder.find(_file_name(task, where)), writer_of(task["data"])
                if isinstance(accepted, str):
                    lines.append(Line(image, accepted, writer, source=source_name(path)))
                else:
                    pages.append((image, accepted[0], writer or image.stem, accepted[1]))
    if not lines and not pages:
        raise NetchuError(f"{path}: no task has an accepted annotation with a text; review some lines first")
    return lines + (cut_regions(pages, exports[0][0], images, source_name(path)) if pages else [])


def _tasks(path: Path) -> list[dict[str, Any]]:
    """The tasks of an export; none when the file is something else."""
    try:
        tasks = read_json(path)
    except NetchuError:
        return []
    good = isinstance(tasks, list) and all(
        isinstance(t, dict) and isinstance(t.get("data"), dict) and isinstance(t.get("annotations"), list)
        for t in tasks
    )
    return tasks if good else []


def _accepted(task: dict[str, Any], where: str) -> str | tuple[tuple[int, int], list[tuple[Corners, str]]] | None:
    """The first annotation that counts: the text of the whole image, or the image's frame and its regions."""
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        results = [(r.get("id") or n, r, r.get("value") or {}) for n, r in enumerate(annotation.get("result") or (), 1)]
        shapes = {key: (r, value) for key, r, value in reversed(results) if {"x", "points", "rle"} & value.keys()}
        choices: dict[Any, set[str]] = {}  # of a region, or at None of the whole image
        texts: dict[Any, list[str]] = {}
        for name, result, value in results:
            key = name if name in shapes else None
            chosen = {str(choice).strip().lower() for choice in value.get("choices", ())}
            choices[key] = choices.get(key, set()) | chosen
            if result.get("type") == "textarea":
                own = [value["text"]] if isinstance(value.get("text"), str) else value.get("text", ())
                texts.setdefault(key, []).extend(text.strip() for text in own if text.strip())
        kept = {key: " ".join(own) for key, own in texts.items() if own and not choices[key] & REFUSING}
        if choices.get(None, set()) & REFUSING:
            continue
        if regions := [(_shape(*shapes[key], where), text) for key, text in kept.items() if key is not None]:
            some = shapes[next(key for key in kept if key is not None)][0]
            return (int(some["original_height"]), int(some["original_width"])), regions
        if None in kept:
            return kept[None]
        own_text = task["data"].get("text")
        if choices.get(None, set()) & APPROVING and isinstance(own_text, str):
            return own_text.strip()
    return None


def _shape(result: dict[str, Any], value: dict[str, Any], where: str) -> Corners:
    """Corners in pixels of a rectangle, turned clockwise about its upper left corner, or of a polygon; both are said in
    percent of the image's sides."""
    where = f"{where}, region {result.get('id', '?')}"
    if result.get("image_rotation"):
        raise NetchuError(f"{where}: was drawn on a turned image; turn the image file itself and draw it again")
    try:
        sides = np.array([result["original_width"], result["original_height"]], dtype=np.float64) / 100
        if "points" in value:
            return line_corners(np.asarray(np.array(value["points"]).reshape(-1, 2) * sides, dtype=np.float32), where)
        width, height = np.array([value["width"], value["height"]]) * sides
        angle = np.deg2rad(float(value.get("rotation", 0)))
        right, down = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
        first = np.array([value["x"], value["y"]]) * sides
        if min(width, height) < 1:
            raise NetchuError(f"{where}: its rectangle has no area; correct or remove it")
        steps = (0 * right, width * right, width * right + height * down, height * down)
        return np.asarray([first + step for step in steps], dtype=np.float32)
    except (KeyError, TypeError, ValueError):
        raise NetchuError(f"{where}: is no rectangle or polygon in percent; draw it as one of these") from None


def _file_name(task: dict[str, Any], where: str) -> str:
    """Path a/x.jpg behind `s3://b/a/x.jpg`, `https://host/a/x.jpg?k=v` or `/data/local-files/?d=a/x.jpg`; the name
    x.jpg alone behind `/data/upload/7/x.jpg`, where 7 is a project."""
    data = task["data"]
    for key in ("image", "ocr", "img", *data):
        if isinstance(data.get(key), str):
            parts = urlsplit(data[key])
            path = Path(unquote(parse_qs(parts.query).get("d", [parts.path])[0]).lstrip("/"))
            if is_image_name(path):
                return path.name if path.parts[:2] == ("data", "upload") else path.as_posix()
    raise NetchuError(f"{where}: no field of its data names an image; expected data.image")


def read_sidecars(folder: Path) -> list[Line]:
    """Images with a JSON of the same name beside each, as review tools leave them: `corrected_text`, else `text`.

    An image without a JSON has not been reviewed and is left out. The sidecar's `writer` is kept. Raises NetchuError
    naming a sidecar without a text.
    """
    source = source_name(folder)
    lines = []
    for image in find_images(folder):
        path = image.with_suffix(".json")
        if not path.is_file():
            continue
        about = read_json(path)
        texts = [about[key] for key in SIDECAR_KEYS if isinstance(about, dict) and isinstance(about.get(key), str)]
        texts.sort(key=lambda text: not text.strip())  # an empty correction says nothing while another key has a text
        if not texts:
            raise NetchuError(f"{path}: has no text; expected one of {', '.join(SIDECAR_KEYS)}")
        lines.append(Line(image, texts[0].strip(), writer_of(about), source=source))
    if not lines:
        raise NetchuError(f"{folder}: no image has a JSON file of the same name beside it")
    return lines
