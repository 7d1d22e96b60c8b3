"""Fine-tuning of the b1 member on the real lines; starts from the averaged weights of b1_384_ptr_f5.

python train.py -C b1_384_f5
"""

from dataclasses import replace

from configs.b2_256_f5 import cfg as sibling

cfg = replace(
    sibling,
    backbone="tf_efficientnetv2_b1",
    height=160,
    hidden=384,
    load_weight="outputs/b1_384_ptr_f5/best.safetensors",
)
