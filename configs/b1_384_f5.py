"""Fine-tuning of the b1 member on the real lines; starts from the averaged weights of b1_384_ptr_f5.

Not measured yet.

python train.py -C b1_384_f5
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    synthetic_share=0.8,
    load_weight="outputs/b1_384_ptr_f5/best.safetensors",
    pretrained=False,
    backbone="tf_efficientnetv2_b1",
    stages=5,
    height=160,
    neck="bigru",
    hidden=384,
    epochs=60,
    batch_size=32,
    lr=3e-4,
    ema_decay=0.998,
    workers=8,
)
