"""Last step, seed 0: fine-tuning on the real lines. scripts/release_b0.sh takes the mean of both seeds.

The mean reads 1.67 % CER, 75.5 % exact of Kalapa with language model and places (docs/results.md). The release was
trained once more on every line: --fold 5 --set epochs=7.
"""

from netchu.core.config import Config

cfg = Config(
    fold=0,
    seed=0,
    augment="cells",
    load_weight="outputs/release/b0_6_mean_f0/last.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=64,
    neck="bilstm",
    hidden=192,
    epochs=8,
    lr=0.0005,
    warmup=0.05,
    validate_every=2,
)
