"""Stage 8 of the slimmer member on every line. The release reads with the mean of this and the mean of stages 6 and 7.

python train.py -C release/slimmer_8_f5
"""

from dataclasses import replace
from pathlib import Path

from netchu.core.config import load_config

cfg = replace(load_config("slimmer_8_f0", folder=Path(__file__).parent), fold=5, epoch_lines=6_000)
