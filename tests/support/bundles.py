"""Bundles that need no training."""

from dataclasses import replace
from pathlib import Path

import torch

from netchu.core.preprocess import Geometry, preprocess
from netchu.export.vectors import drawn_lines
from netchu.model.bundle import Bundle
from netchu.model.recogniser import build_model
from tests.support.tiny import CHARSET, TINY


def sharp_bundle(neck: str, path: Path = Path("sharp.safetensors")) -> Bundle:
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
        path,
        model,
        cfg,
        CHARSET,
        {"by_source": {"rendered": {"lines": 8, "cer": 0.5, "exact": 0.25, "wer": 0.75, "kalapa_score": 0.5}}},
    )
