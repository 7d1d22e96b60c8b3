"""What a batch does to a run: accumulation, layer-wise rates, checkpointed gradients, averages, early ends."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import read_log
from netchu.core.metrics import Scores
from netchu.data.manifest import read_lines
from netchu.model.bundle import load_bundle
from netchu.model.losses import CtcObjective
from netchu.model.recogniser import build_model
from netchu.training.dataset import Batch, BucketSampler, LineDataset, collate
from netchu.training.engine import Trainer, fit
from netchu.training.folds import is_complete
from netchu.training.optimizer import EpochAverage, build_optimizer, learning_rate
from netchu.training.train_step import MAX_BAD_STEPS, MAX_LOST_STEPS


def test_two_accumulated_batches_step_like_one_of_both(tiny: Config) -> None:
    """Lines of one width, so that no padding differs, and no batch statistics: mean gradients are then equal."""
    cfg = replace(tiny, backbone="cnn3", epochs=1, epoch_lines=16, clip_norm=1e9, shortcut_weight=0.0)
    trainer = Trainer(replace(cfg, batch_size=8), resume=False)
    trainer.train_step.note_bad = lambda loss, norm, batch: None
    train_step = trainer.train_step
    for module in train_step.objective.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    sampler = BucketSampler(trainer.train_set, replace(cfg, batch_size=16))
    whole = collate(trainer.charset, [trainer.train_set[key] for key in sampler.plan()[0]])

    def part(rows: slice) -> Batch:
        return replace(
            whole, images=whole.images[rows], targets=whole.targets[rows], target_lengths=whole.target_lengths[rows],
            texts=whole.texts[rows], names=whole.names[rows],
        )  # fmt: skip

    seen: list[torch.Tensor] = []

    def note(*args: object, **options: object) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in train_step.objective.parameters() if p.grad is not None]))

    train_step.optimizer.step = note  # type: ignore[method-assign]
    lost = replace(part(slice(0, 8)), images=torch.full_like(part(slice(0, 8)).images, float("nan")))
    halves = [part(slice(0, 8)), part(slice(8, 16))]
    for pieces in ([whole], halves, [halves[0], lost, halves[1]], [*halves, lost]):
        train_step.cfg = replace(cfg, accumulate=sum(piece is not lost for piece in pieces))
        for number, piece in enumerate(pieces, 1):
            train_step.step(piece, progress=0.5, closes=number == len(pieces), stop=False)
    assert len(seen) == 4 and seen[0].abs().max() > 1e-3
    assert all(torch.allclose(seen[0], other, atol=1e-5) for other in seen[1:]), "a batch that is lost takes none along"


def test_the_optimiser_steps_once_in_an_accumulation(tiny: Config) -> None:
    trainer = Trainer(replace(tiny, accumulate=3, epochs=1), resume=False)  # five batches of 8: steps after 3 and 5
    steps = []
    step = trainer.train_step.optimizer.step
    trainer.train_step.optimizer.step = lambda *a, **k: (steps.append(trainer.done), step(*a, **k))  # type: ignore
    trainer.train()
    batches = len(trainer.sampler.plan())
    assert steps == [n - 1 for n in range(1, batches + 1) if n % 3 == 0 or n == batches]


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("fp16", [True, False])
def test_gradients_that_are_never_finite_end_a_run(tiny: Config, accumulate: int, fp16: bool) -> None:
    """A scaler lowers its scale and goes on; and of accumulated batches most are good ones."""
    trainer = Trainer(replace(tiny, accumulate=accumulate), resume=False)
    train_step = trainer.train_step
    train_step.note_bad = lambda loss, norm, batch: None
    if fp16:
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu")
        train_step.optimizer = AcceleratedOptimizer(train_step.optimizer.optimizer, scaler=trainer.accelerator.scaler)
        train_step._may_overflow = True
    weight, steps = train_step.objective.model.head.weight, 0
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: gradient * (torch.inf if steps != 5 else 1))
    batch = collate(trainer.charset, [trainer.train_set[key] for key in trainer.sampler.plan()[0][:2]])
    limit = 5 + (MAX_LOST_STEPS if fp16 or accumulate > 1 else MAX_BAD_STEPS)
    with pytest.raises(NetchuError, match=r"not finite for \d+ (steps|batches) in a row.*lower lr"):
        for steps in range(100):
            for closes in [False] * (accumulate - 1) + [True]:
                train_step.step(batch, progress=0.5, closes=closes, stop=False)
            assert torch.equal(weight, before) == (steps < 5)
    assert steps == limit


@pytest.mark.parametrize(
    ("backbone", "fields", "stages"),
    [
        ("tf_efficientnetv2_b0", {}, 5),
        ("convnext_femto", {"stages": 3}, 4),
        ("cnn3", {"width_stride": 4}, 3),
        ("vgg_crnn", {"width_stride": 4}, 4),
        ("pplcnet_v4", {}, 6),
    ],
)
def test_depths_and_rates(backbone: str, fields: dict[str, Any], stages: int) -> None:
    """Every backbone has stages of its own, found by a dry run, and norms and biases do not decay."""
    objective = CtcObjective(build_model(Config(backbone=backbone, **fields, pretrained=False, hidden=16), 5), 0.1)
    model = objective.model
    groups = build_optimizer(objective, model.backbone, lr=1.0, weight_decay=0.1, layer_decay=0.5).param_groups
    where = {id(p): group for group in groups for p in group["params"]}
    assert len(where) == len(list(objective.parameters()))
    assert sorted({group["lr"] for group in groups}) == [0.5**k for k in range(stages, -1, -1)]
    assert where[id(model.head.weight)]["lr"] == 1.0 and groups[-1]["lr"] == 1.0
    first, *_, last = [p for p in model.backbone.parameters() if p.ndim == 4]
    assert (where[id(first)]["lr"], where[id(last)]["lr"]) == (0.5**stages, 0.5)
    for parameter in objective.parameters():
        assert where[id(parameter)]["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
    assert len(build_optimizer(objective, model.backbone, lr=1.0, weight_decay=0.1, layer_decay=1.0).param_groups) == 2


def test_learning_rate_rises_then_falls() -> None:
    factor = learning_rate(0.1)
    assert factor(0.0) == 0.0
    assert factor(0.1) == pytest.approx(1.0)
    assert factor(0.55) == pytest.approx(0.5)
    assert factor(1.0) == pytest.approx(1e-4)
    assert learning_rate(0.0)(0.0) == 1.0


def test_batches_by_pixels(tiny: Config) -> None:
    lines = read_lines(Path(tiny.manifest))
    cfg = replace(tiny, fold=5, batch_size=16, batch_pixels=32 * 160 * 6)
    dataset = LineDataset(lines, cfg, train=True)
    batches = BucketSampler(dataset, cfg).plan()
    assert sorted(i for batch in batches for _, i in batch) == list(range(len(lines)))
    sizes = set()
    for batch in batches:
        widest = max(dataset.geometry.input_width(dataset.widths[i]) for _, i in batch)
        assert len(batch) == 1 or len(batch) * widest * 32 <= cfg.batch_pixels
        sizes.add(len(batch))
    assert len(sizes) > 1


def test_checkpointed_gradients_are_the_same() -> None:
    cfg = Config(backbone="tf_efficientnetv2_b0", pretrained=False, hidden=16, stages=3, dropout=0.0)
    images = torch.rand(2, 1, 48, 96)
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = build_model(replace(cfg, grad_checkpointing=checkpointing), 5).train()
        model(images).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


def test_mean_of_epochs() -> None:
    model = torch.nn.Linear(1, 1)
    average = EpochAverage()
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            model.weight.fill_(value)
        average.add(model)
    assert average.mean["weight"].item() == pytest.approx(3.0)
    other = EpochAverage()
    other.load_state_dict(average.state_dict())
    other.add(model)
    assert other.mean["weight"].item() == pytest.approx(3.75)
    other.add(model.to("meta"))  # as on a GPU, since a resume state is loaded on the processor
    assert other.mean["weight"].device.type == "meta"


def test_the_average_of_the_last_epochs_is_tried(tiny: Config, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(replace(tiny, epochs=3, average_epochs=2), resume=False)
    trainer.train()
    assert "mean of the last 2 epochs:" in capsys.readouterr().out
    last = load_bundle(trainer.cfg.run_dir / "last.safetensors").model.state_dict()
    assert torch.allclose(last["head.weight"], trainer.average.mean["head.weight"], atol=1e-3)
    log = read_log(trainer.cfg.run_dir / "log.jsonl")
    assert fit(trainer.cfg)["epochs_done"] == 3
    assert read_log(trainer.cfg.run_dir / "log.jsonl") == log, "the same command again tries it no second time"


@pytest.mark.parametrize(("score", "epochs"), [(0.5, 50), (0.0, 50), (0.0, 3)])
def test_the_average_leaves_what_is_said_of_patience(
    score: float, epochs: int, tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the mean is better or worse, and whether training ended early or came to its end in the same epoch."""
    cfg = replace(tiny, epochs=epochs, lr=1e-9, patience=2, average_epochs=epochs)
    scores = iter([0.1, 0.0, 0.0, score])
    monkeypatch.setattr(
        "netchu.training.validation.score", lambda answers, labels: Scores(1, 1.0, 1.0, 0.0, next(scores))
    )
    report = fit(cfg)
    assert report["epochs_done"] == 3 and report["held_out"]["kalapa_score"] == max(0.1, score)
    assert report["ended_early"] == (epochs == 50) == ("ended early: 2" in str(report["note"]))
    assert is_complete(cfg)


def test_training_ends_when_nothing_gets_better(tiny: Config) -> None:
    cfg = replace(tiny, epochs=50, lr=1e-9, patience=2)  # never reads anything: the first validation stays the best
    report = fit(cfg)
    assert report["epochs_done"] == 3
    assert "ended early: 2 validations" in report["note"]
    assert fit(cfg, resume=True)["epochs_done"] == 3


def test_validation_by_batches(tiny: Config) -> None:
    cfg = replace(tiny, epochs=2, validate_steps=3)
    fit(cfg)
    validated = [record["step"] for record in read_log(cfg.run_dir / "log.jsonl") if "cer" in record]
    assert validated == [3, 6, 8]
