"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netchu.errors import NetchuError


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a temporary path in the target's folder; rename it to `target` on success, delete it on failure.

    The folder is made when it is missing. The temporary name keeps the target's suffix, since some writers
    choose their format by it. Raises NetchuError when the folder cannot be written or the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise NetchuError(f"{target}: cannot be written ({error.strerror}); choose another folder") from error
    temporary = Path(name)
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(target)
    except OSError as error:
        raise NetchuError(
            f"{target}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
