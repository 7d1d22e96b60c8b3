"""Stage 2 of the slimmer member: stage 1 once more from the same start, other draws.

Fold 0, greedy, all 797 lines: it alone CER 2.63 %, exact 47.8 %, kalapa_score 0.9578; its mean with stage 1 2.55 %,
48.6 %, 0.9593. 30,000 lines, 67 minutes of one core with bf16 beside other work.

python train.py -C release/slimmer_2_f0
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(load_config("slimmer_1_f0", folder=Path(__file__).parent), seed=3)
