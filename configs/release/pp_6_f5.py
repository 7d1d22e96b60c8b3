"""Stage 6 of the PP member: a continuation on every line, so none is left to measure it on.

The release reads with the mean of this and stage 4. 10,000 lines, 22 minutes of one core with bf16.

python train.py -C release/pp_6_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    fold=5,
    augment="cells",
    epoch_lines=10_000,
    height=64,
    load_weight="outputs/release/pp_5_f0/last.safetensors",
    epochs=1,
    lr=3e-4,
    ema_decay=0.995,
    workers=1,
    threads=1,
)
