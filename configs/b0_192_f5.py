"""The small family for a CPU: b0 up to stride 16 at 48 px, from scratch on the real lines (3.0 M parameters, 6 MB).

Fold 0 of the Kalapa and Cinnamon lines: CER 3.5 %, exact 47 %, kalapa_score 0.948 on unseen Kalapa writers, with
nothing gained after 40 epochs; an hour at 47 lines/s on two cores with bf16. How the error fell: docs/first_model.md.

python train.py -C b0_192_f5 --fold 0
"""

from netchu.core.config import Config

cfg = Config(
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=48,
    warmup=0.05,
    validate_every=2,
)
