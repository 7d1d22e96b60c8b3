"""Guards of the house: imports point one way, and each heavy library has one home."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "netchu"
ORDER = [
    "errors", "atomic", "interruption", "config", "charset", "metrics", "budget",
    "precision", "manifest", "preprocess", "likelihood", "beam", "bayes", "ngram", "smoothing", "arpa", "language",
    "fusion", "gazetteer", "augment", "backbone", "neck", "model", "losses", "schedule", "decode",
    "confidence", "combination", "candidates", "reading", "decodertuning", "selection",
    "tracking", "readers", "dataset", "quantisation", "checkpoint", "packing", "recipe",
    "predict", "oof", "members", "contest", "comparison", "commands", "engine", "ensemble", "submission", "report",
]  # fmt: skip
HOMES = {
    "timm": {"backbone"},
    "albumentations": {"augment"},
    "accelerate": {"engine", "predict", "tracking"},
    "fastapi": {"serve"},
}


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_point_down_the_list() -> None:
    modules = {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}
    assert modules == set(ORDER), "place every module in ORDER"
    for module in modules:
        for name in imported(SOURCE / f"{module}.py"):
            if name.startswith("netchu."):
                used = name.split(".")[1]
                assert ORDER.index(used) < ORDER.index(module), f"{module} imports {used}, which stands above it"


def test_each_library_has_its_home() -> None:
    for path in SOURCE.glob("*.py"):
        for name in imported(path):
            homes = HOMES.get(name.split(".")[0])
            assert homes is None or path.stem in homes, f"{path.stem} imports {name}"
