"""A run's log survives a crash, and its pictures are drawn with and without held-out lines."""

from pathlib import Path

import numpy as np
from PIL import Image

from netchu.samples import draw_samples
from netchu.tracking import Run, read_log


def test_log_is_cut_at_the_resumed_step_and_survives_a_torn_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (20, 40, 60):
        run.log({"step": step, "loss": 1.0, "lr": 0.1})
    with run.log_path.open("a") as stream:
        stream.write('{"step": 80, "lo')
    assert [r["step"] for r in read_log(run.log_path)] == [20, 40, 60]
    assert [r["step"] for r in Run(tmp_path, resume_step=40).records] == [20, 40]
    assert [r["step"] for r in read_log(run.log_path)] == [20, 40]
    assert Run(tmp_path).records == []


def test_curves_are_drawn_with_and_without_held_out_lines(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (20, 40):
        run.log({"step": step, "loss": 5.0 / step, "lr": 0.1})
    run.draw_curves()
    without = (tmp_path / "curves.png").read_bytes()
    run.log({"step": 40, "cer": 0.5, "wer": 0.9, "exact": 0.1, "kalapa_score": 0.2})
    run.draw_curves()
    assert (tmp_path / "curves.png").read_bytes() != without
    assert Image.open(tmp_path / "curves.png").size[0] > 800


def test_samples_grow_with_lines_and_wrong_answers(tmp_path: Path) -> None:
    line = np.full((40, 300), 200, np.uint8)
    heights = []
    for answers, labels in ((["Huế"], ["Huế"]), (["Hue"], ["Huế"]), (["Huế", "x"], [None, None])):
        draw_samples(tmp_path / "s.png", [line] * len(answers), answers, labels)
        heights.append(Image.open(tmp_path / "s.png").size[1])
    assert heights[0] < heights[1] < heights[2]
