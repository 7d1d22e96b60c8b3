"""The registry keeps what a bundle is, and stays whole with several processes on it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from netchu.core.config import Config
from netchu.core.errors import NetchuError
from netchu.core.files import hash_file
from netchu.experiments import registry
from netchu.experiments.registry import Registry
from netchu.model.bundle import load_bundle
from tests.support.bundles import untrained
from tests.support.commands import CONTEXT, assert_refused, netchu
from tests.support.tiny import TINY

METRICS = {"kalapa_score": 0.9, "cer": 0.05}


def save(path: Path, seed: int, cfg: Config = TINY) -> Path:
    """A bundle with random weights."""
    return untrained(path, replace(cfg, hidden=8, neck="none"), seed=seed, metrics=METRICS, manifest="m1")


def test_an_entry_says_what_the_bundle_is(tmp_path: Path) -> None:
    models = Registry(tmp_path / "models")
    bundle = save(tmp_path / "a.safetensors", 1)
    entry = models.add(bundle, note="first")
    assert (entry.name, entry.manifest, entry.metrics, entry.note) == ("tiny_f0", "m1", METRICS, "first")
    assert entry.config == load_bundle(bundle).cfg.to_dict()
    assert models.bundle(entry) == tmp_path / "models" / entry.file
    assert hash_file(models.bundle(entry)) == hash_file(bundle) == entry.sha256
    bundle.unlink()
    assert load_bundle(models.bundle(entry)).cfg.name == "tiny_f0", "the registry has its own copy"
    assert models.entries() == [entry]
    other = models.add(save(tmp_path / "b.safetensors", 2, replace(TINY, name="sub/tiny_f0")))
    assert other.name == "sub/tiny_f0" and models.bundle(other).parent == tmp_path / "models"


def test_the_same_weights_are_registered_once_and_children_know_their_parent(tmp_path: Path) -> None:
    models = Registry(tmp_path / "models")
    parent = models.add(save(tmp_path / "a.safetensors", 1))
    assert models.add(save(tmp_path / "again.safetensors", 1)) == parent
    child_cfg = replace(TINY, name="child_f0", load_weight=str(tmp_path / "a.safetensors"))
    child = models.add(save(tmp_path / "b.safetensors", 2, child_cfg))
    assert child.parent == parent.id
    stranger = models.add(save(tmp_path / "c.safetensors", 3, replace(TINY, load_weight="gone.safetensors")))
    assert stranger.parent == ""
    named = models.add(save(tmp_path / "d.safetensors", 4), parent="child_f0")
    assert named.parent == child.id
    assert [entry.id for entry in models.entries()] == [parent.id, child.id, stranger.id, named.id]
    assert models.find("child_f0") == models.find(child.id[:6]) == child
    assert models.find("tiny_f0") == named, "of one name the newest"


def test_one_entry_is_promoted(tmp_path: Path) -> None:
    models = Registry(tmp_path)
    first = models.add(save(tmp_path / "a.safetensors", 1))
    second = models.add(save(tmp_path / "b.safetensors", 2))
    with pytest.raises(NetchuError, match="no entry 'promoted'"):
        models.find("promoted")
    models.promote(first.id)
    models.promote(second.id)
    assert [entry.promoted for entry in models.entries()] == [False, True]
    assert models.find("promoted").id == second.id
    models.bundle(second).write_bytes(b"other")
    with pytest.raises(NetchuError, match="is missing or was changed; register the bundle of tiny_f0 again"):
        models.promote(second.id)


def test_mistakes_leave_nothing(tmp_path: Path) -> None:
    models = Registry(tmp_path / "models")
    with pytest.raises(NetchuError, match="no such bundle"):
        models.add(tmp_path / "none.safetensors")
    bundle = save(tmp_path / "a.safetensors", 1)
    with pytest.raises(NetchuError, match="no entry 'nobody'"):
        models.add(bundle, parent="nobody")
    assert not list((tmp_path / "models").glob("*.safetensors")) and models.entries() == []
    models.add(bundle)
    models.path.write_text('{"format": 9}')
    with pytest.raises(NetchuError, match="is no registry of format 1"):
        models.entries()
    models.path.write_text('{"format": 1, "entries": [{"id": "x"}]}')
    with pytest.raises(NetchuError, match="entry x: field 'added' is missing or unknown"):
        models.entries()
    (tmp_path / "file").write_text("")
    with pytest.raises(NetchuError, match="cannot be written"):
        Registry(tmp_path / "file" / "models").add(bundle)


@pytest.mark.parametrize("words", [("list",), ("show", "promoted")])
def test_a_file_or_a_folder_in_its_place_is_no_empty_registry(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "models" / "registry.json").mkdir(parents=True)
    for folder, says in (("file", "file: is a file; name the folder"), ("models", "registry.json: cannot be read")):
        assert_refused(netchu("registry", "--models", folder, *words, cwd=tmp_path), says)


def test_registering_again_mends_a_changed_bundle(tmp_path: Path) -> None:
    bundle, models = save(tmp_path / "a.safetensors", 1), Registry(tmp_path / "models")
    entry = models.add(bundle)
    with (models.folder / entry.file).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(NetchuError, match=r"register the bundle of .* again"):
        models.promote(entry.id)
    models.add(bundle)
    assert models.promote(entry.id).promoted and len(models.entries()) == 1


def add_all(models: Path, bundles: list[Path]) -> None:
    """In a process of its own."""
    for path in bundles:
        Registry(models).add(path)


def test_processes_do_not_lose_each_others_entries(tmp_path: Path) -> None:
    bundles = [save(tmp_path / f"{n}.safetensors", n) for n in range(8)]
    models = tmp_path / "models"
    processes = [CONTEXT.Process(target=add_all, args=(models, part)) for part in (bundles[:5], bundles[3:])]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0, 0]
    entries = Registry(models).entries()
    assert len(entries) == len({entry.weights for entry in entries}) == 8


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = save(tmp_path / "a.safetensors", 1)

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["registry", "--models", str(tmp_path / "models"), *map(str, arguments)])
        registry.main()
        return capsys.readouterr().out

    assert "parent none, promoted" in run("add", bundle, "--promote", "--note", "for the tests")
    listed = run("list").splitlines()
    assert listed[1].startswith("* ") and "0.9000   5.00" in listed[1] and listed[1].endswith("for the tests")
    assert json.loads(run("show", "promoted"))["manifest"] == "m1"
    assert load_bundle(Path(run("show", "promoted", "--path").strip())).cfg.name == "tiny_f0"
    assert "is promoted" in run("promote", "tiny_f0")
    first = run("show", "promoted", "--path")
    other = json.loads(run("add", save(tmp_path / "b.safetensors", 2)) and run("show", "tiny_f0"))["id"]
    assert f"parent {other}" in run("add", bundle, "--parent", other, "--note", "known already")
    run("add", bundle)
    assert run("list").splitlines()[1].split()[-3:] == ["tiny_f0", "known", "already"] and other in run("list")
    assert run("show", "promoted", "--path") == first
    with pytest.raises(NetchuError, match="--parent promoted: is the bundle itself"):
        run("add", bundle, "--parent", "promoted")
