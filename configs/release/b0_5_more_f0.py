"""Fifth step: the same on other synthetic lines. scripts/release_b0.sh takes the mean of this and the step before.

2.90 / 54.6 / 0.9543 and 2.96 / 33.7 / 0.9464; 5,600 steps. In the release that mean had a third part, whose code is not
kept (docs/ablations.md).
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_q.csv",
    fold=0,
    seed=1,
    synthetic_share=0.6,
    epoch_lines=6400,
    load_weight="outputs/release/b0_4_synthetic_f0/last.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=14,
    lr=0.001,
    warmup=0.05,
    validate_every=2,
)
