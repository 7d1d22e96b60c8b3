"""What was collected here goes on to other tools and comes back the same."""

import json
import sys
from pathlib import Path

import pytest

from netchu import cli
from netchu.commands.export_data import TARGETS
from netchu.core.errors import NetchuError
from netchu.core.images import read_image
from netchu.data.importing import read_sources
from netchu.data.layouts import READERS
from netchu.data.manifest import read_lines


@pytest.mark.parametrize("target", TARGETS)
def test_there_and_back(target: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = read_lines(manifest)[:5]
    arguments = ["netchu", "export-data", str(manifest), "--to", target, "--out", str(tmp_path / "out")]
    for _ in range(2):  # the second time over the first
        monkeypatch.setattr(sys, "argv", list(arguments))
        assert not cli.main()
    found = read_sources([("", tmp_path / "out")], tmp_path / "cut", {})
    assert len(found) == len(read_lines(manifest))
    for before, after in zip(lines, found[:5], strict=True):
        assert after.text == before.text
        assert abs(read_image(before.path).astype(int) - read_image(after.path)).mean() < 3
        if target in ("huggingface", "label-studio"):
            assert after.writer_id == before.writer_id
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(NetchuError, match=r"holds thesis\.txt"):
        cli.main()
    monkeypatch.setattr(sys, "argv", [*arguments[:-1], str(tmp_path / "out" / "thesis.txt")])
    with pytest.raises(NetchuError, match=r"thesis\.txt is a file\); choose another folder"):
        cli.main()
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_xml_with_entities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><alto>&a;</alto>')
    with pytest.raises(NetchuError, match="declares a document type or entities"):
        READERS["page-xml"](tmp_path, images=tmp_path)
    (tmp_path / "a.xml").write_text("<alto><TextLine></alto>")
    with pytest.raises(NetchuError, match="is not XML"):
        READERS["page-xml"](tmp_path, images=tmp_path)


def test_a_polygon_is_cut_by_its_box_and_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "0.png", "text": "a"}) + "\n{}\n")
    with pytest.raises(NetchuError, match=r"metadata\.jsonl:2: has no file_name and text"):
        READERS["huggingface"](tmp_path, images=tmp_path)
    (tmp_path / "0.gt.txt").write_text("one\ntwo\n")
    (tmp_path / "0.png").write_bytes(b"x")
    with pytest.raises(NetchuError, match=r"0\.gt\.txt: holds 2 lines"):
        READERS["pairs"](tmp_path, images=tmp_path)
