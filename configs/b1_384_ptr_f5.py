"""Pretraining of the b1 member on real and synthetic lines, from ImageNet weights: 160 px high, BiGRU of 384.

For a GPU; start it without the hub by --set pretrained=false. python train.py -C b1_384_ptr_f5
"""

from dataclasses import replace

from configs.b2_256_ptr_f5 import cfg as sibling

cfg = replace(sibling, backbone="tf_efficientnetv2_b1", height=160, hidden=384)
