"""Published readers and trainers that the benchmarks measure beside this project, in a folder of their own."""

import site
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from netchu.core.errors import NetchuError

PEERS = Path(__file__).resolve().parent / ".peers"


def install_peers(*packages: str) -> None:
    """Packages without their dependencies in PEERS, which joins the module path; what is there already stays."""
    missing = [p for p in packages if not any(PEERS.glob(f"{p.split('==')[0].replace('-', '_')}-*.dist-info"))]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEERS), *missing]
        if subprocess.run(command, check=False).returncode:
            raise NetchuError(f"{PEERS}: {' '.join(missing)} could not be installed; check the package index")
    site.addsitedir(str(PEERS))


# What a package that is not installed here stands for: its twin, or what it must not do without.
STANDS_FOR = {"opencv-python": ("opencv-python-headless",), "rapidocr": ("rapidocr", "onnxruntime")}


def installed_mb(name: str, own: Path | None = None) -> float | None:
    """10^6 bytes on the disk of a distribution and all that it requires; None where it is no Python package.

    `own`: the folder of its code, where it is installed from there. What is required and not installed counts nothing.
    """
    found: dict[str, int] = {}

    def add(required: str) -> None:
        if required in found:
            return
        try:
            there = distribution(required)
        except PackageNotFoundError:
            return
        files = own.rglob("*") if own and required == name else [file.locate() for file in there.files or ()]
        found[required] = sum(
            Path(str(file)).stat().st_size
            for file in files
            if Path(str(file)).is_file() and "__pycache__" not in str(file)
        )
        for line in there.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                for one in STANDS_FOR.get(requirement.name.lower(), (requirement.name.lower(),)):
                    add(one)

    for one in STANDS_FOR.get(name, (name,)):
        add(one)
    return sum(found.values()) / 1e6 if found else None
