"""Fourth step: the long pretraining, 60 % synthetic lines.

2.98 / 55.1 / 0.9542 and 3.11 / 31.8 / 0.9438 after 8,000 of 9,600 steps. The run that was released stopped at step
8,370 and went on from its state of step 8,000.
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_p.csv",
    fold=0,
    synthetic_share=0.6,
    epoch_lines=6400,
    load_weight="outputs/release/b0_3_fine_f0/last.safetensors",
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=24,
    lr=0.0012,
    warmup=0.05,
    validate_every=2,
)
