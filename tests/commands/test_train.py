"""`netchu train`: what it says when it is stopped."""

import signal
from typing import Any

import pytest

from netchu.commands import train
from netchu.core.errors import StoppedError


@pytest.mark.parametrize(("words", "how"), [([], "same command"), (["--restart"], "same command, without --restart")])
def test_a_stop_says_how_to_go_on(words: list[str], how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --restart the very same command would delete what has just been saved."""

    def stop(*_: Any) -> None:
        raise StoppedError("stopped, all saved; go on with the same command", signal.SIGINT)

    monkeypatch.setattr(train, "train", stop)
    monkeypatch.setattr("sys.argv", ["netchu train", "-C", "demo", "--fold", "0", *words])
    with pytest.raises(StoppedError, match=f"go on with the {how}$") as stopped:
        train.main()
    assert stopped.value.status == 130
