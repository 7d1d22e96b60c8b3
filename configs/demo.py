"""The quick demo: the first three stages of b0 at 32 px, on synthetic lines only; some four minutes on two cores.

make demo
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/demo/train_folds.csv",
    fold=0,
    augment="light",
    height=32,
    backbone="tf_efficientnetv2_b0",
    stages=3,
    width_stride=4,
    pretrained=False,
    neck="bilstm",
    hidden=128,
    dropout=0.1,
    epochs=12,
    validate_every=2,
    warmup=0.05,
    lr=3e-3,
    ema_decay=0.99,
)
