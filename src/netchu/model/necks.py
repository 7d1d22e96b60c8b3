"""Necks: a sequence of column features (N, T, C) -> (N, T, C') with context from the whole line."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from netchu.core.config import Config
from netchu.core.errors import NetchuError

HEADS = 4
LIGHT_HEADS = 8  # of lightsvtr


class Recurrent(nn.Module):
    """Stacked bidirectional GRU or LSTM; `cfg.hidden` units a direction."""

    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM], inputs: int, cfg: Config) -> None:
        super().__init__()
        self.rnn = kind(
            inputs,
            cfg.hidden,
            num_layers=cfg.neck_layers,
            batch_first=True,
            bidirectional=True,
            dropout=cfg.dropout if cfg.neck_layers > 1 else 0.0,
        )
        self.channels = 2 * cfg.hidden

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, 2 hidden)."""
        output: Tensor = self.rnn(columns)[0]
        return output


class MixingBlock(nn.Module):
    """Local mixing by a depthwise convolution over time, then global mixing by self-attention (after SVTR).

    Source: Du et al., SVTR (arXiv:2205.00159), in one dimension; the convolution also carries the position.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.local_norm = nn.LayerNorm(channels)
        self.local = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.global_norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, HEADS, dropout=dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            nn.Linear(2 * channels, channels),
            nn.Dropout(dropout),
        )

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        columns = columns + self.local(self.local_norm(columns).transpose(1, 2)).transpose(1, 2)
        normed = self.global_norm(columns)
        columns = columns + self.attention(normed, normed, normed, need_weights=False)[0]
        mixed: Tensor = columns + self.mlp(columns)
        return mixed


class Mixing(nn.Module):
    """`cfg.neck_layers` mixing blocks at width `cfg.hidden`."""

    def __init__(self, inputs: int, cfg: Config) -> None:
        super().__init__()
        _refuse_width(cfg, HEADS)
        self.channels = cfg.hidden
        self.enter = nn.Linear(inputs, cfg.hidden)
        self.blocks = nn.Sequential(*(MixingBlock(cfg.hidden, cfg.dropout) for _ in range(cfg.neck_layers)))
        self.norm = nn.LayerNorm(cfg.hidden)

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, hidden)."""
        output: Tensor = self.norm(self.blocks(self.enter(columns)))
        return output


class LightSVTR(nn.Module):
    """The neck of PP-OCRv6 (arXiv:2606.13108): `cfg.neck_layers` transformer layers at width `cfg.hidden` over columns
    with a local convolution added, and past all of them a second projection of the columns, added at the end."""

    def __init__(self, inputs: int, cfg: Config) -> None:
        super().__init__()
        _refuse_width(cfg, LIGHT_HEADS)
        self.channels = cfg.hidden
        self.shortcut = _ColumnConvolution(inputs, cfg.hidden, 1)
        self.enter = _ColumnConvolution(inputs, cfg.hidden, 1)
        self.local = _ColumnConvolution(cfg.hidden, cfg.hidden, 7, groups=cfg.hidden)
        self.layers = nn.Sequential(*(TransformerLayer(cfg.hidden, cfg.dropout) for _ in range(cfg.neck_layers)))
        self.norm = nn.LayerNorm(cfg.hidden, eps=1e-6)

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, hidden)."""
        channels_first = columns.transpose(1, 2)
        entered = self.enter(channels_first)
        mixed = self.norm(self.layers((entered + self.local(entered)).transpose(1, 2)))
        output: Tensor = mixed + self.shortcut(channels_first).transpose(1, 2)
        return output


class TransformerLayer(nn.Module):
    """Self-attention and an MLP of twice the width with SiLU, each after a layer norm and added to its input."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention_in = nn.Linear(channels, 3 * channels)
        self.attention_out = nn.Linear(channels, channels)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp_in = nn.Linear(channels, 2 * channels)
        self.mlp_out = nn.Linear(2 * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        lines, steps, channels = columns.shape
        packed = self.attention_in(self.attention_norm(columns))
        query, key, value = packed.view(lines, steps, 3, LIGHT_HEADS, channels // LIGHT_HEADS).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        joined = attended.transpose(1, 2).reshape(lines, steps, channels)
        columns = columns + self.dropout(self.attention_out(joined))
        widened = functional.silu(self.mlp_in(self.mlp_norm(columns)))
        output: Tensor = columns + self.dropout(self.mlp_out(self.dropout(widened)))
        return output


class _ColumnConvolution(nn.Sequential):
    """Convolution over columns (N, C, T), batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        super().__init__(
            nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm1d(outputs),
            nn.SiLU(),
        )


class NoNeck(nn.Module):
    """The features as they are: each column is read on its own."""

    def __init__(self, inputs: int, cfg: Config) -> None:
        super().__init__()
        self.channels = inputs

    def forward(self, columns: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        return columns


def _refuse_width(cfg: Config, heads: int) -> None:
    if cfg.hidden % heads:
        raise NetchuError(
            f"hidden={cfg.hidden}: neck={cfg.neck} wants a multiple of {heads}, the heads of its attention"
        )


NECKS: dict[str, Callable[[int, Config], nn.Module]] = {
    "none": NoNeck,
    "bigru": lambda inputs, cfg: Recurrent(nn.GRU, inputs, cfg),
    "bilstm": lambda inputs, cfg: Recurrent(nn.LSTM, inputs, cfg),
    "mixing": Mixing,
    "lightsvtr": LightSVTR,
}
