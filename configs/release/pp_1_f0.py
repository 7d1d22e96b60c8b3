"""Stage 1 of the PP member: the imported PP-OCRv6 recognition weights learn the tone letters on the real lines.

Fold 0, greedy: Kalapa CER 3.45 %, exact 42.8 %, kalapa_score 0.9483; Cinnamon 3.85 %, 22.7 %, 0.9264. 12,700 lines,
75 minutes of two AVX2 cores in fp32.

netchu import-weights PP-OCRv6_rec_small.onnx --out outputs/pp_ocrv6_small.safetensors
python train.py -C release/pp_1_f0
"""

from netchu.core.config import Config

cfg = Config(
    manifest="data/train_folds.csv",
    fold=0,
    augment="ink",
    height=48,
    backbone="pplcnet_v4",
    pool="mean",
    neck="lightsvtr",
    hidden=120,
    neck_layers=2,
    dropout=0.1,
    load_weight="outputs/pp_ocrv6_small.safetensors",
    epochs=4,
    batch_size=16,
    lr=8e-4,
    warmup=0.05,
    ema_decay=0.99,
    shortcut_weight=0.0,
)
