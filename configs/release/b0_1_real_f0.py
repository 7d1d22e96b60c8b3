"""First step of the b0 bundle: from scratch on the real lines. The same network and data as b0_192_f5.

3.49 / 47.2 / 0.9477 and 3.32 / 30.7 / 0.9351 (CER % / exact % / kalapa_score of Kalapa, then of Cinnamon, fold 0, best
path). The run that was released changed the length of its schedule on the way, see docs/first_model.md.
"""

from netchu.core.config import Config

cfg = Config(
    fold=0,
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    epochs=48,
    warmup=0.05,
    validate_every=2,
)
