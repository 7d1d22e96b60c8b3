"""Pretraining of the b1 member on real and synthetic lines, from ImageNet weights: 160 px high, BiGRU of 384.

Not measured yet. For a GPU; start it without the hub by --set pretrained=false.

python train.py -C b1_384_ptr_f5
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_ext.csv",
    synthetic_share=0.8,
    epoch_lines=50_000,
    backbone="tf_efficientnetv2_b1",
    stages=5,
    height=160,
    neck="bigru",
    hidden=384,
    epochs=20,
    batch_size=64,
    lr=1e-3,
    ema_decay=0.9995,
    workers=8,
)
