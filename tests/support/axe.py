"""axe-core, which checks a page for accessibility: fetched by npm for a test run, never part of the repository."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "axe-core@4.10.3"
SECONDS = 120  # for npm


@cache
def axe_source() -> str:
    """The script; skips the test where npm or its registry cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine, which fetches axe-core")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            folder,
            PACKAGE,
        ]
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip("npm did not fetch axe-core in time")
        if made.returncode:
            pytest.skip(f"npm cannot fetch {PACKAGE}: {made.stderr.strip()[-200:]}")
        return (Path(folder) / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
