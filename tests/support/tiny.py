"""What most tests start from: the repository, short texts, their charset, and a config of seconds."""

from pathlib import Path

from netchu.core.charset import Charset
from netchu.core.config import Config

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("Hà Nội", "Số 12 Huế", "Tổ 5", "P49 Q5", "Đắk Lắk", "Mỹ Tho", "Ấp Bắc", "Thuỷ 0")
WRITERS = 6
TINY = Config(
    name="tiny_f0", fold=0, augment="none", height=32, backbone="cnn3", pretrained=False, width_stride=4, neck="bilstm",
    hidden=48, neck_layers=1, dropout=0.0, epochs=2, batch_size=8, lr=3e-3, ema_decay=0.9, precision="fp32", workers=0,
    trackers="none",
)  # fmt: skip
CHARSET = Charset.from_texts(TEXTS)
