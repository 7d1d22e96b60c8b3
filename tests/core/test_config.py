"""Configs: overrides and their errors, and a guard that every file in configs/ is named after its fields."""

import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from netchu.core.config import ALL_DATA_FOLD, Config, from_dict, load_config, parse_overrides, portable_path
from netchu.core.errors import NetchuError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_name_says_what_the_fields_are(name: str) -> None:
    cfg = load_config(name, folder=CONFIGS)
    assert cfg.name == name
    if name == "demo":
        return
    match = re.fullmatch(r"(b\d)_(\d+)(_ptr)?_f(\d)", name)
    assert match, "a config is named <backbone>_<hidden>[_ptr]_f<fold>"
    assert cfg.backbone.endswith(f"_{match[1]}")
    assert cfg.hidden == int(match[2])
    assert cfg.fold == int(match[4])
    assert Path(cfg.manifest).name == ("train_ext.csv" if match[3] else "train_folds.csv")
    if cfg.load_weight:
        assert Path(cfg.load_weight).parent.name in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_module_exports_cfg_and_says_its_command(name: str) -> None:
    text = (CONFIGS / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert f"-C {name}" in text or f"make {name}" in text


def test_two_configs_never_share_state() -> None:
    first, second = load_config("b2_256_f5", folder=CONFIGS), load_config("b1_384_f5", folder=CONFIGS)
    assert (first.height, second.height) == (128, 160)
    with pytest.raises(FrozenInstanceError):
        first.height = 1  # type: ignore[misc]


def test_fold_and_seed_rename_the_run() -> None:
    cfg = load_config("b0_192_f5", fold=2, seed=7, folder=CONFIGS)
    assert (cfg.name, cfg.fold, cfg.seed) == ("b0_192_f2", 2, 7)
    assert cfg.holds_out
    assert not replace(cfg, fold=ALL_DATA_FOLD).holds_out


def test_overrides_take_the_fields_type() -> None:
    changes = parse_overrides(["lr=1", "epochs=3", "pretrained=false", "backbone=resnet18", "manifest=12"])
    assert changes == {"lr": 1.0, "epochs": 3, "pretrained": False, "backbone": "resnet18", "manifest": "12"}
    assert isinstance(changes["lr"], float)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batchsize=4", "did you mean 'batch_size'"),
        ("epochs=many", "epochs takes int, not str 'many'"),
        ("epochs=1.5", "epochs takes int, not float 1.5"),
        ("pretrained=1", "pretrained takes bool"),
        ("lr=true", "lr takes float"),
        ("lr", "expected key=value"),
        ("width_stride=5", "allowed: 4, 8, 16"),
        ("fold=6", "allowed: 0 to 5"),
        ("seed=-1", "allowed: 0 to 2147483647"),
        ("clip_norm=-1", "allowed: above 0"),
        ("lr=1e999", "lr=inf; allowed: a finite number"),
        ("shortcut_weight=-1", "allowed: 0 or more"),
        ("threads=-1", "allowed: 0 or more"),
        ("pad=1024", "twice it under max_width"),
    ],
)
def test_bad_override_is_one_clear_line(override: str, message: str) -> None:
    with pytest.raises(NetchuError, match=re.escape(message)) as error:
        load_config("b0_192_f5", overrides=[override], folder=CONFIGS)
    assert "\n" not in str(error.value)


def test_a_path_for_others_names_no_machine() -> None:
    """Also where a folder's name holds a space, and as Windows writes it."""
    for path, said in (
        ("/home/Chị An/runs/b.safetensors", "runs/b.safetensors"),
        ("/home/Chị An", "Chị An"),
        (r"C:\Users\An\runs\b.safetensors", "runs/b.safetensors"),
        ("data/train.csv", "data/train.csv"),
        ("", ""),
    ):
        assert portable_path(path) == said


def test_unknown_config_suggests_the_nearest() -> None:
    with pytest.raises(NetchuError, match="did you mean 'b2_256_f5'"):
        load_config("b2_255_f5", folder=CONFIGS)


def test_module_without_cfg_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(NetchuError, match="must define cfg"):
        load_config("empty", folder=tmp_path)


def test_a_mistake_in_a_config_is_one_line_with_its_row(tmp_path: Path) -> None:
    for text, said in (
        ("from netchu.core.config import Config\n\ncfg = Config(bacth_size=4)\n", "row 3: TypeError: .*'bacth_size'"),
        ("cfg = (\n", r"row 1: SyntaxError: '\(' was never closed"),
        ("import no_such_thing\n", "row 1: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("cfg = 0\0", "SyntaxError: source code string cannot contain null bytes"),
    ):
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        with pytest.raises(NetchuError, match=rf"mine\.py: {said}; correct the file"):
            load_config("mine", folder=tmp_path)


def test_round_trip_through_json_values() -> None:
    cfg = Config(name="x", lr=1e-3)
    assert from_dict(cfg.to_dict(), "here") == cfg
    with pytest.raises(NetchuError, match="here: unknown key 'stride'"):
        from_dict({"stride": 4}, "here")
