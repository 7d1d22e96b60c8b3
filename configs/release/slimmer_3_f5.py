"""Stage 3 of the slimmer member on every line. The release reads with the mean of this and the mean of stages 1 and 2.

python train.py -C release/slimmer_3_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slimmer_3_f0", folder=Path(__file__).parent),
    fold=5,
    teacher="outputs/release/slim_64_f5/best.safetensors",
    epoch_lines=6_000,
)
