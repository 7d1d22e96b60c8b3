"""Stage 1 of the slim member, the PP network with fewer hidden channels (`netchu slim`): it learns on real, synthetic
and helping lines, from the whole one beside the labels.

Fold 0, greedy, before any training: all 797 lines CER 3.44 %, exact 37.3 %; after it Kalapa 2.48 %, 53.7 %, Cinnamon
3.19 %, 29.9 %. 24,000 lines, 54 minutes of one core with bf16.

python train.py -C release/slim_1_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    manifest="data/mix_b0.csv",
    backbone="pplcnet_v4_slim",
    synthetic_share=0.25,
    helping_share=0.05,
    augment="cells",
    epoch_lines=24_000,
    height=64,
    load_weight="outputs/release/slim_0_f0.safetensors",
    teacher="outputs/release/pp_64_f0/best.safetensors",
    teacher_weight=0.6,
    epochs=1,
    lr=8e-4,
    warmup=0.03,
    ema_decay=0.995,
    workers=1,
    threads=1,
)
