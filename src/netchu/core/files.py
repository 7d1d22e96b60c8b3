"""Files appear whole or not at all: written under a temporary name beside the target, then renamed."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from netchu.core.errors import NetchuError


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a temporary path in the target's folder; rename it to `target` on success, delete it on failure.

    The folder is made when it is missing, and goes again on failure. The temporary name keeps the target's suffix,
    since some writers choose their format by it. Raises NetchuError when the target is a folder, its folder cannot be
    written or the disk is full, and when another file that is read meanwhile cannot be.
    """
    target = Path(target)
    refuse_unwritable(target)
    with folder_for(target):
        with writing(target, "choose another folder"):
            handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
            os.close(handle)
        temporary = Path(name)
        try:
            with writing(target, "free some space or choose another folder"), _reading(temporary):
                yield temporary
                temporary.chmod(0o666 & ~_umask())  # only now, since a writer may have put a new file there
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_for(target: Path) -> Iterator[None]:
    """Make the folders that a target needs; when the block fails, those that were made and are empty go again. Raises
    NetchuError when one cannot be made."""
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        with writing(target, "choose another folder"):
            target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def refuse_unwritable(path: Path, *, folder: bool = False) -> None:
    """Raise NetchuError, before any work, when no file, or no `folder`, of that path can be written."""
    if path.is_dir() and not folder:
        raise NetchuError(f"{path}: is a folder; name a file in it")
    place = next(place for place in ([path] if folder else []) + [*path.parents] if place.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = "may not be written" if place.is_dir() else "is a file"
        raise NetchuError(f"{path}: cannot be written ({place} {reason}); choose another folder")


@contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """An OSError inside as the line that a file cannot be written, with its cause and a remedy."""
    try:
        yield
    except OSError as error:
        raise NetchuError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error


@contextmanager
def _reading(temporary: Path) -> Iterator[None]:
    """An OSError inside that names another file than what is written as `temporary`, as the line that it cannot be
    read. A full disk is no such one: a copy names its source then."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or not isinstance(error.filename, str) or temporary.stem in error.filename:
            raise
        raise NetchuError(
            f"{error.filename}: cannot be read ({error.strerror}); put it right or name another"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically, its line ends as they are."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_foreign_folder(folder: Path, own: Iterable[str]) -> None:
    """Raise NetchuError when a folder that is to be replaced holds a file that fits none of the patterns `own`."""
    if folder.is_dir():
        for name in sorted(path.name for path in folder.iterdir()):
            if not any(fnmatch(name, pattern) for pattern in own):
                raise NetchuError(f"{folder}: holds {name}, which would be lost; choose an empty or another folder")


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside the target; on success it takes the target's place, else it is deleted.

    A folder that stood there before goes when the new one is whole (`refuse_foreign_folder` first, where a person
    named it). Raises NetchuError when nothing can be written, or a file stands there.
    """
    refuse_unwritable(target, folder=True)
    with folder_for(target):
        with writing(target, "choose another folder"):
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            temporary.chmod(0o777 & ~_umask())
        old = temporary.with_name(f"{temporary.name}.old")
        try:
            with writing(target, "free some space or choose another folder"), _reading(temporary):
                yield temporary
                if target.exists():
                    target.rename(old)
                temporary.rename(target)
        finally:
            if old.exists() and not target.exists():
                old.rename(target)
            for leftover in (temporary, old):
                shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[bool]:
    """Hold a lock file, which the system lets go when the process ends; yields False when another process has held it
    for so many seconds. Raises NetchuError when the file cannot be written."""
    from filelock import FileLock, Timeout  # reading does without it

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=seconds, thread_local=False)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise NetchuError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        yield True
    finally:
        lock.release()


def read_report(folder: Path) -> dict[str, Any]:
    """The `report.json` of a run's folder; empty where a run has not come so far, or the file is another one."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) and "config" in report else {}


def read_log(path: Path) -> list[dict[str, Any]]:
    """Records of a log; a last line cut short by a crash is left out."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():  # cut short within a letter, too
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by people."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
