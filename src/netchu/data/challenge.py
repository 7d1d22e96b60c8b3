"""Readers of published handwriting sets in the layout that they are handed out in: Kalapa, Cinnamon, IAM."""

from pathlib import Path

from netchu.core.errors import NetchuError
from netchu.core.image_files import list_files, natural_key
from netchu.core.tables import read_cells, read_text
from netchu.data.label_files import ImageFinder, read_json, source_name
from netchu.data.manifest import Line

IAM_FIELDS = 9  # line id, state, grey level, components, x, y, w, h, words


def read_kalapa(folder: Path) -> list[Line]:
    """Kalapa 2023: `annotations/<writer>.txt` with `<writer>/<n>.jpg<TAB>text`, beside `images/<writer>/<n>.jpg`.

    `folder` is the one that holds both, or its parent with `training_data` inside. Where a name has no folder, the
    annotation file's own name is the writer.
    """
    root = folder / "training_data" if (folder / "training_data").is_dir() else folder
    files = sorted(list_files(root / "annotations", ".txt"), key=lambda p: natural_key(p.name))
    if not files:
        raise NetchuError(f"{root}: no annotations/*.txt; expected the Kalapa layout with images/ and annotations/")
    return [
        Line(root / "images" / name, text, Path(name).parent.name or file.stem, source="kalapa")
        for file in files
        for name, text, *_ in read_cells(file)
    ]


def read_labels_json(folder: Path) -> list[Line]:
    """Cinnamon 2018: `labels.json` that maps image names to texts, images in `images/` or beside it."""
    path = folder / "labels.json"
    labels = read_json(path)
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise NetchuError(f"{path}: expected one object that maps image names to texts")
    root = folder / "images" if (folder / "images").is_dir() else folder
    source = source_name(folder)
    return [
        Line(root / name, text, source=source)
        for name, text in sorted(labels.items(), key=lambda kv: natural_key(kv[0]))
    ]


def read_iam(folder: Path) -> list[Line]:
    """IAM: `lines.txt` (or `ascii/lines.txt`) with the line images below; writers from `forms.txt` when it is there.

    A row is `a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop`: nine fields, words parted by a bar. Rows marked
    `err` are kept: by IAM's own note that concerns the cutting into words. Without `forms.txt` the form is the writer.
    """
    ascii_folder = folder if (folder / "lines.txt").is_file() else folder / "ascii"
    path = ascii_folder / "lines.txt"
    writers = _iam_writers(ascii_folder / "forms.txt")
    images = ImageFinder(folder)
    lines = []
    for number, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        fields = text.split(" ", IAM_FIELDS - 1)
        if len(fields) < IAM_FIELDS:
            raise NetchuError(f"{path}:{number}: has {len(fields)} fields, IAM's lines.txt has {IAM_FIELDS}")
        form = fields[0].rpartition("-")[0]
        image = images.find(f"lines/{form.split('-')[0]}/{form}/{fields[0]}.png")
        lines.append(Line(image, fields[-1].replace("|", " ").strip(), writers.get(form, form), source="iam"))
    if not lines:
        raise NetchuError(f"{path}: holds no rows; expected IAM's lines.txt")
    return lines


def _iam_writers(path: Path) -> dict[str, str]:
    """Writer of each form from `forms.txt`; nothing when the file is missing."""
    if not path.is_file():
        return {}
    rows = [row.split() for row in read_text(path).splitlines() if row.strip() and not row.startswith("#")]
    return {row[0]: row[1] for row in rows if len(row) > 1}
