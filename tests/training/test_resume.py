"""Resume states: the newest readable one, damage, a full disk."""

from pathlib import Path
from typing import Any

import pytest
import torch

from netchu.core.errors import NetchuError
from netchu.training.resume import load_state, save_state


def state(step: int) -> dict[str, Any]:
    return {"step": step, "tensor": torch.full((4000,), float(step))}


def test_the_newest_ones_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        save_state(tmp_path, state(step), keep=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.1.pt", "state.2.pt", "state.pt"]
    assert load_state(tmp_path)[0]["step"] == 4
    assert [int(torch.load(tmp_path / f"state.{age}.pt")["step"]) for age in (1, 2)] == [3, 2]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "missing"])
def test_a_damaged_state_gives_way_to_the_one_before(damage: str, tmp_path: Path) -> None:
    for step in (1, 2):
        save_state(tmp_path, state(step), keep=2)
    path = tmp_path / "state.pt"
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        middle = data.index(torch.full((8,), 2.0).numpy().tobytes()) + 40
        data[middle] ^= 255
    path.write_bytes({"cut": bytes(data[:700]), "empty": b""}.get(damage, bytes(data)))
    if damage == "missing":
        path.unlink()
    loaded, warning = load_state(tmp_path)
    assert loaded["step"] == 1
    assert ("state.pt is damaged" in warning and "going on from" in warning) == (damage != "missing")


def test_no_state_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(NetchuError, match=r"state\.pt: no state to resume from; leave --resume out"):
        load_state(tmp_path)
    (tmp_path / "state.pt").write_bytes(b"x")
    with pytest.raises(NetchuError, match=r"state\.pt is damaged .*; begin anew with --restart"):
        load_state(tmp_path)


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, state(1), keep=2)

    def full(value: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(NetchuError, match=r"state\.pt: cannot be written .*No space left.*same command"):
        save_state(tmp_path, state(2), keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert load_state(tmp_path)[0]["step"] == 1
