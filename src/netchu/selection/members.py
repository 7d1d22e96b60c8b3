"""Members of an ensemble as selection sees them: a bundle, its out-of-fold outputs, its speed on this machine."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from netchu.core.budget import measure
from netchu.core.config import from_dict
from netchu.core.errors import NetchuError
from netchu.core.preprocess import Geometry
from netchu.model.bundle import read_stored
from netchu.model.graph import add_graph
from netchu.reading.combination import FramePositions, frame_positions
from netchu.reading.engines import Member as Reader
from netchu.reading.engines import open_member
from netchu.selection.out_of_fold import OutOfFold, load_oof, merge_oof

TIMED = 8  # lines that a member's speed is measured on


@dataclass(frozen=True, slots=True)
class Member:
    """A bundle to deploy and what its runs said of lines that they never saw."""

    bundle: Path
    oof: OutOfFold


def read_member(argument: str) -> Member:
    """The member of `RUN_FOLDER` or `BUNDLE=OOF[,OOF...]`; raises NetchuError for a missing file, or outputs of a model
    of another charset or geometry."""
    bundle, equals, files = argument.partition("=")
    folder = Path(argument)
    path = Path(bundle) if equals else folder / "best.safetensors"
    parts = [Path(file) for file in files.split(",")] if equals else [folder / "oof.npz"]
    measure([path])
    oof, (_, about) = merge_oof([load_oof(part) for part in parts]), read_stored(path)
    cfg, shape = from_dict(about["config"], str(path)), replace(oof.geometry, stretch=1.0)
    measured = (oof.charset.characters, oof.width_stride, shape)
    if measured != (about["charset"], cfg.width_stride, Geometry.of(cfg)):
        raise NetchuError(f"{path}: has another charset or geometry than the model behind {parts[0]}; pair them anew")
    return Member(path, oof)


def align(members: Sequence[Member]) -> list[Member]:
    """The members with the lines that all of them have, in one order.

    Raises NetchuError when charsets differ or no line is common.
    """
    first = members[0]
    common = set(first.oof.ids).intersection(*(m.oof.ids for m in members))
    for member in members:
        if member.oof.charset != first.oof.charset:
            raise NetchuError(f"{member.bundle}: its charset differs from that of {first.bundle}; use one manifest")
    if not common:
        raise NetchuError(f"{members[-1].bundle}: shares no held-out line with the others; hold out the same folds")
    order = sorted(common)
    return [Member(m.bundle, m.oof.at([m.oof.ids.index(name) for name in order])) for m in members]


def positions_of(oof: OutOfFold, i: int) -> FramePositions:
    """Where the frames of line i stand."""
    return frame_positions(len(oof.log_probs[i]), oof.width_stride, oof.geometry, oof.widths[i])


def time_members(members: Sequence[Member]) -> list[float]:
    """Seconds a line of each bundle, one line at a time, on blank lines as wide as the held-out ones, with the engine
    that a release of it is read with here."""
    seconds = []
    with TemporaryDirectory() as folder:
        opened: dict[Path, Reader] = {}
        for member in members:
            if member.bundle not in opened:
                opened[member.bundle] = _open_as_released(member.bundle, Path(folder) / f"{len(opened)}.safetensors")
            reader, oof = opened[member.bundle], member.oof
            widths = sorted(oof.widths)[:: max(1, len(oof.widths) // TIMED)][:TIMED]
            inputs = [np.zeros((1, oof.geometry.height, oof.geometry.input_width(w)), np.float32) for w in widths]
            reader.predict(inputs[:1], batch_size=1)
            seconds.append(float(np.mean([p.seconds for p in reader.predict(inputs, batch_size=1)])))
    return seconds


def _open_as_released(bundle: Path, copy: Path) -> Reader:
    """The bundle with a graph, as `netchu release` gives it one; as it is where none can be made."""
    shutil.copyfile(bundle, copy)
    try:
        add_graph(copy)
    except (ImportError, NetchuError):  # no exporter, or one that refuses the network: PyTorch will read it
        return open_member(bundle)
    return open_member(copy)
