"""Two processes over gloo: figures as with one process, no line lost or read twice, an orderly stop and resume."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from netchu.core.config import Config
from netchu.training.engine import fit
from netchu.training.resume import load_state, save_state
from tests.support.tiny import ROOT

TRAIN = """
import json, sys
from netchu.core.config import from_dict
from netchu.training.engine import fit
from netchu.core.errors import run_main
run_main(lambda: fit(from_dict(json.loads(sys.argv[1]), "test"), resume=len(sys.argv) > 2) and None)
"""
EVALUATE = """
import csv, sys
from pathlib import Path
from accelerate import PartialState
from netchu.core.errors import run_main
from netchu.model.bundle import load_bundle
from netchu.training.dataset import LineDataset
from netchu.data.manifest import read_lines
from netchu.data.frames import write_frame
from netchu.training.validation import evaluate
def main():
    state, bundle = PartialState(cpu=True), load_bundle(Path(sys.argv[1]))
    lines = LineDataset(read_lines(Path(bundle.cfg.manifest)), bundle.cfg, train=False)
    result = evaluate(bundle.model, lines, bundle.charset, precision="fp32", stop=lambda: False)
    if state.is_main_process:
        write_frame(Path(sys.argv[2]), result.answers, float_format="%.4f")
        print(result)
run_main(main)
"""


def start(processes: int, code: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a script on so many processes."""
    script = folder / "script.py"
    script.write_text(code, encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), str(script), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for it; returns what it printed."""
    output, error = process.communicate(timeout=240)
    assert process.returncode == 0, error[-3000:]
    return output


def test_figures_are_those_of_one_process(tiny: Config, tmp_path: Path) -> None:
    fit(tiny)
    bundle = str(tiny.run_dir / "best.safetensors")
    printed = [finish(start(n, EVALUATE, tmp_path, bundle, str(tmp_path / f"{n}.csv"))) for n in (1, 2)]
    assert printed[0] == printed[1]
    tables = [list(csv.DictReader((tmp_path / f"{n}.csv").open(encoding="utf-8"))) for n in (1, 2)]
    assert len(tables[0]) == 48
    for one, two in zip(*tables, strict=True):
        assert [one[key] for key in ("img_path", "answer")] == [two[key] for key in ("img_path", "answer")]
        assert float(one["confidence"]) == pytest.approx(float(two["confidence"]), abs=1e-3)


def test_two_processes_train_stop_and_go_on(tiny: Config, tmp_path: Path) -> None:
    cfg = replace(tiny, epochs=300, batch_size=4, accumulate=2, validate_every=100, name="pair_f0")
    process = start(2, TRAIN, tmp_path, json.dumps(cfg.to_dict()))
    log = cfg.run_dir / "log.jsonl"
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline and not (log.is_file() and log.stat().st_size):
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=120)
    assert "all saved; go on with the same command" in error, error[-3000:]
    done = load_state(cfg.run_dir)[0]["place"][0]
    short = replace(cfg, epochs=done + 2)
    state = load_state(cfg.run_dir)[0]
    save_state(cfg.run_dir, {**state, "config": short.to_dict()})
    finish(start(2, TRAIN, tmp_path, json.dumps(short.to_dict()), "resume"))
    assert load_state(cfg.run_dir)[0]["place"][0] == short.epochs
    read = [row["img_path"] for row in csv.DictReader((cfg.run_dir / "valid.csv").open(encoding="utf-8"))]
    report = json.loads((cfg.run_dir / "report.json").read_text(encoding="utf-8"))
    assert len(read) == len(set(read)) == report["lines"]["held_out"]
