"""Number formats: which one a machine is fastest with, and the autocast context for it."""

import torch


def choose_precision(wanted: str, device: torch.device) -> str:
    """`auto`: fp16 on a GPU, bf16 on a processor with native bf16 instructions, else fp32."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "fp16"
    native = any(
        getattr(torch.cpu, name, lambda: False)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast context of a precision name."""
    kinds = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
    return torch.autocast(device.type, kinds[precision], enabled=precision != "fp32")
