"""Guards of the house: imports point one way, rooms included, and each heavy library has one home."""

import ast
import sys
from itertools import groupby
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "netchu"
ORDER = [
    "errors", "atomic", "interruption", "config", "charset", "metrics", "budget", "precision", "manifest", "preprocess",
    "decoding.likelihood", "decoding.beam", "decoding.bayes", "decoding.ngram", "decoding.smoothing", "decoding.arpa",
    "decoding.fusion", "decoding.gazetteer", "decoding.decoders", "decoding.align", "decoding.confidence",
    "decoding.combination", "decoding.candidates", "decoding.conventions", "decoding.reading",
    "language", "lite",
    "network.backbone", "network.neck", "network.model", "network.losses", "network.quantisation", "network.checkpoint",
    "network.packing",
    "readers.labelfiles", "readers.lmdbfile", "readers.answers", "readers.challenge", "readers.review", "readers.store",
    "readers.mcocr", "readers.table", "readers.layouts", "readers.importing",
    "tracking.samples", "tracking.trackers", "tracking.runfolder", "tracking.analysis", "tracking.htmlpage",
    "runs", "report", "registry",
    "training.augment", "training.dataset", "training.rendering", "training.rundata", "training.resume",
    "training.optimizer", "training.schedule", "training.predict", "training.stepping", "training.validation",
    "training.engine", "training.folds", "training.tuning", "training.tunereport",
    "trial", "tune",
    "ensemble.decodertuning", "ensemble.selection", "ensemble.recipe", "ensemble.oof", "ensemble.members",
    "ensemble.choices", "ensemble.contest", "ensemble.comparison", "ensemble.recogniser", "ensemble.__main__",
    "submission",
    "check.twins", "check.looks", "check.findings", "check.cleaning", "check.page", "check.__main__",
    "release.vectors", "release.figures", "release.card", "release.folder", "release.__main__",
    "showcase", "page", "lines",
    "export.vectors", "export.onnxfile", "export.quantise", "export.program", "export.parity", "export.package",
    "export.targets", "export.__main__",
    "serve.uploads", "serve.confidence", "serve.batching", "serve.store", "serve.corrections", "serve.versions",
    "serve.retraining", "serve.decision", "serve.finetune", "serve.jobs", "serve.telemetry", "serve.service",
    "serve.gate", "serve.replies", "serve.api", "serve.__main__",
]  # fmt: skip
HOMES = {
    "timm": {"network.backbone"},
    "albumentations": {"training.augment"},
    "accelerate": {
        "training.engine", "training.stepping", "training.predict", "training.validation", "tracking.trackers",
    },
    "fastapi": {"serve.api", "serve.replies"},
    "starlette": {"serve.api", "serve.replies"},
    "uvicorn": {"serve.__main__"},
    "sqlalchemy": {"serve.store"},
    "prometheus_client": {"serve.telemetry"},
    "onnx": {"export.onnxfile"},
    "onnxruntime": {"lite", "export.quantise"},
    "executorch": {"export.program"},
}  # fmt: skip


LITE = [  # what netchu-lite consists of
    "errors", "atomic", "config", "charset", "metrics", "preprocess", "decoding.likelihood", "decoding.beam",
    "decoding.bayes", "decoding.decoders", "lite",
]  # fmt: skip
LIGHT = {"onnxruntime", "numpy", "cv2", "editdistance", "netchu"}


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> dict[str, Path]:
    """Every module of the package by its name behind `netchu.`."""
    paths = (path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in paths}


def module_of(name: str) -> str | None:
    """The module of ORDER that an imported name is or lies in; None for a name outside of them."""
    words = name.removeprefix("netchu.")
    return next((m for m in ORDER if words == m or words.startswith(f"{m}.")), None)


def room(module: str) -> str:
    """The package below netchu that a module lies in, or the module itself when it lies at the top."""
    return module.split(".")[0]


def test_imports_point_down_the_list() -> None:
    assert set(modules()) == set(ORDER), "place every module in ORDER"
    for module, path in modules().items():
        for name in imported(path):
            if name.startswith("netchu."):
                used = module_of(name)
                assert used is not None, f"{module} imports {name}, which is no module"
                assert ORDER.index(used) < ORDER.index(module), f"{module} imports {used}, which stands above it"


def test_rooms_stand_in_one_order_too() -> None:
    rooms = [name for name, _ in groupby(ORDER, room)]
    assert len(rooms) == len(set(rooms)), "the modules of a room stand together in ORDER"
    for path in SOURCE.glob("*/__init__.py"):
        name = path.parent.name
        used = {str(module_of(name)) for name in imported(path) if name.startswith("netchu.")}
        assert {room(module) for module in used} <= {name}, f"{name}/__init__.py opens its own room and no other"


def test_each_library_has_its_home() -> None:
    for module, path in modules().items():
        for name in imported(path):
            homes = HOMES.get(name.split(".")[0])
            assert homes is None or module in homes, f"{module} imports {name}"


def test_lite_needs_nothing_heavy() -> None:
    opened = {SOURCE / room(module) / "__init__.py" for module in LITE if "." in module}
    for path in [SOURCE / "__init__.py", *opened, *(modules()[module] for module in LITE)]:
        for name in imported(path):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names | LIGHT, f"{path} imports {name}"
            assert top != "netchu" or module_of(name) in LITE, f"{path} imports {name}"
