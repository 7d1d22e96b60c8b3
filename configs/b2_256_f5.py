"""Fine-tuning of the b2 member on the real lines; starts from the averaged weights of b2_256_ptr_f5.

Not measured yet.

python train.py -C b2_256_f5
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    synthetic_share=0.8,
    load_weight="outputs/b2_256_ptr_f5/best.safetensors",
    pretrained=False,
    backbone="tf_efficientnetv2_b2",
    stages=5,
    height=128,
    neck="bigru",
    hidden=256,
    epochs=60,
    batch_size=32,
    lr=3e-4,
    ema_decay=0.998,
    workers=8,
)
