"""Fine-tuning of the b2 member on the real lines; starts from the averaged weights of b2_256_ptr_f5.

python train.py -C b2_256_f5
"""

from dataclasses import replace

from configs.b2_256_ptr_f5 import cfg as pretraining

cfg = replace(
    pretraining,
    manifest="data/train_folds.csv",
    epoch_lines=0,
    pretrained=False,
    load_weight="outputs/b2_256_ptr_f5/best.safetensors",
    epochs=60,
    batch_size=32,
    lr=3e-4,
    ema_decay=0.998,
)
