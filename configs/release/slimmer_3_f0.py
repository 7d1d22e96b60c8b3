"""Stage 3 of the slimmer member: the real lines alone, from the mean of stages 1 and 2. The mean of this and that
mean was the former release, and teaches stage 5.

Fold 0, greedy, the mean: Kalapa CER 2.09 %, exact 60.6 %, kalapa_score 0.9689; Cinnamon 2.88 %, 34.8 %, 0.9489. 5,000
lines, 10 minutes of one core with bf16.

python train.py -C release/slimmer_3_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_3_f0", folder=Path(__file__).parent),
    backbone="pplcnet_v4_slimmer",
    teacher="outputs/release/slim_64_f0/best.safetensors",
    load_weight="outputs/release/slimmer_12_f0/best.safetensors",
)
