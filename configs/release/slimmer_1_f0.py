"""Stage 1 of the slimmer member, the slim network with fewer channels still (`netchu slim`): from the slim one beside
the labels.

Fold 0, greedy, all 797 lines: before any training CER 2.83 %, exact 45.0 %, kalapa_score 0.9545; after it
2.60 %, 47.6 %, 0.9580. 30,000 lines, 67 minutes of one core with bf16 beside other work.

python train.py -C release/slimmer_1_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_1_f0", folder=Path(__file__).parent),
    backbone="pplcnet_v4_slimmer",
    load_weight="outputs/release/slimmer_0_f0.safetensors",
    teacher="outputs/release/slim_64_f0/best.safetensors",
    epoch_lines=30_000,
    seed=2,
)
