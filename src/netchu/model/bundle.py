"""A trained model as a bundle: written, read, and what a new model takes over from one.

A bundle is one safetensors file: fp16 weights, and in its metadata the config, charset, metrics and hashes. Nothing
else is needed to read lines with it, and nothing in it can run code.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from netchu.core.batches import Prediction
from netchu.core.charset import Charset, describe_counts, nearest_letter
from netchu.core.config import Config, InputFields, ModelFields, differing, from_dict, names
from netchu.core.errors import NetchuError
from netchu.core.files import atomic_path
from netchu.core.preprocess import Input
from netchu.model.bundle_file import FORMAT, KEY, Arrays, dequantise, hash_arrays, read_arrays
from netchu.model.predict import predict
from netchu.model.recogniser import Recogniser, build_model

IMPOSSIBLE = -1e4  # bias of a class that a teacher does not know
NEW_LETTER_PENALTY = 1.0  # taken off the bias of a letter that starts from another one


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained recogniser (eval mode, float32) and what it was made with."""

    path: Path
    model: Recogniser
    cfg: Config
    charset: Charset
    metrics: dict[str, Any]

    def predict(self, inputs: Sequence[Input], *, precision: str = "auto", batch_size: int = 16) -> list[Prediction]:
        """Log-probabilities of each input (1, H, W), in order; see `model.predict`."""
        return predict(self.model, inputs, precision=precision, batch_size=batch_size)


def save_bundle(
    path: Path, model: nn.Module, cfg: Config, charset: Charset, *, metrics: dict[str, Any], hashes: dict[str, str]
) -> None:
    """Write a bundle atomically; tensors that fp16 cannot hold stay float32."""
    tensors = {name: half(tensor.detach().cpu()) for name, tensor in model.state_dict().items()}
    about = {
        "format": FORMAT,
        "config": cfg.to_dict(),
        "charset": charset.characters,
        "metrics": metrics,
        "hashes": hashes,
    }
    write_bundle(path, tensors, about)


