"""Stage 5 of the PP member: the real lines alone, 64 px high, some misplaced in their cells.

Fold 0, greedy: Kalapa CER 2.50 %, exact 56.9 %, kalapa_score 0.9603; Cinnamon 3.04 %, 34.0 %, 0.9455. 11,000 lines,
24 minutes of one core with bf16. The mean with stage 4 reads all 797 lines at 2.72 %, 47.8 %, 0.9557.

python train.py -C release/pp_5_f0
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    fold=0,
    augment="cells",
    epoch_lines=11_000,
    height=64,
    backbone="pplcnet_v4",
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    load_weight="outputs/release/pp_4_f0/last.safetensors",
    epochs=1,
    batch_size=16,
    lr=5e-4,
    warmup=0.05,
    ema_decay=0.995,
    shortcut_weight=0.0,
    workers=1,
    threads=1,
)
