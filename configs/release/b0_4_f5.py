"""Stage 4 of the b0 member once more, on every line: what the release reads with; none is left to measure it on.

python train.py -C release/b0_4_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("b0_4_f0", folder=Path(__file__).parent),
    fold=5,
    teacher="outputs/release/pp_64_f5/best.safetensors",
)
