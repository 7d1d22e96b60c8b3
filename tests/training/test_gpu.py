"""What only a GPU can show; `make test-gpu` runs these, and they are skipped where CUDA is not."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from netchu.core.config import Config, load_config
from netchu.core.errors import StoppedError
from netchu.core.files import read_log
from netchu.core.images import read_image
from netchu.core.preprocess import Geometry, preprocess
from netchu.data.manifest import read_lines
from netchu.model.bundle import load_bundle
from netchu.model.losses import ctc
from netchu.model.predict import predict
from netchu.training.dataset import collate
from netchu.training.engine import Trainer, fit
from netchu.training.resume import load_state
from tests.support.tiny import ROOT

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA can use"),
]


@pytest.fixture
def on_gpu(tiny: Config) -> Config:
    """The run of seconds as a GPU takes it: fp16 with its scaler, channels_last, one data worker."""
    return replace(tiny, precision="auto", workers=1, epochs=30, validate_every=30, lr=1e-2)


def test_fp16_learns_and_its_bundle_reads_alike_on_the_processor(on_gpu: Config) -> None:
    trainer = Trainer(on_gpu, resume=False)
    trainer.train()
    assert trainer.precision == "fp16" and trainer.accelerator.scaler is not None
    weights = [p for p in trainer.train_step.objective.parameters() if p.dim() == 4 and p.shape[1] > 1]
    assert weights and all(p.is_cuda for p in weights)
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)
    losses = [row["loss"] for row in read_log(on_gpu.run_dir / "log.jsonl") if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    bundle = load_bundle(on_gpu.run_dir / "last.safetensors")
    inputs = [preprocess(read_image(line.path), Geometry.of(bundle.cfg)) for line in read_lines(Path(on_gpu.manifest))]
    here = predict(bundle.model, inputs, precision="fp32")
    there = predict(bundle.model.cuda(), inputs, precision="fp32")
    for one, other in zip(here, there, strict=True):
        assert abs(one.log_probs - other.log_probs).max() < 2e-2


def test_loss_and_gradient_are_those_of_the_processor() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 40, 20)
    targets, lengths = torch.tensor([[1, 2, 2, 3], [4, 5, 0, 0], [0, 0, 0, 0]]), torch.tensor([4, 2, 0])
    found = []
    for device in ("cpu", "cuda"):
        own = logits.to(device).requires_grad_()
        loss = ctc(own, targets.to(device), lengths)
        loss.backward()
        assert own.grad is not None
        found.append((loss.detach().cpu(), own.grad.cpu()))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-4)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)


def test_a_step_waits_for_the_gpu_once(on_gpu: Config) -> None:
    """The loss is looked at in every step; anything else that waits would leave the GPU idle."""
    trainer = Trainer(replace(on_gpu, workers=0), resume=False)
    batches = [collate(trainer.charset, [trainer.train_set[(0, 0)]] * 8)] * 3
    trainer.train_step.objective.train()
    step = trainer.train_step.step
    for number, one in enumerate(batches):
        if number == 2:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                step(one, progress=0.1, closes=True, stop=False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [str(warning.message) for warning in seen if "synchroniz" in str(warning.message)]
    assert len(waits) <= 2, waits  # the loss, and what the scaler found


def test_resume_goes_on_where_it_stopped(on_gpu: Config) -> None:
    cfg = replace(on_gpu, epochs=4, validate_every=4)
    trainer = Trainer(cfg, resume=False)
    whole = trainer.train_step.step
    count = 0

    def until_seven(*args: object, **options: object) -> tuple[float, bool]:
        nonlocal count
        count += 1
        loss, _ = whole(*args, **options)  # type: ignore[arg-type]
        return loss, count == 7

    trainer.train_step.step = until_seven  # type: ignore[method-assign, assignment]
    with pytest.raises(StoppedError):
        trainer.train()
    state, _ = load_state(cfg.run_dir)
    assert state["place"][2] == 7 and "scaler" in state["parts"]
    report = fit(cfg, resume=True)
    assert report["epochs_done"] == 4 and report["step"] > 7


def test_compiled_training_learns(on_gpu: Config) -> None:
    report = fit(replace(on_gpu, compile=True, epochs=3, validate_every=3))
    assert report["epochs_done"] == 3
    assert (on_gpu.run_dir / "last.safetensors").is_file()


def test_the_large_family_trains_for_fifty_steps(on_gpu: Config, tmp_path: Path) -> None:
    large = load_config("b2_256_ptr_f5", folder=ROOT / "configs")
    cfg = replace(
        large, manifest=on_gpu.manifest, output_dir=str(tmp_path), pretrained=False, fold=0, trackers="none",
        load_weight="", synthetic_source="", epoch_lines=50 * large.batch_size, epochs=1, accumulate=1, batch_pixels=0,
    )  # fmt: skip
    report = fit(cfg)
    assert report["step"] == 50
    losses = [row["loss"] for row in read_log(cfg.run_dir / "log.jsonl") if "loss" in row]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_under_accelerate(processes: int, on_gpu: Config, tmp_path: Path) -> None:
    if processes > torch.cuda.device_count():
        pytest.skip(f"{torch.cuda.device_count()} GPU(s)")
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nfrom netchu.core.config import from_dict\nfrom netchu.training.engine import fit\n"
        "if __name__ == '__main__':\n    fit(from_dict(json.loads(sys.argv[1]), 'test'))\n",
        encoding="utf-8",
    )
    cfg = replace(on_gpu, epochs=2, validate_every=2)
    words = ["--standalone", "--nproc_per_node", str(processes), str(script), json.dumps(cfg.to_dict())]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((cfg.run_dir / "report.json").read_text(encoding="utf-8"))["epochs_done"] == 2
