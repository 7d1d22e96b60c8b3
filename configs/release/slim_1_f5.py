"""Stage 1 of the slim member on every line, from the whole one that saw every line.

python train.py -C release/slim_1_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_1_f0", folder=Path(__file__).parent),
    fold=5,
    load_weight="outputs/release/slim_0_f5.safetensors",
    teacher="outputs/release/pp_64_f5/best.safetensors",
)
