"""Bundles for machines without PyTorch: `netchu export`.

ONNX, int8, TorchScript or ExecuTorch are written, proved to read what the bundle reads, and packed. Each target is a
row of TARGETS, at the foot of `targets`.
"""
