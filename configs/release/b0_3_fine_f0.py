"""Third step: real lines alone.

3.38 / 51.6 / 0.9487 and 3.30 / 31.8 / 0.9398; 1,200 steps.
"""

from netchu.core.config import Config

cfg = Config(
    fold=0,
    epoch_lines=3200,
    load_weight="outputs/release/b0_2_mixed_f0/last.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=6,
    lr=0.0006,
    warmup=0.05,
    validate_every=2,
)
