"""Stage 5 of the slimmer member: stage 4 with other draws and the mean of stage 3 as teacher.

Fold 0, greedy, all 797 lines: it alone CER 2.56 %, exact 48.8 %, kalapa_score 0.9579; its mean with stage 4 2.44 %,
50.6 %, 0.9611; with the mean of stages 1 and 2 2.45 %, 49.7 %, 0.9608. 30,000 lines, 53 minutes of one core with bf16.

python train.py -C release/slimmer_5_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(
    load_config("slimmer_4_f0", folder=Path(__file__).parent),
    teacher="outputs/release/slimmer_123_f0/best.safetensors",
    seed=5,
)
