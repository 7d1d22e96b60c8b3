"""Pretraining of the small family on real and synthetic lines, half of each; b0_192_f5 can start from it.

Not measured yet as it stands; docs/ablations.md tells of longer pretrainings of the same kind.

python train.py -C b0_192_ptr_f5
python train.py -C b0_192_f5 --set load_weight=outputs/b0_192_ptr_f5/best.safetensors lr=5e-4
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_ext.csv",
    synthetic_share=0.5,
    epoch_lines=20_000,
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=30,
    warmup=0.05,
    validate_every=2,
)
