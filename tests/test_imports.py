"""Guards of the house: imports point one way, and each heavy library has one home."""

import ast
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "netchu"
ORDER = [
    "errors", "atomic", "interruption", "config", "charset", "metrics", "budget", "precision",
    "manifest", "preprocess", "likelihood", "beam", "bayes", "ngram", "smoothing", "arpa", "language", "fusion",
    "gazetteer", "augment", "backbone", "neck", "model", "losses", "optimizer", "schedule", "decode",
    "align", "confidence", "combination", "candidates", "reading", "decodertuning", "selection",
    "samples", "trackers", "tracking", "runs", "labelfiles", "twins", "looks", "findings", "cleaning",
    "lmdbfile", "readers_answers", "readers_challenge", "readers_review", "readers_store", "readers_mcocr",
    "readers_table", "readers",
    "importing", "dataset", "rendering", "rundata", "quantisation", "checkpoint", "packing", "recipe",
    "resume", "predict", "oof", "members", "choices", "contest", "comparison", "commands", "stepping", "validation",
    "engine", "folds", "trial", "ensemble", "submission", "releasevectors", "releasefigures", "releasecard", "release",
    "showcase", "analysis", "htmlpage", "report", "checkpage", "check",
    "tuning", "tunereport", "tune", "registry", "page", "lines", "lite", "vectors", "onnxfile", "quantise",
    "program", "parity", "package", "export",
    "serve.uploads", "serve.confidence", "serve.batching", "serve.store", "serve.corrections", "serve.versions",
    "serve.retraining", "serve.decision", "serve.finetune", "serve.jobs", "serve.telemetry", "serve.service",
    "serve.gate", "serve.replies", "serve.api", "serve.__main__",
]  # fmt: skip
HOMES = {
    "timm": {"backbone"},
    "albumentations": {"augment"},
    "accelerate": {"engine", "stepping", "predict", "trackers", "validation"},
    "fastapi": {"serve.api", "serve.replies"},
    "starlette": {"serve.api", "serve.replies"},
    "uvicorn": {"serve.__main__"},
    "sqlalchemy": {"serve.store"},
    "prometheus_client": {"serve.telemetry"},
    "onnx": {"onnxfile"},
    "onnxruntime": {"lite", "quantise"},
    "executorch": {"program"},
}


LITE = [  # what netchu-lite consists of
    "errors", "atomic", "config", "charset", "metrics", "preprocess", "likelihood", "beam", "bayes", "decode", "lite",
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


def test_imports_point_down_the_list() -> None:
    assert set(modules()) == set(ORDER), "place every module in ORDER"
    for module, path in modules().items():
        for name in imported(path):
            if name.startswith("netchu."):
                words = name.removeprefix("netchu.")
                used = next((m for m in ORDER if words == m or words.startswith(f"{m}.")), None)
                assert used is not None, f"{module} imports {name}, which is no module"
                assert ORDER.index(used) < ORDER.index(module), f"{module} imports {used}, which stands above it"


def test_each_library_has_its_home() -> None:
    for module, path in modules().items():
        for name in imported(path):
            homes = HOMES.get(name.split(".")[0])
            assert homes is None or module in homes, f"{module} imports {name}"


def test_lite_needs_nothing_heavy() -> None:
    for module in LITE:
        for name in imported(SOURCE / f"{module}.py"):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names | LIGHT, f"{module} imports {name}"
            assert top != "netchu" or name.split(".")[1] in LITE, f"{module} imports {name}"
