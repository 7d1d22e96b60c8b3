"""What a training run survives: kill -9 at any moment, a disk that fills up, one poisoned image."""

import json
import os
import random
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netchu.core.config import Config, from_dict
from netchu.core.errors import NetchuError
from netchu.core.files import read_log
from netchu.core.preprocess import to_input
from netchu.training.engine import fit
from netchu.training.resume import load_state
from tests.support.commands import CONTEXT

KILLS = 20


def run(settings: dict[str, Any], resume: bool, largest_file: int = 0) -> None:
    """A run in a process of its own; `largest_file` bytes is all that it may write to one file."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        fit(from_dict(settings, "test"), resume=resume)
    except NetchuError as error:
        Path(settings["output_dir"], "error.txt").write_text(str(error), encoding="utf-8")


@pytest.fixture(scope="module")
def context() -> Any:
    """Processes that start quickly: the imports are done once, in a server from which they are forked."""
    return CONTEXT


def final(cfg: Config) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Last weights of a run, and its log less what depends on the clock."""
    parts = load_state(cfg.run_dir)[0]["parts"]
    times = ("lines_per_s", "data_wait", "seconds")
    log = [{k: v for k, v in record.items() if k not in times} for record in read_log(cfg.run_dir / "log.jsonl")]
    return {**parts["objective"], **{f"ema.{k}": v for k, v in parts["ema"].items()}}, log


def wait(process: Any, state: Path, *, seconds: float, states: int) -> None:
    """Until the process ends, the time is over, or it has saved so many states, however fast the machine is now."""
    deadline = time.monotonic() + seconds
    seen, saved = written(state, 0), 0
    while process.is_alive() and time.monotonic() < deadline and saved < states:
        time.sleep(0.001)
        now = written(state, seen)
        saved, seen = saved + (now != seen), now


def written(state: Path, otherwise: int) -> int:
    """When a state was written, in ns; another number where there is none, as in the moment in which it is renamed."""
    try:
        return state.stat().st_mtime_ns
    except FileNotFoundError:
        return otherwise


def test_kill_9_twenty_times(tiny: Config, context: Any) -> None:
    cfg = replace(tiny, epochs=40, augment="ink", dropout=0.2, hidden=16, validate_every=5, name="killed_f0")
    whole = replace(cfg, name="whole_f0")
    process = context.Process(target=run, args=(whole.to_dict(), False))
    began = time.monotonic()
    process.start()
    process.join()
    assert process.exitcode == 0
    rng = random.Random(5)
    longest = (time.monotonic() - began) / 8
    kills = 0
    while (
        not (cfg.run_dir / "report.json").is_file()
        or json.loads((cfg.run_dir / "report.json").read_text(encoding="utf-8"))["epochs_done"] < cfg.epochs
    ):
        resume = (cfg.run_dir / "state.pt").is_file() or (cfg.run_dir / "state.1.pt").is_file()
        process = context.Process(target=run, args=(cfg.to_dict(), resume))
        process.start()
        if kills < KILLS:
            wait(process, cfg.run_dir / "state.pt", seconds=rng.uniform(0.0, longest), states=rng.randint(1, 2))
            time.sleep(rng.uniform(0.0, 0.02))
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        assert not (cfg.run_dir.parent / "error.txt").exists()
    assert kills >= 10
    (weights, log), (expected, expected_log) = final(cfg), final(whole)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert log == expected_log


def test_a_disk_that_fills_up_leaves_the_last_state(tiny: Config, context: Any) -> None:
    cfg = replace(tiny, epochs=1, validate_every=5)
    fit(cfg)
    size = (cfg.run_dir / "state.pt").stat().st_size
    fit(replace(cfg, epochs=1))
    longer = replace(cfg, epochs=3, name="other_f0")
    process = context.Process(target=run, args=(longer.to_dict(), False, size // 2))
    process.start()
    process.join()
    said = (Path(cfg.output_dir) / "error.txt").read_text(encoding="utf-8")
    assert "cannot be written" in said and "\n" not in said
    assert not [path.name for path in longer.run_dir.iterdir() if path.suffix not in {".jsonl", ".json", ".png"}]
    process = context.Process(target=run, args=({**cfg.to_dict(), "name": cfg.name}, True, size // 2))
    process.start()
    process.join()
    assert load_state(cfg.run_dir)[0]["place"][0] == 1


@pytest.mark.parametrize("cause", [signal.SIGBUS, signal.SIGKILL, "unable to allocate shared memory(shm) for file"])
def test_a_data_worker_that_dies_is_one_line(
    cause: signal.Signals | str, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netchu.training import dataset

    def dying(line: Any, geometry: Any) -> Any:
        if isinstance(cause, str):
            raise RuntimeError(cause)
        os.kill(os.getpid(), cause)

    monkeypatch.setattr(dataset, "to_input", dying)
    with pytest.raises(NetchuError, match=r"a data worker has died .*--shm-size=2g, or --set workers=0") as error:
        fit(replace(tiny, epochs=1, workers=1))
    assert "\n" not in str(error.value)


def test_compile_without_a_compiler_is_one_line(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for variable, message in ((None, "no g(cc|[+][+]): apt-get install g"), ("c++99", "no (gcc|c[+][+]99): apt-get")):
        if variable:
            monkeypatch.setenv("CXX", variable)
        with pytest.raises(NetchuError, match=f"compile=true wants a compiler, and there is {message}"):
            fit(replace(tiny, compile=True))


def test_one_poisoned_image_is_named_and_passed_over(
    tiny: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from netchu.training import dataset

    seen: list[np.ndarray] = []

    def poisoned(line: Any, geometry: Any) -> Any:
        image = to_input(line, geometry)
        if not seen:
            seen.append(line)
        if np.array_equal(line, seen[0]):
            image[:] = np.nan
        return image

    monkeypatch.setattr(dataset, "to_input", poisoned)
    report = fit(replace(tiny, epochs=2, fold=5))
    assert report["epochs_done"] == 2
    noted = [json.loads(row) for row in (tiny.run_dir / "bad_batches.jsonl").read_text("utf-8").splitlines()]
    assert len(noted) == 2
    assert len(set(noted[0]["lines"]) & set(noted[1]["lines"])) >= 1
    weights = load_state(tiny.run_dir)[0]["parts"]["objective"]
    assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
