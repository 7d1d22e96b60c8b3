"""Stage 5 of the PP member: the real lines alone, 64 px high, some misplaced in their cells.

Fold 0, greedy: Kalapa CER 2.50 %, exact 56.9 %, kalapa_score 0.9603; Cinnamon 3.04 %, 34.0 %, 0.9455. 11,000 lines,
24 minutes of one core with bf16. The mean with stage 4 reads all 797 lines at 2.72 %, 47.8 %, 0.9557.

python train.py -C release/pp_5_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    augment="cells",
    epoch_lines=11_000,
    height=64,
    load_weight="outputs/release/pp_4_f0/last.safetensors",
    epochs=1,
    lr=5e-4,
    ema_decay=0.995,
    workers=1,
    threads=1,
)
