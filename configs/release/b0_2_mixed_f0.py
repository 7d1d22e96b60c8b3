"""Second step: half of each epoch addresses, poems and recombined words.

3.74 / 46.5 / 0.9412 and 3.57 / 28.2 / 0.9310; 2,400 steps.
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_d.csv",
    fold=0,
    epoch_lines=3200,
    load_weight="outputs/release/b0_1_real_f0/best.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=12,
    lr=0.001,
    warmup=0.05,
    validate_every=2,
)
