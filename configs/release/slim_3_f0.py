"""Stage 3 of the slim member: the real lines alone, with the same teacher. The release reads with the mean of this and
stage 2.

Fold 0, greedy, the mean: Kalapa CER 2.24 %, exact 58.1 %, kalapa_score 0.9670; Cinnamon 2.96 %, 34.0 %, 0.9469. 5,000
lines, 11 minutes of one core with bf16.

python train.py -C release/slim_3_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_1_f0", folder=Path(__file__).parent),
    manifest="data/train_folds.csv",
    load_weight="outputs/release/slim_2_f0/last.safetensors",
    epoch_lines=5_000,
    lr=4e-4,
    ema_decay=0.99,
)
