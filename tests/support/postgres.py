"""A PostgreSQL server of the distribution's packages, for one test run, in a folder of its own under /tmp."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDERS = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
INITDB = str(FOLDERS[-1] / "initdb") if FOLDERS else shutil.which("initdb")
USER = "postgres"


def missing() -> str:
    """Why no server can be started here; empty when one can."""
    if INITDB is None:
        return "no PostgreSQL on this machine (Debian: postgresql)"
    if os.getuid() == 0 and not any(entry.pw_name == USER for entry in pwd.getpwall()):
        return f"PostgreSQL refuses to run as root, and there is no user {USER}"
    return ""


@contextmanager
def postgres() -> Iterator[str]:
    """URL of a running server, without the name of a database; it listens on a socket in its own folder only."""
    assert INITDB is not None
    folder = Path(tempfile.mkdtemp(prefix="netchu-postgres-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(folder, USER)
    as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
    control = [*as_user, str(Path(INITDB).with_name("pg_ctl")), "-D", str(folder / "data"), "-w"]
    made = [*as_user, INITDB, "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=100"
    try:
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        start = [*control, "-l", str(folder / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
        yield f"postgresql://{USER}@/{{}}?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
