"""Stage 2 of the slim member: taught on, from other draws.

30,000 lines, 69 minutes of one core with bf16.

python train.py -C release/slim_2_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_1_f0", folder=Path(__file__).parent),
    load_weight="outputs/release/slim_1_f0/last.safetensors",
    epoch_lines=30_000,
    seed=1,
)
