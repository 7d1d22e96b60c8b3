"""Stage 6 of the slimmer member: from the mean of 4, 5 and that of 1 and 2, which teaches it, too.

Fold 0, greedy, all 797 lines: CER 2.51 %, exact 50.1 %, kalapa_score 0.9585. 18,000 lines, 36 minutes of one core with
bf16 beside other work.

python train.py -C release/slimmer_6_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slimmer_1_f0", folder=Path(__file__).parent),
    load_weight="outputs/release/slimmer_1245_f0/best.safetensors",
    teacher="outputs/release/slimmer_1245_f0/best.safetensors",
    epoch_lines=18_000,
    seed=6,
)
