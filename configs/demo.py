"""The quick demo: four blocks of convolutions at 24 px and one small LSTM, on synthetic lines only.

make demo
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/demo/train_folds.csv",
    fold=0,
    augment="none",
    height=24,
    backbone="cnn3_low",
    width_stride=4,
    pretrained=False,
    neck="bilstm",
    neck_layers=1,
    hidden=128,
    dropout=0.1,
    batch_size=8,
    epochs=4,
    warmup=0.05,
    lr=3e-3,
    ema_decay=0.99,
)