def write_bundle(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors as they are to be stored, and their metadata with their hash, atomically."""
    about = {**about, "hashes": {**about["hashes"], "weights": hash_arrays({n: t.numpy() for n, t in tensors.items()})}}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={KEY: json.dumps(about, ensure_ascii=False)})
        except SafetensorError as error:
            raise NetchuError(
                f"{path}: cannot be written ({error}); free some space or choose another folder"
            ) from error


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and rebuild its model; needs no config file and no network.

    Raises NetchuError for a missing, truncated or foreign file, changed weights, or weights of another geometry.
    """
    tensors, about = read_bundle(path)
    cfg = dataclasses.replace(from_dict(about["config"], f"{path}"), pretrained=False)
    charset = Charset(about["charset"])
    model = build_model(cfg, len(charset))
    expected = model.state_dict()
    wrong = [name for name in expected if name not in tensors or tensors[name].shape != expected[name].shape]
    wrong += [name for name in tensors if name not in expected]
    if wrong:
        raise NetchuError(
            f"{path}: its weights do not have the geometry of its config (first: {wrong[0]}); train it again"
        )
    model.load_state_dict({name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()})
    return Bundle(
        path=path,
        model=model.eval().to(memory_format=torch.channels_last),
        cfg=cfg,
        charset=charset,
        metrics=about["metrics"],
    )


def read_bundle(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, metadata) of a bundle, checked against its own hash; int8 weights come back as floats."""
    arrays, about = read_arrays(path)
    return _tensors(dequantise(arrays)), about


def read_stored(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The same with the tensors as they are stored, for writing them again."""
    arrays, about = read_arrays(path)
    return _tensors(arrays), about


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def warm_start(model: nn.Module, cfg: Config, charset: Charset, texts: Iterable[str]) -> str:
    """Load `cfg.load_weight` into the model; the head's rows move by character, so the charset may differ.

    A character that the bundle did not know starts from the letter that looks most like it, with a lower bias so that
    the known one stays the likelier answer at first; without such a letter it starts fresh.
    Returns a sentence on what was matched, which names the new characters, with how often they stand in `texts`.
    Raises NetchuError when any other tensor has another shape, or when no letter is known.
    """
    path = Path(cfg.load_weight)
    tensors, about = read_bundle(path)
    old, new = Charset(about["charset"]), charset
    target = model.state_dict()
    sources = {character: nearest_letter(character, set(old.characters)) for character in new.characters}
    if not any(source.isalnum() for source in sources.values()):
        raise NetchuError(f"{path}: its charset shares no letter with these lines; start from another bundle")
    for name in ("head.weight", "head.bias"):
        if name not in tensors or tensors[name].shape[1:] != target[name].shape[1:]:
            raise NetchuError(f"{path}: {_other_geometry(cfg, about['config'])}")
        rows = target[name].clone()
        rows[0] = tensors[name][0]
        for i, character in enumerate(new.characters, 1):
            if sources[character]:
                rows[i] = tensors[name][old.characters.index(sources[character]) + 1]
            if sources[character] not in ("", character) and name == "head.bias":
                rows[i] -= NEW_LETTER_PENALTY
        tensors[name] = rows
    wrong = [name for name in target if name not in tensors or tensors[name].shape != target[name].shape]
    if wrong or len(tensors) != len(target):
        raise NetchuError(f"{path}: {_other_geometry(cfg, about['config'])}")
    model.load_state_dict({name: tensor.to(target[name].dtype) for name, tensor in tensors.items()})
    unknown, fold = old.count_unknown(texts), about["config"].get("fold")
    message = f"started from {path}" + (f"; characters new to it: {describe_counts(unknown)}" if unknown else "")
    derived = [f"{new} from {source}" for new, source in sources.items() if source not in ("", new)]
    if derived:
        message += f"\nnew letters start from the nearest known ones: {', '.join(derived)}"
    if cfg.holds_out and fold != cfg.fold:
        message += f"\nwarning: it did not hold out fold {cfg.fold}; if it learnt from lines there, the figures flatter"
    return message


def load_teacher(cfg: Config, charset: Charset) -> Recogniser:
    """The model of `cfg.teacher` with its head's rows in the order of `charset`; what it does not know is impossible.

    Raises NetchuError where it sees other inputs or gives other time steps than the model of `cfg`, where it did not
    hold out the same fold, and where it shares no letter.
    """
    bundle = load_bundle(Path(cfg.teacher))
    if wrong := _difference(cfg, bundle.cfg.to_dict(), {*names(InputFields), "width_stride"}):
        raise NetchuError(f"{bundle.path}: cannot teach ({wrong}); make the configs agree")
    if cfg.holds_out and bundle.cfg.fold != cfg.fold:
        raise NetchuError(f"{bundle.path}: cannot teach, it did not hold out fold {cfg.fold}; give one that did")
    known, head = bundle.charset.characters, bundle.model.head
    if not any(character.isalnum() and character in known for character in charset.characters):
        raise NetchuError(f"{bundle.path}: cannot teach, its charset shares no letter with these lines")
    rows = torch.tensor([0, *(known.find(character) + 1 for character in charset.characters)])
    unknown = (rows == 0) & (torch.arange(len(rows)) > 0)
    bundle.model.head = nn.Linear(head.in_features, len(charset))
    with torch.no_grad():
        bundle.model.head.weight.copy_(head.weight[rows])
        bundle.model.head.bias.copy_(head.bias[rows].masked_fill(unknown, IMPOSSIBLE))
    return bundle.model


def _other_geometry(cfg: Config, theirs: dict[str, Any]) -> str:
    """That a bundle is of another network than a config, and why."""
    why = _difference(cfg, theirs, names(ModelFields)) or "its tensors differ"
    return f"load_weight has another geometry ({why}); make the configs agree"


def _difference(cfg: Config, theirs: dict[str, Any], keys: Iterable[str]) -> str:
    """Which of the fields of a config differ from a bundle's."""
    wrong = differing(theirs, cfg.to_dict(), keys)
    return "; ".join(f"{key} is {theirs.get(key)!r} in it, {getattr(cfg, key)!r} here" for key in wrong)


def half(tensor: Tensor) -> Tensor:
    """fp16 copy of a float tensor when it holds every value; other tensors as they are."""
    if not tensor.is_floating_point():
        return tensor.contiguous()
    rounded = tensor.half().contiguous()
    return rounded if bool(rounded.isfinite().all()) else tensor.float().contiguous()
