"""Readers: every layout on a tiny sample in its real format, and what a wrong row or a missing image says."""

import json
import re
from pathlib import Path

import pytest

from netchu.errors import NetchuError
from netchu.readers import READERS, find_images, natural_key, read_table


@pytest.fixture
def samples(tmp_path: Path, lines_folder: Path) -> dict[str, Path]:
    """One folder a reader, each with the same two lines of one writer."""
    jpeg = (lines_folder / "images/0/0.jpg").read_bytes()
    kalapa = tmp_path / "kalapa" / "training_data"
    (kalapa / "images" / "7").mkdir(parents=True)
    (kalapa / "annotations").mkdir()
    (kalapa / "annotations" / "7.txt").write_text("7/2.jpg\tHà Nội\n\n7/10.jpg\tHue\u0302\u0301\n", encoding="utf-8")
    cinnamon = tmp_path / "cinnamon" / "train"
    (cinnamon / "images").mkdir(parents=True)
    labels = {"2.jpg": "Hà Nội", "10.jpg": "Huế"}
    (cinnamon / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    table = tmp_path / "table"
    (table / "images").mkdir(parents=True)
    (table / "labels.tsv").write_text("images/2.jpg\tHà Nội\tan\nimages/10.jpg\tHuế\n", encoding="utf-8")
    for folder in (kalapa / "images" / "7", cinnamon / "images", table / "images"):
        for name in labels:
            (folder / name).write_bytes(jpeg)
    return {"kalapa": kalapa.parent, "labels-json": cinnamon, "labels-tsv": table, "synthetic": table}


@pytest.mark.parametrize("name", READERS)
def test_every_reader(name: str, samples: dict[str, Path]) -> None:
    lines = READERS[name](samples[name])
    assert [(line.path.name, line.text) for line in lines] == [("2.jpg", "Hà Nội"), ("10.jpg", "Huế")]
    assert all(line.path.is_file() and line.source and line.fold == -1 for line in lines)
    assert all(line.is_real == (name != "synthetic") for line in lines)


def test_sources_and_writers(samples: dict[str, Path]) -> None:
    assert {(x.source, x.writer_id) for x in READERS["kalapa"](samples["kalapa"])} == {("kalapa", "7")}
    assert {(x.source, x.writer_id) for x in READERS["labels-json"](samples["labels-json"])} == {("cinnamon", "")}
    assert [x.writer_id for x in READERS["labels-tsv"](samples["labels-tsv"])] == ["an", ""]


def test_wrong_rows_are_named(samples: dict[str, Path]) -> None:
    annotations = samples["kalapa"] / "training_data" / "annotations" / "7.txt"
    annotations.write_text("7/2.jpg\tHà Nội\n7/10.jpg Huế\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=re.escape(f"{annotations}:2: expected 2 columns")):
        READERS["kalapa"](samples["kalapa"])
    annotations.write_text("7/3.jpg\tHà Nội\n", encoding="utf-8")
    with pytest.raises(NetchuError, match=r"names .*3\.jpg, which is missing"):
        READERS["kalapa"](samples["kalapa"])
    annotations.write_bytes("7/2.jpg\tHà Nội\n".encode("utf-16"))
    with pytest.raises(NetchuError, match="is not UTF-8"):
        READERS["kalapa"](samples["kalapa"])
    labels = samples["labels-json"] / "labels.json"
    labels.write_text('{"2.jpg": "Hà Nội",\n}', encoding="utf-8")
    with pytest.raises(NetchuError, match=re.escape("labels.json:2: is not JSON")):
        READERS["labels-json"](samples["labels-json"])
    labels.write_text('["2.jpg"]', encoding="utf-8")
    with pytest.raises(NetchuError, match="expected one object"):
        READERS["labels-json"](samples["labels-json"])


@pytest.mark.parametrize("name", READERS)
def test_folder_of_another_layout(name: str, tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match=r"no annotations|no such file"):
        READERS[name](tmp_path)


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


def test_no_folder_and_no_images(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match="no such folder"):
        find_images(tmp_path / "none")
    with pytest.raises(NetchuError, match="holds no images"):
        find_images(tmp_path)
