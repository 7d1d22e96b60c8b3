"""Synthetic handwritten Vietnamese lines for pretraining: texts, a pen, a sheet, batches of lines."""

import numpy as np

Rng = np.random.Generator
