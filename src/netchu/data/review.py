"""Readers of what review tools leave: Label Studio's JSON export, and images with a JSON sidecar each."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from netchu.core.errors import NetchuError
from netchu.core.image_files import IMAGE_SUFFIXES, find_images, is_image_name, list_files, walk
from netchu.data.label_files import ImageFinder, read_json, source_name
from netchu.data.manifest import Line

REFUSING = frozenset(
    {"reject", "rejected", "bad", "skip", "unreadable", "illegible", "unusable", "discard", "delete", "blank", "empty"}
)  # choices with which a reviewer gives a line up
APPROVING = frozenset({"accept", "accepted", "approve", "approved", "correct", "right", "ok", "good", "yes"})
SIDECAR_KEYS = ("corrected_text", "corrected", "text", "label", "transcription")


def is_label_studio(path: Path) -> bool:
    """Whether a JSON file, or one of a folder, is a list of tasks with annotations."""
    return any(_tasks(file) for file in _json_files(path))


def read_label_studio(path: Path) -> list[Line]:
    """Label Studio: a JSON export, or a folder with one; the first accepted annotation of each task.

    An annotation counts when it was not cancelled, has no refusing choice (see REFUSING) and has a text: its textarea,
    or the task's own `text` where a choice approves of that. Tasks without one are left out. s3, http and local paths
    are reduced to the file's name, which is looked for below the export's folder. The task's `writer` is kept.
    """
    exports = [(file, tasks) for file in _json_files(path) if (tasks := _tasks(file))]
    if not exports:
        raise NetchuError(f"{path}: no such file of Label Studio tasks; export them as JSON (not JSON-MIN)")
    folder = path if path.is_dir() else path.parent
    finder = ImageFinder(folder)
    lines = []
    for file, tasks in exports:
        for task in tasks:
            where = f"{file}: task {task.get('id', '?')}"
            text = _accepted_text(task, where)
            if text is not None:
                image = finder.find(_file_name(task, where))
                lines.append(Line(image, text, _writer(task["data"]), source=source_name(path)))
    if not lines:
        raise NetchuError(f"{path}: no task has an accepted annotation with a text; review some lines first")
    return lines


def _json_files(path: Path) -> list[Path]:
    """The exports that a path may mean."""
    if path.is_dir():
        return [file for file in list_files(path, ".json") if file.name != "labels.json"]
    return list_files(path, ".json")


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


def _accepted_text(task: dict[str, Any], where: str) -> str | None:
    """Text of the first annotation that counts; raises NetchuError for texts that belong to a part of the image."""
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        choices: set[str] = set()
        texts: list[str] = []
        for result in annotation.get("result") or ():
            value = result.get("value") or {}
            choices |= {str(choice).strip().lower() for choice in value.get("choices", ())}
            if result.get("type") == "textarea":
                if "x" in value or "points" in value:
                    raise NetchuError(f"{where}: its text belongs to a box in the image; export one image a line")
                texts += [value["text"]] if isinstance(value.get("text"), str) else value.get("text", ())
        if choices & REFUSING:
            continue
        if any(text.strip() for text in texts):
            return " ".join(text.strip() for text in texts if text.strip())
        own = task["data"].get("text")
        if choices & APPROVING and isinstance(own, str):
            return own.strip()
    return None


def _writer(about: dict[str, Any]) -> str:
    """The writer that a task or sidecar names; nothing where it is null."""
    writer = about.get("writer_id", about.get("writer"))
    return "" if writer is None else str(writer)


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


def is_sidecars(path: Path) -> bool:
    """Whether some image of a folder has a JSON file of the same name beside it."""
    return path.is_dir() and any(
        any(file.with_suffix(suffix).is_file() for suffix in IMAGE_SUFFIXES)
        for file in walk(path)
        if file.suffix.lower() == ".json" and file.name != "labels.json"
    )


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
        lines.append(Line(image, texts[0].strip(), _writer(about), source=source))
    if not lines:
        raise NetchuError(f"{folder}: no image has a JSON file of the same name beside it")
    return lines
