"""The small family for a CPU: b0 up to stride 16 at 48 px, from scratch on the real lines (3.0 M parameters, 6 MB).

python train.py -C b0_192_f5 --fold 0
"""

from netchu.config import Config

cfg = Config(
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=60,
    warmup=0.05,
    validate_every=2,
)
