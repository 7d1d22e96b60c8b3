"""Stage 4 of the PP member: lines 64 px high, real ones beside synthetic addresses and open handwriting.

Fold 0, greedy, 797 lines: CER 3.06 %, exact 43.5 %, kalapa_score 0.9481. 24,000 lines, 50 minutes of one core with bf16
at 8 lines/s.

python train.py -C release/pp_4_f0
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_64.csv",
    fold=0,
    augment="ink",
    synthetic_share=0.35,
    helping_share=0.1,
    epoch_lines=24_000,
    height=64,
    backbone="pplcnet_v4",
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    load_weight="outputs/release/pp_3_f0/last.safetensors",
    epochs=1,
    batch_size=16,
    lr=8e-4,
    warmup=0.05,
    ema_decay=0.995,
    shortcut_weight=0.0,
    workers=1,
    threads=1,
)
