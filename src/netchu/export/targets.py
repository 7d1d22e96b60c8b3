"""Export a bundle and prove the result: netchu export BUNDLE --to onnx|int8|rapidocr|torchscript|executorch.

Every export is compared with its bundle on drawn lines of three widths, and with --manifest, or --images and --labels,
on real lines by CER. What does not read like its bundle is not written.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.images import read_image
from netchu.core.options import add_number, new_file, refuse_idle, refuse_overwriting
from netchu.core.preprocess import Geometry, preprocess
from netchu.data.manifest import Line, read_lines, split
from netchu.export.onnx_file import write_onnx, write_signed
from netchu.export.package import write_package
from netchu.export.parity import Prepare, compare, refuse_difference, score_both
from netchu.export.program import Run, run_executorch, run_onnx, run_torchscript, write_executorch, write_torchscript
from netchu.export.quantise import SCHEMES
from netchu.reading.submission import read_labels

if TYPE_CHECKING:
    from netchu.model.bundle import Bundle

CALIBRATION = 64  # lines that the ranges of static int8 are measured on; none of them is scored


@dataclass(frozen=True, slots=True)
class Material:
    """What an export may use besides the bundle: lines to calibrate on, lines to score, and how to quantise."""

    calibration: list[Line] = field(default_factory=list)
    scored: list[Line] = field(default_factory=list)
    scheme: str = "weight-only"


@dataclass(frozen=True, slots=True)
class Target:
    """A format: its file suffix, how it is written and run, what its input is made by, and the points of CER (per
    cent) that it may cost; without these it must agree with its bundle to the last digit."""

    suffix: str
    write: Callable[["Bundle", Path, Material], None]
    run: Callable[[Path], Run]
    prepare: Prepare = preprocess
    max_rise: float | None = None


def export(bundle: "Bundle", to: str, out: Path, material: Material, *, package: Path | None, trained_on: str) -> None:
    """Write `bundle` to `out` in the format `to`, print what was compared, and pack it when `package` is given.

    Raises NetchuError, and leaves no file, for a network that the format cannot hold, and for an export that reads
    other text, or whose CER on `material.scored` rises by more than the format may cost.
    """
    target, scores = TARGETS[to], None
    if package is not None and target.prepare is not preprocess:
        raise NetchuError(f"--package: is for readers that prepare lines as netchu does, and --to {to} takes others")
    if target.max_rise is not None and not material.scored:
        raise NetchuError(
            f"--to {to}: needs labelled lines to measure its CER; give --manifest, or --images and --labels"
        )
    with atomic_path(out) as temporary:
        target.write(bundle, temporary, material)
        run = target.run(temporary)
        parity = compare(bundle, run, target.prepare)
        if target.max_rise is None:
            refuse_difference(parity, out)
        print(f"{out}: {temporary.stat().st_size / 1e6:.3f} MB; {parity}")
        if material.scored:
            scores = score_both(bundle, run, material.scored, target.prepare)
            print(f"bundle  {scores[0]}\nexport  {scores[1]}")
            rise = 100 * (scores[1].cer - scores[0].cer)
            if target.max_rise is not None and rise > target.max_rise:
                others = ", ".join(scheme for scheme in SCHEMES if scheme != material.scheme)
                which, instead = (f" ({material.scheme})", f"--scheme {others}, or ") if to == "int8" else ("", "")
                raise NetchuError(
                    f"{out}: not written, since {to}{which} raises CER by {rise:.3f} points and "
                    f"{target.max_rise:g} are allowed; try {instead}--to onnx"
                )
    if package is not None:
        write_package(package, out, to, bundle, parity.outputs, scores=scores, trained_on=trained_on)
        print(f"{package}: {package.stat().st_size / 1e6:.3f} MB with model, charset, test vectors and card")


def write_int8(bundle: "Bundle", path: Path, material: Material) -> None:
    """The float32 ONNX export of a bundle, quantised by `material.scheme`."""
    import onnx

    geometry = Geometry.of(bundle.cfg)
    inputs = [preprocess(read_image(line.path), geometry) for line in material.calibration]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        write_onnx(bundle, source)
        SCHEMES[material.scheme](source, target, inputs)
        write_signed(bundle, onnx.load(target), path, f"int8 {material.scheme}")


def choose_lines(args: argparse.Namespace, bundle: "Bundle") -> Material:
    """Lines to calibrate on and lines to score, from --manifest or from --images and --labels; never the same line.

    Of a manifest the lines of the bundle's own held-out fold are scored; a bundle that held nothing out is scored on
    lines that it was trained on, and says so.
    """
    if args.manifest and (args.images or args.labels):
        raise NetchuError("--manifest: holds images and labels already; leave --images and --labels out")
    if bool(args.images) != bool(args.labels):
        raise NetchuError("--images and --labels belong together: a folder, and a file of id, tab, text")
    if args.manifest:
        others, scored = split(read_lines(args.manifest), bundle.cfg.fold)
        others = [line for line in others if line.is_real] or others
        if not scored:
            print("note: this bundle held no fold out, so it is scored on lines that it was trained on")
            return Material(*_parted(others), args.scheme)
        return Material(_parted(others)[0], scored, args.scheme)
    if args.images:
        lines = [Line(args.images / name, text) for name, text in read_labels(args.labels, args.images).items()]
        if args.to == "int8" and args.scheme == "static":
            return Material(*_parted(lines), args.scheme)
        return Material([], lines, args.scheme)
    return Material(scheme=args.scheme)


def _parted(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """(CALIBRATION lines, or a third of fewer, evenly spread; the others)."""
    step = max(3, -(-len(lines) // CALIBRATION))
    return list(lines[::step]), [line for i, line in enumerate(lines) if i % step]


def main() -> None:
    """Read the arguments, choose lines, export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, metavar="BUNDLE.safetensors")
    parser.add_argument("--to", choices=TARGETS, required=True)
    parser.add_argument("--out", type=new_file, metavar="FILE", help="default: the bundle's name with another suffix")
    parser.add_argument("--manifest", type=Path, metavar="FILE.csv", help="score the bundle's held-out fold")
    parser.add_argument("--images", type=Path, metavar="DIR", help="with --labels: score these lines")
    parser.add_argument("--labels", type=Path, metavar="FILE.tsv", help="id, tab, text")
    add_number(parser, "--count", int, 0, default=0, metavar="N", help="score about N of the lines; 0: all")
    parser.add_argument("--scheme", choices=SCHEMES, default="weight-only", help="of int8")
    parser.add_argument("--package", type=new_file, metavar="FILE.zip", help="also pack model, charset, vectors, card")
    parser.add_argument("--trained-on", default="", metavar="TEXT", help="for the card: the lines that it learnt from")
    args = parser.parse_args()
    if args.to != "int8":
        refuse_idle(parser, args, "--scheme", "is of --to int8; leave it out")
    if not args.package:
        refuse_idle(parser, args, "--trained-on", "stands on the card of a package; give --package")
    if not (args.manifest or args.images):
        refuse_idle(parser, args, "--count", "is of lines to score; give --manifest, or --images and --labels")
    out = args.out or new_file(args.bundle.with_suffix(TARGETS[args.to].suffix))
    refuse_overwriting([out, args.package], [args.bundle, args.manifest, args.labels])
    from netchu.model.bundle import load_bundle  # PyTorch is not imported for --help

    bundle = load_bundle(args.bundle)
    material = choose_lines(args, bundle)
    if args.count:
        step = max(1, len(material.scored) // args.count)
        material = Material(material.calibration, material.scored[::step], material.scheme)
    export(bundle, args.to, out, material, package=args.package, trained_on=args.trained_on)


def _rapidocr(name: str) -> Callable[..., Any]:
    """A function of the module that needs PyTorch to be imported, which --help does not."""
    return lambda *arguments: getattr(import_module("netchu.export.rapidocr"), name)(*arguments)


TARGETS: dict[str, Target] = {
    "onnx": Target(".onnx", lambda bundle, path, _: write_onnx(bundle, path), run_onnx),
    "int8": Target(".int8.onnx", write_int8, run_onnx, max_rise=0.05),
    "torchscript": Target(".pt", lambda bundle, path, _: write_torchscript(bundle, path), run_torchscript),
    "rapidocr": Target(
        ".rapidocr.onnx",
        lambda bundle, path, _: _rapidocr("write_rapidocr")(bundle, path),
        _rapidocr("run_rapidocr"),
        _rapidocr("rapidocr_input"),
        max_rise=0.3,
    ),
    "executorch": Target(".pte", lambda bundle, path, _: write_executorch(bundle, path), run_executorch),
}
