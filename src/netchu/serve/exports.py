"""Kept samples as files to take away: a table, a spreadsheet, JSON lines, page layout, or training data.

Every writer gets samples in order and writes one file; names and texts are a stranger's, so nothing of them is ever a
formula of a spreadsheet or a path.
"""

import csv
import json
import zipfile
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from netchu.ctc.decoders import Reading
from netchu.reading.alto import write_alto
from netchu.reading.pages import ReadLine, box_of
from netchu.serve.samples import Samples
from netchu.serve.store import Sample
from netchu.serve.uploads import RefusalError

COLUMNS = ("number", "batch", "file", "page", "text", "checked", "confidence", "read_text", "id")
FORMULA = ("=", "+", "-", "@")  # beginnings that a spreadsheet may take for a formula


def row_of(sample: Sample) -> dict[str, Any]:
    """A sample as a row of COLUMNS."""
    placed = {"file": sample.name, "page": (sample.page or {}).get("number")}
    return {key: placed[key] if key in placed else getattr(sample, key) for key in COLUMNS}


def write_csv(path: Path, samples: Iterable[Sample], kept: Samples) -> None:
    """A table with a byte order mark, by which spreadsheets know UTF-8; a formula gets an apostrophe."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for sample in samples:
            writer.writerow([_plain(value) for value in row_of(sample).values()])


def write_xlsx(path: Path, samples: Iterable[Sample], kept: Samples) -> None:
    """A spreadsheet whose texts are texts, whatever they begin with."""
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
    except ImportError:
        raise RefusalError(422, "format=xlsx: openpyxl is not installed here; take csv", "no_xlsx") from None
    book = Workbook(write_only=True)
    sheet = book.create_sheet("netchu")
    sheet.freeze_panes = "A2"
    sheet.column_dimensions["E"].width = 60
    sheet.append(COLUMNS)
    for sample in samples:
        cells = []
        for value in row_of(sample).values():
            cell = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)
    book.save(path)


def write_jsonl(path: Path, samples: Iterable[Sample], kept: Samples) -> None:
    """All that is known of each sample, an object a line."""
    with path.open("w", encoding="utf-8") as stream:
        for sample in samples:
            stream.write(json.dumps(sample.facts(), ensure_ascii=False) + "\n")


def write_training(path: Path, samples: Iterable[Sample], kept: Samples) -> None:
    """Checked samples as training data: images/ and labels.tsv, which `netchu prepare --labels-tsv` takes once it is
    unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        rows = []
        for sample in samples:
            if sample.checked and sample.text:
                try:
                    archive.write(kept.picture(sample.id), f"images/{sample.id}.png")
                except FileNotFoundError:  # deleted meanwhile
                    continue
                rows.append(f"images/{sample.id}.png\t{sample.text}\t\n")
        archive.writestr("labels.tsv", "".join(rows))


def write_pages(path: Path, samples: Iterable[Sample], kept: Samples) -> None:
    """Samples that stand on pages as ALTO XML, one document a page, in an archive."""
    placed = sorted((sample for sample in samples if sample.page), key=_place)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, ((_, name, page, _), own) in enumerate(groupby(placed, key=_place), 1):
            lines = list(own)
            width, height = (lines[0].page or {})["size"]
            document = write_alto(name, (width, height), [_read_line(sample) for sample in lines])
            safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
            archive.writestr(f"{number:04d}-{safe}-{page}.xml", document)


def _place(sample: Sample) -> tuple[str, str, int, str]:
    """Batch, file and page of a sample; cameras give many photographs one name, so the page's id too."""
    page = sample.page or {}
    return sample.batch, sample.name, int(page["number"]), page.get("sheet", "")


def _read_line(sample: Sample) -> ReadLine:
    page = sample.page or {}
    corners = np.array(page["corners"], dtype=np.float64)
    reading = Reading(sample.text, 1.0 if sample.checked else sample.confidence or 0.0)
    return ReadLine(box_of(corners, page["size"]), corners, np.zeros((1, 1), np.uint8), reading)


Writer = Callable[[Path, Iterable[Sample], Samples], None]
FORMATS: dict[str, tuple[str, str, Writer]] = {  # format -> (suffix, media type, writer)
    "csv": ("csv", "text/csv; charset=utf-8", write_csv),
    "xlsx": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx),
    "jsonl": ("jsonl", "application/x-ndjson", write_jsonl),
    "alto": ("zip", "application/zip", write_pages),
    "training": ("zip", "application/zip", write_training),
}


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
