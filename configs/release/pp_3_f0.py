"""Stage 3 of the PP member: the real lines alone, some of them misplaced in their cells.

Fold 0, greedy: Kalapa CER 3.23 %, exact 50.7 %, kalapa_score 0.9500; Cinnamon 3.63 %, 23.0 %, 0.9348. 4,000 lines,
25 minutes of one AVX2 core in fp32.

python train.py -C release/pp_3_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    augment="cells",
    epoch_lines=4_000,
    load_weight="outputs/release/pp_2_f0/last.safetensors",
    epochs=1,
    batch_size=8,
    lr=3e-4,
    ema_decay=0.995,
    workers=1,
    threads=1,
)
