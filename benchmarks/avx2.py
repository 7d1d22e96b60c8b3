"""Holds every reader to AVX2, as on an office machine, on a processor that has AVX-512.

PyTorch, OpenCV and numpy have a switch for that. onnxruntime asks the processor itself; a copy of its library raises an
illegal instruction there instead, and the handler in `avx2.c` answers as a processor without AVX-512 and AMX would.
"""

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from netchu.core.errors import NetchuError

HELD = Path(__file__).resolve().parent / ".avx2"
SWITCHES = {
    "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENCV_CPU_DISABLE": "AVX512-SKX", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}  # fmt: skip
CPUID, ILLEGAL = b"\x0f\xa2", b"\x0f\x0b"  # ud2


def held_environment(path: str) -> dict[str, str]:
    """The environment variables under which a process with the module path `path` is held to AVX2.

    Raises NetchuError where there is no gcc and objdump to do it with.
    """
    folder = HELD / version("onnxruntime")
    if not folder.exists():
        _copy(folder)
    return {**SWITCHES, "LD_PRELOAD": str(folder / "avx2.so"), "PYTHONPATH": os.pathsep.join([str(folder), path])}


def _copy(folder: Path) -> None:
    for tool in ("gcc", "objdump", "readelf"):
        if not shutil.which(tool):
            raise NetchuError(f"--avx2 needs {tool}; install gcc and binutils, or measure without --avx2")
    found = find_spec("onnxruntime")
    assert found and found.origin
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(Path(found.origin).parent, unfinished / "onnxruntime")
    source, target = Path(__file__).with_suffix(".c"), unfinished / "avx2.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", target, source], check=True)
    for library in (unfinished / "onnxruntime" / "capi").glob("*.so"):
        _replace_cpuid(library)
    unfinished.rename(folder)


def _replace_cpuid(library: Path) -> None:
    """Every instruction that asks the processor what it can do becomes an illegal one of the same size."""
    headers = subprocess.run(["readelf", "-lW", library], check=True, capture_output=True, text=True).stdout
    segments = re.findall(r"LOAD +(0x\w+) +(0x\w+) +0x\w+ +(0x\w+)", headers)
    code = bytearray(library.read_bytes())
    listing: list[str | Path] = ["objdump", "-d", "--no-show-raw-insn", library]  # 200 MB of text, so line by line
    with subprocess.Popen(listing, stdout=subprocess.PIPE, text=True) as objdump:
        assert objdump.stdout
        for line in objdump.stdout:
            if line.rstrip().endswith("\tcpuid"):
                address = int(line.partition(":")[0], 16)
                for place, start, size in [[int(number, 16) for number in segment] for segment in segments]:
                    if start <= address < start + size:
                        at = address - start + place
                        assert code[at : at + 2] == CPUID, f"{library}: no cpuid at {line.strip()}"
                        code[at : at + 2] = ILLEGAL
    library.write_bytes(code)
