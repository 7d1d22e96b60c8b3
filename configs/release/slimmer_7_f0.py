"""Stage 7 of the slimmer member: stage 6 with other draws.

Fold 0, greedy, all 797 lines: it alone CER 2.54 %, exact 50.2 %, kalapa_score 0.9582; its mean with stage 6 2.43 %,
51.1 %, 0.9611. 18,000 lines, 36 minutes of one core with bf16 beside other work.

python train.py -C release/slimmer_7_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(load_config("slimmer_6_f0", folder=Path(__file__).parent), seed=7)
