"""Sixth step, seed 12: from the mean of the two before, at 64 px. scripts/release_b0.sh takes the mean of both seeds.

2.54 / 61.6 / 0.9589 and 2.60 / 38.9 / 0.9538; 2,800 steps.
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_q.csv",
    fold=0,
    seed=12,
    synthetic_share=0.6,
    epoch_lines=3200,
    load_weight="outputs/release/b0_5_mean_f0/last.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=64,
    neck="bilstm",
    hidden=192,
    epochs=14,
    lr=0.001,
    warmup=0.05,
    validate_every=2,
)
