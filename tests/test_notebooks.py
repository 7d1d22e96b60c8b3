"""Both notebooks run from the first cell to the last, each in a folder as its user has it."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from netchu.model.bundle import save_bundle
from tests.support.bundles import sharp_bundle
from tests.support.tiny import CHARSET, ROOT

NOTEBOOKS = ROOT / "notebooks"


def execute(name: str, folder: Path, **parameters: object) -> str:
    """Run a notebook in `folder` with some of its parameters replaced; everything that its cells printed."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    for key, value in parameters.items():
        assert f"{key} = " in cell.source, f"{name} has no parameter {key}"
        cell.source += f"\n{key} = {value!r}"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for c in notebook.cells if c.cell_type == "code" for output in c.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return "".join(output.get("text", "") for output in outputs) + f"{pictures} pictures"


def test_quickstart(tmp_path: Path) -> None:
    (tmp_path / "synthetic_data").symlink_to(ROOT / "synthetic_data")
    printed = execute("quickstart.ipynb", tmp_path, LINES=96, EPOCHS=2)
    assert "lines: 96 lines, by fold" in printed and "kalapa_score" in printed and printed.endswith("2 pictures")
    assert (tmp_path / "outputs/quickstart/quickstart_f0/best.safetensors").is_file()


def test_submission(tmp_path: Path, lines_folder: Path) -> None:
    source = tmp_path / "source"  # built from a copy, so that no build folder appears in the repository
    shutil.copytree(ROOT / "src" / "netchu", source / "src" / "netchu", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path / "wheels"), str(source)], check=True)
    bundle = sharp_bundle("bilstm")
    save_bundle(tmp_path / "bundles/one.safetensors", bundle.model, bundle.cfg, CHARSET, metrics={}, hashes={})
    (tmp_path / "images").symlink_to(lines_folder / "images")
    printed = execute("submission.ipynb", tmp_path, BUDGET_SECONDS=30.0)
    assert f"netchu from {tmp_path / 'packages'}" in printed
    assert "budget 50 MB" in printed and "one at a time" in printed
    rows = (tmp_path / "submission.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id,answer,elapsed_time" and len(rows) == 1 + len(list(lines_folder.glob("images/*/*.jpg")))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(not c.outputs and c.execution_count is None for c in notebook.cells if c.cell_type == "code")
