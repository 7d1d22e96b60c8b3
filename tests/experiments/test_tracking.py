"""A run's log survives a crash, its pictures are drawn, and its trackers get what it logs."""

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from accelerate.tracking import GeneralTracker
from PIL import Image

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import read_log
from netchu.reading.drawing import draw_samples
from netchu.training.engine import fit
from netchu.training.run_folder import Run, observed
from netchu.training.trackers import TRACKERS, TrackerKind, parse_names


def test_log_is_cut_at_the_resumed_step_and_survives_a_torn_line(tiny: Config) -> None:
    run = Run(tiny)
    for step in (20, 40, 60):
        run.log({"step": step, "loss": 1.0, "lr": 0.1})
    with run.log_path.open("a") as stream:
        stream.write('{"step": 80, "lo')
    assert [r["step"] for r in read_log(run.log_path)] == [20, 40, 60]
    assert [r["step"] for r in Run(tiny, resume_step=40).records] == [20, 40]
    assert [r["step"] for r in read_log(run.log_path)] == [20, 40]
    assert Run(tiny).records == []


def test_curves_are_drawn_with_and_without_held_out_lines(tiny: Config) -> None:
    run, curves = Run(tiny), tiny.run_dir / "curves.png"
    for step in (20, 40):
        run.log({"step": step, "loss": 5.0 / step, "lr": 0.1})
    run.draw_curves()
    without = curves.read_bytes()
    run.log({"step": 40, "cer": 0.5, "wer": 0.9, "exact": 0.1, "kalapa_score": 0.2})
    run.draw_curves()
    assert curves.read_bytes() != without
    assert Image.open(curves).size[0] > 800


def test_samples_grow_with_lines_and_wrong_answers(tmp_path: Path) -> None:
    line = np.full((40, 300), 200, np.uint8)
    heights = []
    for answers, labels in ((["Huế"], ["Huế"]), (["Hue"], ["Huế"]), (["Huế", "x"], [None, None])):
        draw_samples(tmp_path / "s.png", [line] * len(answers), answers, labels)
        heights.append(Image.open(tmp_path / "s.png").size[1])
    assert heights[0] < heights[1] < heights[2]


def test_tensorboard_is_the_default_and_gets_numbers_pictures_and_config(tiny: Config) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cfg = replace(tiny, trackers="", epochs=1)
    fit(cfg)
    events = EventAccumulator(str(cfg.run_dir / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert {"cer", "kalapa_score", "exact"} <= set(tags["scalars"])
    assert any(tag.startswith("by_source/") for tag in tags["scalars"])
    logged = [record for record in read_log(cfg.run_dir / "log.jsonl") if "cer" in record]
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("cer")] == [(r["step"], r["cer"]) for r in logged]
    assert {"curves", "samples"} <= {tag.split("/")[0] for tag in tags["images"]}
    assert "lr: 0.003" in next((cfg.run_dir / "tensorboard").rglob("hparams.yml")).read_text()


@pytest.mark.parametrize("name", [name for name in TRACKERS if name != "tensorboard"])
def test_tracker_works_without_a_network(name: str, tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(TRACKERS[name].package)
    for key in ("WANDB_MODE", "WANDB_API_KEY", "COMET_API_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(key, raising=False)
    cfg = replace(tiny, trackers=name, epochs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="tracker .* failed")
        fit(cfg)
    left = {"wandb": cfg.run_dir / "wandb", "comet": cfg.run_dir / "comet", "mlflow": cfg.run_dir.parent / "mlflow.db"}
    assert left[name].exists()
    if name == "mlflow":
        import mlflow

        run = mlflow.search_runs(search_all_experiments=True, output_format="list")[0]
        assert run.data.metrics["cer"] == read_log(cfg.run_dir / "log.jsonl")[-1]["cer"]
        assert (cfg.run_dir.parent / "mlflow" / run.info.run_id / "artifacts" / "best.safetensors").is_file()


def test_a_tracker_that_fails_is_left_out(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(GeneralTracker):
        name = "broken"
        requires_logging_directory = False
        main_process_only = True

        def __init__(self, at: str) -> None:
            self.at = at
            self.records: list[object] = []

        def start(self) -> None:
            if self.at == "start":
                raise OSError("no server")

        @property
        def tracker(self) -> None:
            return None

        def store_init_configuration(self, values: dict[str, object]) -> None:
            pass

        def log(self, values: dict[str, object], step: int | None = None, **kwargs: object) -> None:
            self.records.append(values)
            if self.at == "log":
                raise OSError("connection lost")

    for at in ("start", "log"):
        broken = Broken(at)
        monkeypatch.setitem(TRACKERS, "broken", TrackerKind(partial(lambda broken, cfg, step: broken, broken), "json"))
        with pytest.warns(UserWarning, match="tracker broken failed and is left out"):
            report = fit(replace(tiny, name=f"broken_{at}", trackers="broken", epochs=1))
        assert report["held_out"] is not None
        assert len(broken.records) == (at == "log")


def test_tracker_names() -> None:
    assert parse_names("none") == []
    with pytest.raises(NetchuError, match="no tracker 'tensorbord'; did you mean 'tensorboard'"):
        parse_names("tensorbord")
    if importlib.util.find_spec("wandb") is None:
        with pytest.raises(NetchuError, match="wandb needs a package: pip install wandb"):
            parse_names("wandb")


def test_observer_sees_every_record_and_may_end_the_run(tiny: Config) -> None:
    seen: list[Mapping[str, object]] = []

    def stop(record: Mapping[str, object]) -> None:
        seen.append(record)
        if "cer" in record:
            raise InterruptedError

    with observed(stop), pytest.raises(InterruptedError):
        fit(tiny)
    assert seen == read_log(tiny.run_dir / "log.jsonl")
    assert sum("cer" in record for record in seen) == 1
    fit(replace(tiny, name="other_f0"))
    assert sum("cer" in record for record in seen) == 1, "nobody observes outside the block"


def test_mlflow_gets_names_that_it_takes(tiny: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial
    from types import SimpleNamespace

    from netchu.training import trackers

    logged: dict[str, dict[str, float]] = {}

    def fake(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            start=lambda: None,
            store_init_configuration=lambda config: None,
            log=lambda numbers, step: logged.update({name: numbers}),
        )

    def start(name: str, cfg: Config, step: int | None) -> SimpleNamespace:
        return fake(name)

    for name in ("mlflow", "tensorboard"):
        monkeypatch.setitem(TRACKERS, name, TRACKERS[name]._replace(start=partial(start, name)))
    monkeypatch.setattr(trackers, "parse_names", lambda names: names.split(","))
    both = trackers.Trackers(replace(tiny, trackers="mlflow,tensorboard"), None)
    both.log({"step": 1, "by_source": {"kalapa (1)": {"cer": 0.1}, "Huế, #2": {"cer": 0.2}}})
    assert list(logged["mlflow"]) == ["by_source/kalapa _1_/cer", "by_source/Huế_ _2/cer"]
    assert list(logged["tensorboard"]) == ["by_source/kalapa (1)/cer", "by_source/Huế, #2/cer"]
