"""Stage 3 of the b0 member: the PP member, which held out the same fold, teaches beside the labels.

Fold 0, greedy: Kalapa CER 3.81 %, exact 42.8 %, kalapa_score 0.9424; Cinnamon 4.15 %, 21.6 %, 0.9190. 46,000 lines, 41
minutes of two cores with bf16.

python train.py -C release/b0_3_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("b0_2_f0", folder=Path(__file__).parent),
    load_weight="outputs/release/b0_2_f0/last.safetensors",
    teacher="outputs/release/pp_64_f0/best.safetensors",
    teacher_weight=0.7,
    epoch_lines=46_000,
    warmup=0.02,
    shortcut_weight=0.0,
)
