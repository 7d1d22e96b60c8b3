"""Bundles that need no training."""

from dataclasses import replace
from pathlib import Path

import torch

from netchu.core.charset import Charset
from netchu.core.config import Config
from netchu.core.preprocess import Geometry, preprocess
from netchu.export.vectors import drawn_lines
from netchu.model.bundle import Bundle, save_bundle
from netchu.model.recogniser import build_model
from tests.support.tiny import CHARSET, TINY


def untrained(
    path: Path,
    cfg: Config = TINY,
    charset: Charset = CHARSET,
    *,
    seed: int = 0,
    metrics: dict[str, float] | None = None,
    **hashes: str,
) -> Path:
    """Write a bundle of random weights."""
    torch.manual_seed(seed)
    save_bundle(path, build_model(cfg, len(charset)), cfg, charset, metrics=metrics or {}, hashes=hashes)
    return path


def sharp_bundle(neck: str) -> Bundle:
    """An untrained model whose head is scaled so that its answers hold many characters."""
    torch.manual_seed(0)
    cfg = replace(TINY, neck=neck, hidden=16)
    model = build_model(cfg, len(CHARSET)).eval()
    line = torch.from_numpy(preprocess(drawn_lines()[2], Geometry.of(cfg))[None])
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.momentum = 1.0  # its statistics become those of this line
        model.train()(line)
        model.eval()
        # every class gets mean 0 and deviation 6 over the time steps of a line
        logits = model(line)[0]
        factor = 6 / logits.std(dim=0)
        model.head.weight *= factor[:, None]
        model.head.bias.copy_((model.head.bias - logits.mean(dim=0)) * factor)
    return Bundle(
        Path("sharp.safetensors"),
        model,
        cfg,
        CHARSET,
        {"by_source": {"rendered": {"lines": 8, "cer": 0.5, "exact": 0.25, "wer": 0.75, "kalapa_score": 0.5}}},
    )
