"""Stage 8 of the slimmer member: the real lines alone, from the mean of stages 6 and 7, which teaches it, too. The
release was measured with the mean of this and that mean.

Fold 0, greedy, the mean: Kalapa CER 2.01 %, exact 62.5 %, kalapa_score 0.9699; Cinnamon 2.71 %, 36.4 %, 0.9523. 5,000
lines, 10 minutes of one core with bf16.

python train.py -C release/slimmer_8_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slimmer_3_f0", folder=Path(__file__).parent),
    load_weight="outputs/release/slimmer_67_f0/best.safetensors",
    teacher="outputs/release/slimmer_67_f0/best.safetensors",
)
