"""Stage 6 of the PP member: a continuation on every line, so none is left to measure it on.

The release reads with the mean of this and stage 4. 10,000 lines, 22 minutes of one core with bf16.

python train.py -C release/pp_6_f5
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    fold=5,
    augment="cells",
    epoch_lines=10_000,
    height=64,
    backbone="pplcnet_v4",
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    load_weight="outputs/release/pp_5_f0/last.safetensors",
    epochs=1,
    batch_size=16,
    lr=3e-4,
    warmup=0.05,
    ema_decay=0.995,
    shortcut_weight=0.0,
    workers=1,
    threads=1,
)
