"""What a run is made of: one frozen dataclass, read from `configs/NAME.py` and changed only by overrides.

Its fields stand in groups. What a resumed run may change, what makes two bundles compatible and what a report shows is
derived from the groups and from marks on fields (`names`, `marked`), so a new field is written in one place.

`load_config("b0_192_f5", fold=0, overrides=["lr=1e-3"])` imports the module, takes its `cfg`, names it after the
file stem (with the fold that is really held out) and returns a new object. Nothing writes to a config: derived
values are properties, and the resolved config travels inside the bundle, so inference never imports `configs/`.
"""

import ast
import dataclasses
import importlib.util
import math
import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

from netchu.core.errors import NetchuError, closest

ROOT = Path(__file__).resolve().parents[3]  # the repository, where the package is installed in place
RETIRED = frozenset({"schedule", "augment_ramp"})  # in bundles of earlier versions
ALL_DATA_FOLD = 5  # this fold trains on every line, so it has no held-out figure
SEEDS = 1 << 31
UNDER_ONE = ("dropout", "ema_decay", "warmup", "teacher_weight")
NOT_NEGATIVE = (
    "epoch_lines", "batch_pixels", "average_epochs", "validate_steps", "patience", "weight_decay", "threads", "workers",
    "shortcut_weight", "cache_mb",
)  # fmt: skip
POSITIVE = ("hidden", "neck_layers", "epochs", "batch_size", "accumulate", "validate_every", "keep_states")

PATH = {"path": True}  # metadata of a field that names a file or folder of this machine
OF_RUN = {"of_run": True}  # metadata of a field in which a measured run and its refit may differ


@dataclass(frozen=True, kw_only=True)
class InputFields:
    """How a line becomes the network's input."""

    height: int = 48  # pixels
    max_width: int = 2048  # pixels; wider lines are squeezed to it
    pad: int = 8  # paper added left and right, pixels


@dataclass(frozen=True, kw_only=True)
class ModelFields:
    """What the tensors of a bundle depend on: two bundles that agree here have the same network."""

    backbone: str = "tf_efficientnetv2_b0"  # a timm name or a key of backbones.BACKBONES
    stages: int = 4  # feature levels kept; 4 ends at stride 16, 5 at stride 32
    width_stride: int = 8  # pixels a time step: 4, 8, 16 or 32
    pool: str = "max"  # a key of recogniser.POOLS: how the rows of a feature map become one column
    neck: str = "bilstm"  # a key of necks.NECKS
    hidden: int = 192
    neck_layers: int = 2


@dataclass(frozen=True, kw_only=True)
class DataFields:
    """What is learnt from."""

    manifest: str = field(default="data/train_folds.csv", metadata=PATH | OF_RUN)  # may be empty with synthetic_source
    fold: int = field(default=ALL_DATA_FOLD, metadata=OF_RUN)
    seed: int = 0
    augment: str = "ink"  # a key of augment.AUGMENTS
    synthetic_share: float = 0.5  # share of synthetic lines in an epoch, when the manifest has both kinds
    helping_share: float = 0.0  # share of helping lines in an epoch: real handwriting of another kind
    synthetic_source: str = ""  # synthetic lines rendered while training: address, poems or address+poems
    epoch_lines: int = 0  # lines an epoch draws; 0: as many as there are real ones (or synthetic ones, without real)


