"""What everything rests on: errors, files, config, charset, preprocessing, metrics. No PyTorch."""
