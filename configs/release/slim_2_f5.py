"""Stage 2 of the slim member on every line.

python train.py -C release/slim_2_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slim_2_f0", folder=Path(__file__).parent),
    fold=5,
    load_weight="outputs/release/slim_1_f5/last.safetensors",
    teacher="outputs/release/pp_64_f5/best.safetensors",
)
