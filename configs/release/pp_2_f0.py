"""Stage 2 of the PP member: real lines beside synthetic addresses and open handwriting of other languages.

Fold 0, greedy: Kalapa CER 3.65 %, exact 42.4 %, kalapa_score 0.9447; Cinnamon 3.96 %, 26.3 %, 0.9227. No better than
stage 1 by itself: 11,000 lines are few for a mixture. 68 minutes of one AVX2 core in fp32.
scripts/release.sh draws the synthetic lines.

python train.py -C release/pp_2_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("pp_1_f0", folder=Path(__file__).parent),
    manifest="data/mix_48.csv",
    synthetic_share=0.32,
    helping_share=0.13,
    epoch_lines=11_000,
    load_weight="outputs/release/pp_1_f0/last.safetensors",
    epochs=1,
    lr=6e-4,
    workers=1,
    threads=1,
)
