"""CTC on (N, T, C): equal to summing over alignments, in float32, with the shortcut's share."""

import itertools
import math

import pytest
import torch

from netchu.model.losses import ctc, distillation


def brute_force(log_probs: torch.Tensor, label: list[int]) -> float:
    """-log of the summed probability of every alignment that collapses to `label`."""
    steps, classes = log_probs.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        if [k for k, _ in itertools.groupby(path) if k != 0] == label:
            total += math.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path)))
    return -math.log(total)


@pytest.mark.parametrize("label", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_equals_the_sum_over_alignments(label: list[int]) -> None:
    logits = torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(len(label)))
    expected = brute_force(logits[0].log_softmax(-1), label) / len(label)
    assert float(ctc(logits, torch.tensor([label]), torch.tensor([len(label)]))) == pytest.approx(expected, rel=1e-5)


def test_blank_line_is_learnt_from() -> None:
    logits = torch.zeros(1, 4, 3, requires_grad=True)
    loss = ctc(logits, torch.zeros(1, 1, dtype=torch.int64), torch.tensor([0]))
    loss.backward()
    assert float(loss) == pytest.approx(4 * math.log(3))
    assert logits.grad is not None
    assert (logits.grad[0, :, 0] < 0).all()


def test_runs_in_float32_under_autocast() -> None:
    logits = torch.randn(2, 6, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert ctc(logits, torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1])).dtype == torch.float32


def test_distillation_is_the_divergence_from_the_teacher_by_label_length() -> None:
    draw = torch.Generator().manual_seed(0)
    teacher = torch.randn(2, 5, 3, generator=draw)
    lengths = torch.tensor([4, 0])
    student = torch.randn(2, 5, 3, generator=draw, requires_grad=True)
    p, q = teacher.softmax(-1), student.softmax(-1)
    by_line = (p * (p / q).log()).sum(dim=(1, 2))
    loss = distillation(student, teacher.bfloat16(), lengths)
    assert float(loss) == pytest.approx(float(by_line[0] / 4 + by_line[1]) / 2, rel=0.02)
    assert float(distillation(teacher + 7, teacher, lengths)) == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert student.grad is not None
    assert torch.allclose(student.grad[0], (q - p)[0] / 8, atol=0.01)
