"""From CTC outputs (T, C) to texts: best path, beam search, alignment, exact likelihood. No PyTorch."""
