"""Stage 4 of the b0 member: the real lines alone, some misplaced in their cells, with the same teacher.

Fold 0, greedy: Kalapa CER 3.67 %, exact 43.1 %, kalapa_score 0.9445; Cinnamon 3.88 %, 24.7 %, 0.9275. 7,000 lines, 12
minutes of one core with bf16.

python train.py -C release/b0_4_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("b0_1_f0", folder=Path(__file__).parent),
    manifest="data/train_folds.csv",
    augment="cells",
    height=64,
    load_weight="outputs/release/b0_3_f0/last.safetensors",
    teacher="outputs/release/pp_64_f0/best.safetensors",
    teacher_weight=0.7,
    epoch_lines=7_000,
    epochs=1,
    lr=6e-4,
    ema_decay=0.995,
    shortcut_weight=0.0,
    threads=1,
)
