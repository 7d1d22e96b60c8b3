"""Stage 4 of the slimmer member: stage 1 once more, from the mean of stages 1 and 2.

Fold 0, greedy, all 797 lines: CER 2.59 %, exact 49.7 %, kalapa_score 0.9574. 30,000 lines, 54 minutes of one core with
bf16.

python train.py -C release/slimmer_4_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slimmer_1_f0", folder=Path(__file__).parent),
    load_weight="outputs/release/slimmer_12_f0/best.safetensors",
    seed=4,
)