@dataclass(frozen=True, kw_only=True)
class TrainingFields:
    """How it is learnt."""

    pretrained: bool = True  # ImageNet weights from the hub
    load_weight: str = field(default="", metadata=PATH | OF_RUN)  # a bundle to start from
    teacher: str = field(default="", metadata=PATH | OF_RUN)  # a bundle whose outputs are learnt beside the labels
    teacher_weight: float = 0.5  # of its outputs in the loss; the labels have the rest
    dropout: float = 0.2
    epochs: int = 30
    batch_size: int = 16  # lines
    batch_pixels: int = 0  # at most so many pixels in a batch, padding included: wide lines come in smaller batches
    accumulate: int = 1  # batches whose gradients make one step of the optimiser
    lr: float = 2e-3
    layer_decay: float = 1.0  # factor of the learning rate for each stage farther from the head, for fine-tuning
    warmup: float = 0.1  # share of all steps
    weight_decay: float = 0.01  # of weights; norms and biases do not decay
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    average_epochs: int = 0  # the averaged weights of so many last epochs are averaged once more and tried at the end
    shortcut_weight: float = 0.1  # loss of the training-only CTC head before the neck
    precision: str = "auto"  # auto, fp32, bf16 or fp16
    channels_last: bool = True  # memory format of images and features
    compile: bool = field(default=False, metadata=OF_RUN)  # torch.compile; wants a C++ compiler
    grad_checkpointing: bool = False  # compute features of the backbone twice and keep less of them in memory
    validate_every: int = field(default=1, metadata=OF_RUN)  # epochs
    validate_steps: int = field(default=0, metadata=OF_RUN)  # validate after so many batches instead
    patience: int = 0  # validations without a better kalapa_score after which training ends; 0: never


@dataclass(frozen=True, kw_only=True)
class MachineFields:
    """Where and how fast a run runs; may change while it does, and says nothing of the model."""

    workers: int = 1
    threads: int = 0  # of torch on the CPU; 0: its own choice
    cache_mb: int = 4096  # decoded lines kept in memory, 10^6 bytes
    keep_states: int = 2  # newest resume states that are kept
    output_dir: str = field(default="outputs", metadata=PATH)
    trackers: str = ""  # keys of trackers.TRACKERS by comma, or none; empty: TensorBoard where it is installed


@dataclass(frozen=True, kw_only=True)
class Config(MachineFields, TrainingFields, DataFields, ModelFields, InputFields):
    """One training run. Values are JSON values; components are named, never passed as objects."""

    name: str = ""  # file stem with the held-out fold; set by load_config

    def __post_init__(self) -> None:
        """Refuse values that no run could use; raises NetchuError naming the field."""
        shares = self.helping_share + self.synthetic_share
        checks: list[tuple[str, bool, str]] = [
            ("fold", 0 <= self.fold <= ALL_DATA_FOLD, f"0 to {ALL_DATA_FOLD}"),
            ("width_stride", self.width_stride in (4, 8, 16, 32), "4, 8, 16 or 32"),
            ("stages", 1 <= self.stages <= 5, "1 to 5"),
            ("height", 16 <= self.height <= 256, "16 to 256"),
            ("max_width", self.max_width >= self.height, "at least the height"),
            ("pad", 0 <= 2 * self.pad < self.max_width, "0 or more, and twice it under max_width"),
            ("seed", 0 <= self.seed < SEEDS, f"0 to {SEEDS - 1}"),
            ("clip_norm", self.clip_norm > 0, "above 0"),
            ("layer_decay", 0 < self.layer_decay <= 1, "above 0 and at most 1"),
            ("synthetic_share", 0 <= self.synthetic_share <= 1, "0 to 1"),
            ("helping_share", 0 <= self.helping_share <= 1, "0 to 1"),
            ("helping_share", not self.helping_share or shares <= 1, "at most 1 together with synthetic_share"),
            ("lr", self.lr > 0, "above 0"),
            ("precision", self.precision in ("auto", "fp32", "bf16", "fp16"), "auto, fp32, bf16 or fp16"),
            *((key, 0 <= getattr(self, key) < 1, "at least 0 and under 1") for key in UNDER_ONE),
            *((key, getattr(self, key) >= 0, "0 or more") for key in NOT_NEGATIVE),
            *((key, getattr(self, key) >= 1, "at least 1") for key in POSITIVE),
            *(
                (f.name, math.isfinite(getattr(self, f.name)), "a finite number")
                for f in fields(self)
                if f.type is float
            ),
        ]
        for key, good, allowed in checks:
            if not good:
                name = self.name or "(unnamed)"
                raise NetchuError(f"config {name}: {key}={getattr(self, key)!r}; allowed: {allowed}")

    @property
    def holds_out(self) -> bool:
        """Whether some fold is kept aside for validation."""
        return self.fold != ALL_DATA_FOLD

    @property
    def run_dir(self) -> Path:
        """Folder of everything that this run writes."""
        return Path(self.output_dir) / (self.name or "unnamed")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready mapping of every field."""
        return dataclasses.asdict(self)


def names(*groups: type) -> frozenset[str]:
    """Names of the fields of groups such as ModelFields."""
    return frozenset(f.name for group in groups for f in fields(group))


def marked(mark: Mapping[str, Any]) -> frozenset[str]:
    """Names of the fields whose metadata hold a mark such as PATH."""
    return frozenset(f.name for f in fields(Config) if mark.items() <= f.metadata.items())


GEOMETRY = names(InputFields, ModelFields)  # what bundles must share to stand for one another
DEFAULTS = {f.name: f.default for f in fields(Config)}


def differing(one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """Those of the fields that differ in two configs as mappings; older ones lack newer fields, which count by their
    defaults."""
    return [key for key in sorted(keys) if one.get(key, DEFAULTS[key]) != other.get(key, DEFAULTS[key])]


def portable_path(path: str) -> str:
    """A path for others' eyes, without the maker's machine: of an absolute one the last two parts, of a folder one."""
    pure = PureWindowsPath(path) if "\\" in path else PurePosixPath(path)
    return "/".join(pure.parts[-2:] if pure.suffix else pure.parts[-1:]) if pure.is_absolute() else path


def from_dict(values: Mapping[str, Any], where: str) -> Config:
    """Build a Config from JSON values; unknown keys and wrong types raise NetchuError naming `where`.

    Fields of earlier versions that say nothing any more (RETIRED) are passed over.
    """
    return Config(**{key: _typed(key, value, where) for key, value in values.items() if key not in RETIRED})


def load_config(
    name: str,
    *,
    fold: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    folder: Path = Path("configs"),
) -> Config:
    """Read `folder/name.py`, apply `key=value` overrides, and name the result after its real fold.

    Raises NetchuError for a missing config (with the closest name), an unknown key, a value of the wrong type, or two
    values of one field.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.py"))
        raise NetchuError(f"{path}: no such config{closest(name, known)}; there are: {', '.join(known) or 'none'}")
    cfg = getattr(run_file(path, f"netchu_config_{name}"), "cfg", None)
    if not isinstance(cfg, Config):
        raise NetchuError(f"{path}: must define cfg = Config(...)")
    changes = parse_overrides(overrides)
    for key, value in (("fold", fold), ("seed", seed)):
        if value is not None and changes.setdefault(key, value) != value:
            raise NetchuError(f"--{key} {value}: --set says {key}={changes[key]}; leave one of them out")
    held_out = changes.get("fold", cfg.fold)
    changes.setdefault("name", re.sub(r"_f\d$", f"_f{held_out}", name))
    return dataclasses.replace(cfg, **changes)


