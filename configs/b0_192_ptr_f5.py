"""Pretraining of the small family on real and synthetic lines, half of each; b0_192_f5 can start from it.

python train.py -C b0_192_ptr_f5
python train.py -C b0_192_f5 --set load_weight=outputs/b0_192_ptr_f5/best.safetensors lr=5e-4
"""

from dataclasses import replace

from configs.b0_192_f5 import cfg as parent

cfg = replace(parent, manifest="data/train_ext.csv", synthetic_share=0.5, epoch_lines=20_000, epochs=30)
