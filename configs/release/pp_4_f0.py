"""Stage 4 of the PP member: lines 64 px high, real ones beside synthetic addresses and open handwriting.

Fold 0, greedy, 797 lines: CER 3.06 %, exact 43.5 %, kalapa_score 0.9481. 24,000 lines, 50 minutes of one core with bf16
at 8 lines/s.

python train.py -C release/pp_4_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    manifest="data/mix_64.csv",
    synthetic_share=0.35,
    helping_share=0.1,
    epoch_lines=24_000,
    height=64,
    load_weight="outputs/release/pp_3_f0/last.safetensors",
    epochs=1,
    ema_decay=0.995,
    workers=1,
    threads=1,
)
