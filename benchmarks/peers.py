"""Published readers and trainers that the benchmarks measure beside this project, in a folder of their own."""

import site
import subprocess
import sys
from pathlib import Path

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
