"""Registered models: netchu registry add|list|show|promote, over `models/registry.json`.

An entry is known by the hash of its weights and holds a copy of the bundle, the hash of the manifest it was trained on,
its config and metrics, and its parent: the entry whose weights it started from. One entry may be promoted. The file is
written whole under a lock, so that any number of processes can work on it.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path, file_lock, hash_file, write_json
from netchu.data.label_files import read_json
from netchu.model.bundle_file import read_arrays

FORMAT = 1
ID_LENGTH = 12  # hex digits of the weights' hash
LOCK_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered bundle. `file` is relative to the registry's folder, `sha256` that of the whole file."""

    id: str
    name: str
    file: str
    sha256: str
    weights: str
    manifest: str
    parent: str
    added: str
    promoted: bool
    note: str
    metrics: dict[str, Any]
    config: dict[str, Any]


class Registry:
    """The registry of a folder."""

    def __init__(self, folder: Path = Path("models")) -> None:
        self.folder = folder
        self.path = folder / "registry.json"

    def entries(self) -> list[Entry]:
        """All entries, the oldest first; raises NetchuError when the folder is a file, and when the registry's own file
        is damaged or of another format."""
        if self.folder.is_file():
            raise NetchuError(f"{self.folder}: is a file; name the folder of a registry with --models")
        if not self.path.exists():
            return []
        content = read_json(self.path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise NetchuError(
                f"{self.path}: is no registry of format {FORMAT}; restore it or use another --models folder"
            )
        names = {field.name for field in fields(Entry)}
        for row in content["entries"]:
            if set(row) != names:
                odd = sorted(set(row) ^ names)
                raise NetchuError(f"{self.path}: entry {row.get('id')}: field {odd[0]!r} is missing or unknown")
        return [Entry(**row) for row in content["entries"]]

    def find(self, key: str) -> Entry:
        """The entry with that id (or the beginning of one), or the newest of that name; `promoted` is the promoted one.

        Raises NetchuError when there is none, or when several ids begin so.
        """
        entries = self.entries()
        if key == "promoted":
            matching = [entry for entry in entries if entry.promoted]
        else:
            matching = [e for e in entries if e.name == key][-1:] or [e for e in entries if e.id.startswith(key)]
        if len(matching) > 1:
            raise NetchuError(f"{self.path}: {key} may be {' or '.join(e.id for e in matching[:3])}; give more digits")
        if not matching:
            raise NetchuError(f"{self.path}: no entry {key!r}; see netchu registry list")
        return matching[0]

    def bundle(self, entry: Entry) -> Path:
        """Path of an entry's bundle; raises NetchuError when it is missing or not what was registered."""
        path = self.folder / entry.file
        if not self._is_sound(entry):
            raise NetchuError(f"{path}: is missing or was changed; register the bundle of {entry.name} again")
        return path

    def add(self, bundle: Path, *, parent: str = "", note: str = "", amend: bool = False) -> Entry:
        """Copy a bundle into the folder and register it; the same weights are registered only once.

        The parent is the given entry, else the one with the weights of the bundle that the config started from. With
        `amend` a parent and a note are taken by an entry that was there before, too.
        Raises NetchuError for a bundle that is missing or damaged, or a parent that is unknown or itself.
        """
        _, about = read_arrays(bundle)
        weights = about["hashes"]["weights"]
        with self._changing() as entries:
            known = {entry.weights: entry for entry in entries}
            named = self.find(parent).id if parent else ""
            if weights in known:
                entry = known[weights]
                if named == entry.id:
                    raise NetchuError(f"--parent {parent}: is the bundle itself; name the one that it started from")
                if not self._is_sound(entry):
                    self._copy(bundle, entry.file)
                    entry = replace(entry, sha256=hash_file(bundle))
                if amend:
                    entry = replace(entry, parent=named or entry.parent, note=note or entry.note)
                entries[:] = [entry if other.id == entry.id else other for other in entries]
                return entry
            config = about["config"]
            entry = Entry(
                id=weights[:ID_LENGTH],
                name=config["name"],
                file=f"{PurePosixPath(config['name']).name}-{weights[:ID_LENGTH]}.safetensors",
                sha256=hash_file(bundle),
                weights=weights,
                manifest=about["hashes"].get("manifest", ""),
                parent=named or _parent(config.get("load_weight", ""), known),
                added=datetime.now(UTC).isoformat(timespec="seconds"),
                promoted=False,
                note=note,
                metrics=about["metrics"],
                config=config,
            )
            self._copy(bundle, entry.file)
            entries.append(entry)
        return entry

    def promote(self, key: str) -> Entry:
        """Make an entry the promoted one, in place of the one before; raises NetchuError when its bundle is damaged."""
        with self._changing() as entries:
            chosen = self.find(key)
            self.bundle(chosen)
            entries[:] = [replace(entry, promoted=entry.id == chosen.id) for entry in entries]
        return replace(chosen, promoted=True)

    def _is_sound(self, entry: Entry) -> bool:
        """Whether an entry's bundle is there, as it was registered."""
        path = self.folder / entry.file
        return path.is_file() and hash_file(path) == entry.sha256

    def _copy(self, bundle: Path, name: str) -> None:
        with atomic_path(self.folder / name) as temporary:
            shutil.copyfile(bundle, temporary)

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """The entries, to be changed in place; written when the block ends well. Other processes wait."""
        with file_lock(self.folder / ".registry.lock", LOCK_SECONDS) as mine:
            if not mine:
                raise NetchuError(f"{self.path}: another process holds it for long; try again")
            entries = self.entries()
            yield entries
            write_json(self.path, {"format": FORMAT, "entries": [asdict(entry) for entry in entries]})


def _parent(load_weight: str, known: dict[str, Entry]) -> str:
    """Id of the entry with the weights that a run started from; "" when it started from none that is known."""
    if not load_weight or not Path(load_weight).is_file():
        return ""
    _, about = read_arrays(Path(load_weight))
    entry = known.get(about["hashes"]["weights"])
    return entry.id if entry else ""


def describe_entries(entries: list[Entry]) -> str:
    """A table of entries, the promoted one marked."""
    rows = [f"  {'id':12}  {'kalapa':>7} {'CER %':>6}  {'added':19}  {'parent':12}  name"]
    for entry in entries:
        m = entry.metrics
        scores = f"{m['kalapa_score']:7.4f} {100 * m['cer']:6.2f}" if "kalapa_score" in m else f"{'':14}"
        mark = "*" if entry.promoted else " "
        rows.append(
            f"{mark} {entry.id}  {scores}  {entry.added[:19]}  {entry.parent or '-':12}  {entry.name} {entry.note}"
        )
    return "\n".join(row.rstrip() for row in rows)


def main() -> None:
    """Run one command on the registry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="folder of the registry")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="register a bundle")
    add.add_argument("bundle", type=Path, metavar="FILE")
    add.add_argument("--parent", default="", metavar="ID", help="where it cannot be told from the config")
    add.add_argument("--note", default="")
    add.add_argument("--promote", action="store_true", help="and promote it")
    commands.add_parser("list", help="all entries, the promoted one marked")
    show = commands.add_parser("show", help="one entry as JSON")
    show.add_argument("entry", metavar="ID", help="an id, its beginning, a name, or: promoted")
    show.add_argument("--path", action="store_true", help="only the path of its bundle, for scripts")
    promote = commands.add_parser("promote", help="make an entry the one to use")
    promote.add_argument("entry", metavar="ID")
    args = parser.parse_args()

    registry = Registry(args.models)
    if args.command == "add":
        entry = registry.add(args.bundle, parent=args.parent, note=args.note, amend=True)
        if args.promote:
            registry.promote(entry.id)
        print(
            f"{registry.path}: {entry.id} {entry.name}, parent {entry.parent or 'none'}" + ", promoted" * args.promote
        )
    elif args.command == "list":
        print(describe_entries(registry.entries()))
    elif args.command == "promote":
        print(f"{registry.path}: {registry.promote(args.entry).id} is promoted")
    else:
        entry = registry.find(args.entry)
        print(registry.bundle(entry) if args.path else json.dumps(asdict(entry), ensure_ascii=False, indent=2))
