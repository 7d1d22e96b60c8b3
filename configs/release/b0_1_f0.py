"""Stage 1 of the b0 member: from scratch on real, synthetic and helping lines, 48 px high.

Fold 0, greedy, all 797 lines: CER 7.16 %, exact 13.0 %, kalapa_score 0.8567. 84,000 lines, 38 minutes of two cores with
bf16.

python train.py -C release/b0_1_f0
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/mix_b0.csv",
    fold=0,
    backbone="tf_efficientnetv2_b0",
    pretrained=False,
    height=48,
    neck="bilstm",
    hidden=192,
    augment="ink",
    dropout=0.1,
    synthetic_share=0.45,
    helping_share=0.1,
    epoch_lines=14_000,
    epochs=6,
    batch_size=16,
    lr=1.5e-3,
    warmup=0.05,
    ema_decay=0.998,
    workers=1,
)
