"""Stage 4 of the PP member: a short continuation on every line. No line is left to measure it on.

It has not been trained to its end yet, and no released file is made of it.

python train.py -C release/pp_4_f5
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    fold=5,
    augment="cells",
    epoch_lines=2_600,
    height=48,
    backbone="pplcnet_v4",
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    load_weight="outputs/release/pp_3_f0/last.safetensors",
    epochs=1,
    batch_size=8,
    lr=2e-4,
    warmup=0.05,
    ema_decay=0.995,
    shortcut_weight=0.0,
    workers=1,
    threads=1,
)