def run_file(path: Path, name: str) -> ModuleType:
    """The module that a Python file defines, under a name of its own; nothing is put on the import path. Raises
    NetchuError with the row where the file cannot be run, such as one with a field that there is not."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except NetchuError:
        raise
    except Exception as error:
        rows = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        row = error.lineno if isinstance(error, SyntaxError) else rows[-1] if rows else None
        where, said = f"{path}: row {row}" if row else path, error.msg if isinstance(error, SyntaxError) else error
        raise NetchuError(f"{where}: {type(error).__name__}: {said}; correct the file") from error
    return module


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """Turn `["lr=1e-3", "pretrained=false"]` into typed values; raises NetchuError for a bad one."""
    changes: dict[str, Any] = {}
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals:
            raise NetchuError(f"--set {item}: expected key=value")
        changes[key] = _typed(key, _literal(text), f"--set {item}")
    return changes


def _literal(text: str) -> Any:
    """Read a JSON-like value (`true`, `1e-3`, `8`); anything else is a string."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _typed(key: str, value: Any, where: str) -> Any:
    """Return `value` as the field's type; raises NetchuError for an unknown key or another type."""
    types = {f.name: f.type for f in fields(Config)}
    if key not in types:
        raise NetchuError(f"{where}: unknown key {key!r}{closest(key, types)}")
    wanted = types[key]
    if wanted is str and not isinstance(value, (bool, dict, list)):
        return str(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        name = getattr(wanted, "__name__", str(wanted))
        raise NetchuError(f"{where}: {key} takes {name}, not {type(value).__name__} {value!r}")
    return value
