"""Stage 2 of the b0 member: lines 64 px high.

The released member learnt the first 30,688 lines of a run of 96,000, whose learning rate had not fallen much; here it
falls to nothing over as many lines. 18 minutes of two cores with bf16.

python train.py -C release/b0_2_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("b0_1_f0", folder=Path(__file__).parent),
    height=64,
    load_weight="outputs/release/b0_1_f0/last.safetensors",
    synthetic_share=0.3,
    helping_share=0.08,
    epoch_lines=30_688,
    epochs=1,
    warmup=0.03,
)
