"""Synthetic handwritten Vietnamese lines for pretraining: texts, a pen, a sheet, batches of lines."""
